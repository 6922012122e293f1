"""Mistakes that people make: one message with the value, what is accepted and the fix; an exit code; nothing lost."""

import hashlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pexpect
import pytest
from paths import ROOT

TXMON = str(Path(sys.executable).with_name("txmon"))
FILES = {
    "bad.csv": "time,status,count\n2026-03-02T10:00:00Z,approved,5\n2026-03-02T10:01:00Z,approved,5\nnonsense,x,1\n",
    "other.csv": "a,b,c\n1,2,3\n4,5,6\n",
    "empty.csv": "",
    "both.csv": "time,status\n01/02/2026 10:00,ok\n02/03/2026 10:00,ok\n",
    "junk.state": "not a state",
    "junk.json": "labels",
    "bad.toml": 'min_count = "x"\n',
    "key.toml": 'buket = "5m"\n',
    "quotes.toml": "bucket = 5m\n",
    "page.pdf": "%PDF-1.4\n",
    "page.html": "<html><table><tr><td>time</td></tr></table></html>\n",
}
KEPT = (".csv", ".json", ".jsonl", ".state", ".toml")  # a lock beside a state is no loss
MISTAKES = [
    # input
    ("replay", 2, "Missing argument 'FILE...'. Name a file, or - for standard input."),
    ("transactions.csv", 2, "no command 'transactions.csv'. To judge the file, use: txmon replay transactions.csv"),
    ("rplay transactions.csv", 2, "no command 'rplay'; did you mean 'replay'?"),
    ("replay transaction.csv", 66, "transaction.csv: no such file; did you mean 'transactions.csv'?"),
    ("replay folder", 66, "folder: is a directory. Name the files in it"),
    ("replay page.pdf", 65, "page.pdf: is a PDF document. Export the table as CSV"),
    ("replay page.html", 65, "page.html: is an HTML page. Open it in a spreadsheet and save it as CSV"),
    ("replay empty.csv", 65, "empty.csv: is empty"),
    ("replay other.csv", 65, "columns found: a, b, c. Name it with --map time=COLUMN --map status=COLUMN"),
    ("replay both.csv", 65, "is 1 February 2026 with --day-first, and 2 January 2026 with --month-first"),
    ("replay bad.csv --strict", 65, "bad.csv:4: 'nonsense' is"),
    ("replay transactions.csv --map count=qty", 65, "no column 'qty' for 'count'; columns found: time, status, count"),
    ("replay transactions.csv --map cuont=n", 2, "did you mean 'count'?"),
    ("replay transactions.csv --map count", 2, "--map: 'count' is not NAME=VALUE"),
    (
        "replay transactions.csv --group-by shop",
        65,
        "no column 'shop' for --group-by; columns found: time, ",
    ),
    (
        "replay transactions.csv --group-by status",
        2,
        "judged by itself already. Use columns like merchant.",
    ),
    ("replay transactions.csv --date 02/03/2026", 2, "is not a date. Use YYYY-MM-DD, for example 2026-03-02."),
    (
        "replay transactions.csv --tz Brazil/Est",
        2,
        "'Brazil/Est' is not a time zone; did you mean 'Brazil/East'?",
    ),
    ("replay transactions.csv --encoding utf-99", 2, "Use for example latin-1, cp1252 or utf-16."),
    ("replay transactions.csv --time-format DD/MM/YYYY", 2, "Use for example '%d/%m/%Y %H:%M' or epoch-ms."),
    ("replay transactions.csv --day-first --month-first", 2, "exclude each other. Give one of them."),
    ("replay transactions.csv --role paid=sucess", 2, "did you mean 'success'?"),
    ("replay transactions.csv --role paid", 2, "'paid' is not STATUS=ROLE. Use for example paid=success."),
    ("replay transactions.csv --wat", 2, "No such option '--wat'"),
    # detection
    ("replay transactions.csv --bucket 5", 2, "--bucket: '5' has no unit. Use 5s, 5m or 5h."),
    ("replay transactions.csv --bucket 7m", 2, "'7m' does not divide a day evenly. Use for example 1m, 5m or 10m."),
    ("replay transactions.csv --bucket 2h", 2, "--bucket: '2h' is not from 10s to 1h"),
    ("replay transactions.csv --budget 3", 2, "is not a budget. Use for example 1/day, 2/week or 0.1/hour."),
    ("replay transactions.csv --budget 1/day --sigma 5", 2, "both set the threshold. Give one of them."),
    ("replay transactions.csv --sigma 50", 2, "--sigma: '50' is not from 2 to 20"),
    ("replay transactions.csv --min-count failed", 2, "--min-count: 'failed' is not a number"),
    ("replay transactions.csv --direction failed=up", 2, "'up' is not valid. Choose above, below or both."),
    (
        "replay transactions.csv --mode rule",
        2,
        "Choose score, rules or both; did you mean 'rules'?",
    ),
    ("replay transactions.csv --rule 'failed: cuont > 3'", 2, "unknown name 'cuont'; did you mean 'count'?"),
    ("replay transactions.csv --rule 'failed: count > 3 for 3'", 2, "--rule: '3' has no unit. Use 3s, 3m or 3h."),
    ("replay transactions.csv --closed sat+sun", 2, "Write NAME=VALUE, for example weekday=sat+sun"),
    ("replay transactions.csv --inject denied:2x@14:00/20m", 2, "(example: denied:x3@14:00/20m)"),
    # output
    ("replay transactions.csv --out transactions.csv", 2, "txmon never writes to its input. Name another file."),
    ("replay transactions.csv --rejects transactions.csv", 2, "txmon never writes to its input. Name another file."),
    ("replay transactions.csv --out link.csv", 2, "txmon never writes to its input. Name another file."),
    ("replay transactions.csv --out x --rejects x", 2, "Give each output its own file."),
    ("replay transactions.csv --out folder", 74, "folder: Is a directory"),
    ("replay transactions.csv --out none/x.jsonl", 74, "none/x.jsonl: No such file or directory"),
    ("replay transactions.csv --only alert", 2, "'alert' is not valid. Choose all or alerts; did you mean 'alerts'?"),
    ("replay transactions.csv --speed 0", 2, "--speed: '0' is not from 0.001 to 1e+06"),
    ("replay transactions.csv --state s", 2, "No such option '--state'"),
    # live
    ("watch transactions.csv", 2, "`txmon replay FILE` as it is"),
    ("watch --follow folder", 66, "folder: is a directory. Name a file, or a quoted pattern like 'folder/*.log'"),
    ("watch --follow x --follow x", 2, "--follow names a file twice. Name each file once."),
    ("watch --from yesterday --follow x", 2, "Use start, end, or a time like 2026-03-02T10:00Z."),
    ("watch --kafka broker", 2, "is not SERVERS/TOPIC. Use for example broker:9092/transactions."),
    ("watch --state junk.state", 78, "junk.state: is not a txmon state, or it is damaged"),
    ("watch --query 'SELECT 1'", 2, "--query needs --sql URL or --prometheus URL."),
    ("watch --quiet 22:00-06:00", 2, "--quiet takes no value. Use --quiet-hours 22:00-06:00"),
    ("serve --port http", 2, "--port: 'http' is not a number"),
    ("serve --host 0.0.0.0", 2, "Set TXMON_TOKEN, or use --host 127.0.0.1."),
    ("serve --max-body 1TB", 2, "is not a size. Use for example 64KiB or 1MiB."),
    ("serve --base-path txmon", 2, "is not a path. Use for example /txmon."),
    # understanding
    ("inspect nosuch", 66, "nosuch: no such file"),
    ("analyze checkouts.csv --observed tomorrow", 2, "no column 'tomorrow'; columns: today, yesterday"),
    ("analyze checkouts.csv --sql --json", 2, "exclude each other. Give one of them."),
    ("analyze checkouts.csv --html checkouts.csv", 2, "txmon never writes to its input. Name another file."),
    ("query", 2, "no FILE to query. Use for example: txmon query --name per-minute transactions.csv"),
    ("query 'DROP TABLE transactions' transactions.csv", 2, "a query reads its files and changes nothing. Use SELECT."),
    ("query 'SELEC 1' transactions.csv", 2, "LINE 1: SELEC 1"),
    ("query transactions.csv 'SELECT 1'", 2, "'SELECT 1' is not a file. Put the SQL before the files."),
    ("query --name per-minut transactions.csv", 2, "did you mean 'per-minute'?"),
    ("query 'SELECT 1' transactions.csv --out transactions.csv", 2, "txmon never writes to its input."),
    # trying
    ("evaluate transactions.csv", 2, "Missing option '--labels'."),
    ("evaluate transactions.csv --labels junk.json", 65, "junk.json: is not JSON (line 1, column 1"),
    ("tune transactions.csv --labels junk.json", 65, "Use labels as `txmon simulate --labels FILE` writes them"),
    ("tune transactions.csv", 2, "--labels or --budget is missing. Use --labels FILE, or for example --budget 1/day."),
    ("simulate --scenario shp", 2, "--scenario 'shp' is not valid. Choose one of shop"),
    ("simulate --start yesterday", 2, "is not a time. Use for example 2026-03-02T00:00:00Z."),
    ("simulate --days -1", 2, "-1 days is not valid. Use a number above 0."),
    # incidents and set-up
    ("notify", 2, "Choose --test or --dry-run."),
    ("notify --test", 78, "Set TXMON_TEAMS_WEBHOOK"),
    ("notify --test --teams-webhook-file https://x/y", 2, "Write it to a file, and name that file."),
    ("ack x", 2, "--state FILE is missing. Name the state file of the run that has the incident."),
    ("silence denied --for 2h", 2, "--state FILE is missing."),
    ("state show junk.state", 78, "is not a txmon state, or it is damaged"),
    ("completion tcsh", 2, "'tcsh' is not one of 'bash', 'zsh', 'fish'."),
    ("help ruels", 2, "`txmon help` lists the topics."),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("mistakes")
    for name in ("transactions.csv", "checkouts.csv"):
        (made / name).write_bytes((ROOT / "examples" / name).read_bytes())
    for name, text in FILES.items():
        (made / name).write_text(text)
    (made / "folder").mkdir()
    (made / "link.csv").hardlink_to(made / "transactions.csv")
    return made


def contents(folder: Path) -> dict[str, str]:
    """A digest of each file, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.suffix in KEPT
    }


def environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    """The variables of a command in the folder."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("TXMON_")}
    return env | {"HOME": str(folder), "TXMON_NO_READING": "1", **more}


def run(folder: Path, words: str, more: Mapping[str, str] = {}, limited: bool = False) -> tuple[int, str]:
    """Run a command line in the folder, as a shell does; the exit code and standard error.

    limited: root, too, may read and write only files that their permissions allow.
    """
    done = subprocess.run(
        [TXMON, *shlex.split(words)], cwd=folder, env=environment(folder, more), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False, preexec_fn=_drop_override if limited else None,
    )  # fmt: skip
    return done.returncode, done.stderr


def _drop_override() -> None:
    import ctypes

    libc = ctypes.CDLL(None)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, as prctl's PR_CAPBSET_DROP takes them
        libc.prctl(24, capability, 0, 0, 0)


@pytest.mark.parametrize(("words", "code", "message"), MISTAKES, ids=[words for words, *_ in MISTAKES])
def test_a_mistake_costs_nothing(words: str, code: int, message: str, folder: Path) -> None:
    before = contents(folder)
    found, text = run(folder, words)
    assert message in text
    assert found == code
    assert text.startswith("txmon: ")
    assert "Traceback" not in text
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"TXMON_CONFIG": "bad.toml"}, "bad.toml: min_count: 'x' is not a number"),
        ({"TXMON_CONFIG": "key.toml"}, "key.toml: unknown setting 'buket'; did you mean 'bucket'?"),
        ({"TXMON_CONFIG": "quotes.toml"}, 'A line is NAME = VALUE, and texts need quotes: bucket = "5m"'),
        ({"TXMON_CONFIG": "none.toml"}, "none.toml: no such file (TXMON_CONFIG)"),
        ({"TXMON_MIN_COUNT": "x"}, "TXMON_MIN_COUNT: 'x' is not a number"),
        ({"TXMON_MINCOUNT": "5"}, "did you mean 'TXMON_MIN_COUNT'?"),
    ],
)
def test_a_mistake_in_the_settings_costs_nothing(variables: dict[str, str], message: str, folder: Path) -> None:
    code, text = run(folder, "replay transactions.csv", variables)
    assert code == 78
    assert message in text


