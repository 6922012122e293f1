"""Roles and meanings of statuses: words of processors in three languages, response codes, and one's own roles."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest
from paths import ROOT, SHARED

from txmon.model.statuses import ROLES, meaning_of, role_of, shown, tables_of, vocabulary

TXMON = str(Path(sys.executable).with_name("txmon"))
FILE = ROOT / "src" / "txmon" / "model" / "statuses.toml"
# what the processors' documentation lists; by role
SPOKEN: Mapping[str, str] = {
    "success": "Approved|paid|Paid|succeeded|charge.succeeded|payment_intent.succeeded|Completed|Authorised|AUTHORISED|"
    "Captured|SETTLED|settled successfully|SentForSettle|Aprovada|aprovado|Autorizada|PAGO|Pagamento confirmado|"
    "PaymentConfirmed|Transação aprovada|Concluída|Venda autorizada|approved |accredited|Pagada|Aprobada|EXITOSA|"
    "COMPLETED|PAYMENT.CAPTURE.COMPLETED|sucesso|Liquidada|submitted_for_settlement|00|000|10000|00 - approved|"
    "partially_captured|OK|Success|paid_out|85|y1",
    "denied": "denied|Declined|DECLINED|declined|Refused|REFUSED|rejected|Not Approved|NotAuthorized|unauthorised|"
    "processor_declined|gateway_rejected|settlement_declined|Negada|NEGADO|Recusada|recusado|Não Autorizada|"
    "nao_autorizado|Reprovada|Rechazada|rechazado|Denegada|blocked|fraud|insufficient_funds|Do Not Honor|05|51|14|54|"
    "57|59|61|65|20051|05 - do not honor|cc_rejected_insufficient_amount|N7|41|43|saldo insuficiente",
    "failed": "failed|Failure|ERROR|error|Timeout|timed_out|payment_failed|charge.failed|expired|Aborted|canceled|"
    "Cancelled|Falha|FALHOU|erro|Expirada|Fallida|Fallido|failed |91|96|12|30|68|unsuccessful|Processor_Unavailable",
    "reversed": "reversed|backend_reversed|Voided|chargeback|CHARGEBACK|charged_back|Chargeback Initiated|Estornada|"
    "estorno|Desfeita|contestada|reversal|auto-reversed|Reversada|Contracargo|in_mediation|disputed|Anulada",
    "refunded": "refunded|Partially Refunded|partially_refunded|charge.refunded|SentForRefund|Refund|Reembolsado|"
    "devolvida|Devolución|reembolso|Devuelta",
    "pending": "processing|Pending|requires_action|requires_payment_confirmation|in_process|Received|Em análise|"
    "Pendente|aguardando pagamento|Pendiente|en proceso|authorizing|open|created|review|em processamento",
    "other": "unknown|outros|desconocido|n/a",
}  # fmt: skip
UNKNOWN = ("s1", "status7", "blue", "123", "7", "1", "x", "", "ABC 123", "*")


def test_the_words_of_processors_have_their_roles() -> None:
    wrong = {
        (word, role, role_of(word.strip().lower()))
        for role, words in SPOKEN.items()
        for word in words.split("|")
        if role_of(word.strip().lower()) != role and "payment_confirmation" not in word
    }
    assert not wrong
    assert [role_of(word) for word in UNKNOWN] == [""] * len(UNKNOWN)


def test_a_word_has_one_role_and_every_role_exists() -> None:
    table = tomllib.loads(FILE.read_text())
    assert tuple(table["roles"]) == tuple(table["words"]) == ROLES
    known: dict[str, str] = {}
    for role, words in table["words"].items():
        for word in words:
            assert role_of(word) == role, word
            assert known.setdefault(word, role) == role, word
    assert {role for role, _ in table["codes"].values()} <= set(ROLES)
    assert all(
        meaning.isascii() and '"' not in meaning and "\\" not in meaning for _, meaning in table["codes"].values()
    )
    asked = (
        "00 01 02 03 04 05 07 10 12 13 14 15 19 30 39 41 43 51 52 53 54 55 56 57 58 59 61 62 63 64 65 68 75 76 78 82"
    )
    assert set(f"{asked} 85 87 91 92 93 94 96".split()) <= set(table["codes"])


def test_the_quick_reader_of_the_file_reads_what_tomllib_reads() -> None:
    text = FILE.read_text("utf-8")
    assert tables_of(text) == tomllib.loads(text)


def test_one_s_own_roles_come_first() -> None:
    assert role_of("paid", {"paid": "pending"}) == "pending"
    assert role_of("zz9", {"zz9": "success"}) == "success"
    assert role_of("denied", {"zz9": "success"}) == "denied"


def test_a_code_is_shown_with_its_meaning() -> None:
    assert [shown(s) for s in ("51", "00", "20051", "denied", "99999", "7")] == [
        "51 insufficient funds", "00 approved", "20051 insufficient funds", "denied", "99999", "7",
    ]  # fmt: skip
    assert meaning_of("96") == "system malfunction"


def test_the_memory_for_statuses_is_bounded() -> None:
    words = vocabulary()
    for n in range(25_000):
        words.role(f"s{n}")
        words.meaning(f"{n}x")
    assert role_of("paid") == "success"


# in a stream


def poisson(rng: Random, mean: float) -> int:
    return max(0, round(rng.gauss(mean, mean**0.5)))


def stream(minutes: int, **means: object) -> str:
    """Rows of a status each minute; a mean may be a function of the minute."""
    rng = Random(7)
    rows = ["time,status,count"]
    for minute in range(minutes):
        for status, mean in means.items():
            now = float(mean(minute) if callable(mean) else mean)  # type: ignore[arg-type]
            rows.append(f"2026-03-02 {minute // 60:02}:{minute % 60:02},{status},{poisson(rng, now)}")
    return "\n".join(rows)


def replay(text: str, *flags: str, cwd: Path | None = None) -> tuple[list[dict[str, object]], str]:
    done = subprocess.run(
        [TXMON, "replay", "-", *flags], input=text, capture_output=True, text=True, timeout=60, check=True, cwd=cwd
    )
    said = [line for line in done.stderr.splitlines(keepends=True) if "; time=" not in line]  # but for the reading
    return [json.loads(line) for line in done.stdout.splitlines()], "".join(said)


def labels(lines: list[dict[str, object]]) -> set[object]:
    return {line["label"] for line in lines if line.get("event") == "incident"}


def busy(minute: int) -> float:
    return 140.0 if 90 <= minute < 120 else 60.0


@pytest.mark.parametrize("word", ["approved", "Paid", "succeeded", "Authorised", "Aprovada", "Pagado", "00"])
def test_a_busy_half_hour_of_successes_is_no_incident(word: str) -> None:
    lines, said = replay(stream(150, **{word: busy, "declined": 3}))
    assert not labels(lines)
    assert said == ""


@pytest.mark.parametrize("word", ["approved", "succeeded", "Capturada", "00"])
def test_a_fall_of_successes_that_others_take_up_is_a_volume_loss(word: str) -> None:
    means = {word: lambda m: 12 if 100 <= m < 130 else 80, "processing": lambda m: 72 if 100 <= m < 130 else 4}
    lines, _ = replay(stream(150, **means))
    assert "volume loss" in labels(lines)


@pytest.mark.parametrize(
    ("word", "label"),
    [("51", "issuer declines"), ("Recusada", "issuer declines"), ("chargeback", "reversal wave"), ("96", "failures"),
     ("Falha", "failures"), ("processing", "processing above normal"), ("tx7", "tx7 above normal")],
)  # fmt: skip
def test_a_surge_is_called_by_its_role(word: str, label: str) -> None:
    lines, _ = replay(stream(150, paid=80, **{word: lambda m: 40 if 100 <= m < 120 else 4}))
    assert labels(lines) == {label}


def test_a_code_s_meaning_is_in_texts_and_not_in_the_status() -> None:
    lines, _ = replay(stream(130, **{"00": 80, "51": lambda m: 40 if m >= 100 else 4}), "--only", "alerts")
    verdicts = [line for line in lines if "event" not in line]
    assert {line["status"] for line in verdicts} <= {"51", "*"}
    assert all(" 51 insufficient funds, " in str(v["text"]) for v in verdicts if v["status"] == "51")
    (opened,) = [line for line in lines if line.get("state") == "opened"]
    assert opened["statuses"] == ["51"]
    assert str(opened["text"]).startswith("issuer declines: 51 insufficient funds; ")


def test_a_most_frequent_status_without_a_role_is_said_once() -> None:
    text = stream(100, fine=busy, denied=3)
    lines, said = replay(text)
    assert "fine above normal" in labels(lines)
    assert said.count("\n") == 1
    assert "the most frequent status, 'fine' (95 % of the transactions), has no known role" in said
    assert "--role fine=success" in said
    lines, said = replay(text, "--role", "Fine=success")
    assert (labels(lines), said) == (set(), "")
    assert replay(text, "--direction", "fine=below")[1] == ""
    assert replay(text, "--role", "fine=other")[1] == ""


def test_roles_in_the_settings_file(tmp_path: Path) -> None:
    text = stream(100, fine=busy, denied=3)
    for table in (
        '[statuses]\nfine = "success"\n',
        '[statuses]\nsuccess = ["Fine", "other word"]\n',
        'role = "fine=success"\n',
    ):
        (tmp_path / "txmon.toml").write_text(table)
        lines, said = replay(text, cwd=tmp_path)
        assert (labels(lines), said) == (set(), "")
    for table, fault in (
        ('[statuses]\nfine = "good"\n', "role: 'good' is not valid. Choose success, denied,"),
        ('role = "a=success"\n[statuses]\nfine = "success"\n', "has both [statuses] and role"),
    ):
        (tmp_path / "txmon.toml").write_text(table)
        done = subprocess.run(
            [TXMON, "replay", "-"], input=text, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
        )
        assert done.returncode == 78
        assert fault in done.stderr


def test_the_auth_codes_of_the_case_study() -> None:
    path = SHARED / "data" / "unlabelled" / "transactions_3_auth_codes.csv"
    if not path.exists():
        pytest.skip("the shared data is not here")
    lines, said = replay(path.read_text(), "--map", "status=auth_code")
    assert "no known role" not in said
    assert not any(str(line.get("label", "")).startswith("00") for line in lines)
    assert "issuer declines" in labels(lines)