@pytest.mark.parametrize(
    ("words", "option"), [("--direction approvd=below", "--direction"), ("--rule 'approvd: count > 900'", "--rule")]
)
def test_a_misspelt_status_is_reported_and_the_run_goes_on(words: str, option: str, folder: Path) -> None:
    code, text = run(folder, f"replay transactions.csv --out verdicts.jsonl {words}")
    assert code == 0
    assert f"{option}: no row had the status 'approvd'; did you mean 'approved'?" in text


def test_an_output_through_a_descriptor_of_the_input_is_refused(folder: Path) -> None:
    before = contents(folder)
    with (folder / "transactions.csv").open("r+b") as file:
        done = subprocess.run(
            [TXMON, "replay", "transactions.csv", "--out", f"/dev/fd/{file.fileno()}"], cwd=folder, check=False,
            env=environment(folder, {}), pass_fds=(file.fileno(),), capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 2
    assert "is the input transactions.csv. txmon never writes to its input." in done.stderr
    assert contents(folder) == before


def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("time,status\n")
    (tmp_path / "secret.csv").chmod(0)
    assert run(tmp_path, "replay secret.csv", limited=True) == (66, "txmon: secret.csv: Permission denied\n")


def test_a_folder_without_permission_keeps_what_is_in_it(tmp_path: Path, folder: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "verdicts.jsonl").write_text("kept")
    (closed / "verdicts.jsonl").chmod(0o400)
    closed.chmod(0o500)
    code, text = run(folder, f"replay transactions.csv --out {closed}/verdicts.jsonl", limited=True)
    closed.chmod(0o700)
    assert (code, text) == (74, f"txmon: {closed}/verdicts.jsonl: Permission denied\n")
    assert (closed / "verdicts.jsonl").read_text() == "kept"


def test_a_closed_pipe_is_success_without_a_message(folder: Path) -> None:
    words = f"set -o pipefail; {shlex.quote(TXMON)} replay transactions.csv | head -1"
    done = subprocess.run(
        ["bash", "-c", words], cwd=folder, env=environment(folder, {}), capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b'{"time": ')


CHART = "replay transactions.csv --chart always --out verdicts.jsonl"


def test_a_locale_without_utf_8_gets_a_chart_in_ascii(folder: Path) -> None:
    code, text = run(folder, CHART, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "COLUMNS": "80"})
    assert code == 0
    assert text.isascii()
    assert ":: normal" in text


def test_a_narrow_terminal_gets_lines_that_fit(folder: Path) -> None:
    code, text = run(folder, CHART, {"COLUMNS": "40", "LINES": "20"})
    assert code == 0
    assert text
    assert max(len(line) for line in text.splitlines()) <= 40


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_switched_off(variables: dict[str, str], folder: Path) -> None:
    child = pexpect.spawn(
        TXMON, ["inspect", "transactions.csv"], cwd=str(folder), encoding="utf-8", timeout=60,
        env=environment(folder, {"TERM": "xterm-256color", **variables}),
    )  # fmt: skip
    text = child.read()
    child.close()
    assert child.exitstatus == 0
    assert "approved" in text
    assert not re.search(r"\x1b\[[0-9;]*3[0-9][0-9;]*m", text)


def test_windows_line_ends_in_a_config_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "txmon.toml").write_bytes(b'bucket = "5m"\r\n[statuses]\r\nsuccess = ["paid"]\r\n')
    done = subprocess.run(
        [TXMON, "config"], cwd=tmp_path, env=environment(tmp_path, {}), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert 'bucket = "5m"' in done.stdout
    assert "paid" in done.stdout
