"""Defines the fields of a record: the columns that each is read from, and the meaning of a value.

Case and spelling of a column's name do not matter: `Transaction Status`, `transactionStatus` and `transaction_status`
are one name. `--map FIELD=COLUMN` names another column. An empty column switches the field off.

A value that cannot be read raises `Fault` with the reason in words.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import isfinite
from typing import Final

from txmon.model.keys import TOTAL
from txmon.support.lazy_pattern import LazyPattern

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "time": ("time", "timestamp", "ts", "datetime", "created_at"),
    "status": ("status", "state", "result"),
    "count": ("count", "f1", "f0_", "quantity", "n"),
    "amount": ("amount", "value"),
    "id": ("id", "transaction_id", "event_id"),
}
# more names, in the form of `plain_name`, best first; every name in NAMES is better than these
ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "time": (
        "timestamp_utc", "time_utc", "date_time", "datetime_utc", "event_time", "event_timestamp", "eventtime",
        "transaction_time", "transaction_timestamp", "transaction_datetime", "txn_time", "trans_date_trans_time",
        "transaction_date_time", "payment_time", "created", "createdat", "created_time", "created_on", "created_date",
        "created_date_utc", "created_utc", "created_at_utc", "created_datetime", "date_created", "creation_date",
        "creation_time", "datecreated",
        "event_date", "event_datetime", "occurred_at", "processed_at", "processed_on", "booking_date",
        "time_generated", "timegenerated", "timeslice", "begin_time_seconds", "authorized_at",
        "authorised_at", "completed_at", "paid_at", "logged_at",
        "log_time", "minute", "minutes", "bucket", "time_bucket", "window_start", "period", "interval",
        "interval_start", "hour", "minuto", "data_hora", "datahora", "horario", "data_horario", "fecha_hora",
        "fechahora", "data_e_hora", "fecha_y_hora", "transaction_date",
        "txn_date", "trans_date", "payment_date", "date", "data", "fecha", "dia", "day", "date_utc", "data_da_venda",
        "data_venda", "data_transacao", "data_da_transacao", "fecha_de_creacion", "fecha_transaccion", "hora",
        "hora_da_venda", "hora_venda", "hora_transacao", "time_of_day", "start_time", "start", "window_start_time",
        "local_time", "zeitstempel", "zeitpunkt", "datum", "date_et_heure", "date_heure", "data_ora", "data_e_ora",
    ),
    "status": (
        "transaction_status", "payment_status", "txn_status", "tx_status", "trans_status", "order_status",
        "charge_status", "status_name", "status_description", "status_transacao", "status_da_transacao",
        "status_da_venda", "situacao", "situacao_da_venda", "situacao_da_transacao", "estado",
        "estado_de_la_transaccion",
        "estado_transaccion", "estado_pago", "resultado", "transaction_state", "transaction_result", "payment_state",
        "payment_result", "outcome", "decision", "response_code", "auth_code", "resp_code", "responsecode",
        "authcode", "iso_response_code", "result_code", "response", "resposta", "codigo_resposta", "codigo_de_resposta",
        "codigo_respuesta", "series", "event_type", "statut", "esito", "stato", "ergebnis", "de39", "de_39",
        "field39", "field_39", "f39", "bit39", "p39",
    ),
    "count": (
        "count_1", "count_star", "counts", "cnt", "ct", "f0", "txn_count", "tx_count", "trx_count", "transaction_count",
        "transactions_count", "transactions", "transacoes", "transacciones", "num_transactions", "n_transactions",
        "no_of_transactions", "number_of_transactions", "total_transactions", "total_count", "row_count", "num_rows",
        "record_count", "event_count", "events", "occurrences", "hits", "doc_count", "frequency", "freq",
        "count_distinct", "sum_count", "count_sum", "contagem", "quantidade", "quantidade_de_transacoes", "qtd", "qtde",
        "qtd_transacoes", "cantidad", "cantidad_de_transacciones", "conteo", "anzahl",
        "nombre_de_transactions", "numero_transazioni",
    ),
    "amount": (
        "transaction_amount", "payment_amount", "amt", "amount_usd", "gross", "valor", "valor_da_venda", "importe",
        "monto", "betrag", "montant", "importo",
    ),
    "id": ("transactionid", "txn_id", "payment_id", "psp_reference"),
    "date": (),
    "zone": (),
    "currency": (),
}  # fmt: skip
# the fields that --map accepts; date and zone complete a time of day
FIELDS: Final = (*NAMES, "date", "zone", "currency")
# names of the column with an amount's currency, in the form of `plain_name`, best first
CURRENCIES: Final = (
    "currency", "currency_code", "amount_currency", "transaction_currency", "ccy", "moeda", "moneda", "divisa",
)  # fmt: skip
_COUNTED: Final = LazyPattern(r"\s*count\s*\(.*\)\s*", re.IGNORECASE)  # SQL and Splunk name a count of rows like this
_COUNTABLE: Final = (
    r"(?:records|rows|events|transactions?|transacoes|transacciones|txns?|trxs?|payments|pagamentos|pagos|operations)"
)
_NUMBER_OF: Final = LazyPattern(
    rf"(?:count|number|num|no|nr|n|total|qtd|qtde|quantidade|cantidad)_(?:(?:of|de|distinct)_)?{_COUNTABLE}"
    rf"|{_COUNTABLE}_(?:count|total|number)"
    r"|(?:distinct_)?count_(?:distinct_)?of_.+"  # Power BI and Tableau: `Count of id`, `Distinct count of Txn Id`
)
NEEDED: Final = ("time", "status")
MAX_COUNT: Final = 10**15  # above it, sums are no longer exact in a float
MAX_STATUS: Final = 256


_HUMP: Final = LazyPattern(r"([a-z0-9])([A-Z])")
_OTHER: Final = LazyPattern(r"[^a-z0-9]+")
# a number with thousands separators: commas, points, quotes or spaces (Unicode has three of them)
_GROUPED: Final = LazyPattern(r"\d{1,3}(?:(?:,\d{3})+|(?:\.\d{3})+|(?:[ '’\xa0\u2009\u202f]\d{3})+)", re.ASCII)
_NOTHING: Final = frozenset(("null", "none", "nan", "na", "n/a", "\\n", "<na>", "undefined", "-", ""))
_MONEY: Final = LazyPattern(r"[^\d.,()+-]+")  # signs and codes of currencies, spaces


class Fault(Exception):
    """Signals that a line, or a value of it, cannot be read. Its text gives the reason."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        self.reason = reason


def columns_of(mapping: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the names in lower case that each field's column may have, best first.

    `mapping` replaces the names of some fields.
    """
    return {name: tuple(names_of(mapping[name])) if name in mapping else NAMES.get(name, ()) for name in FIELDS}


def names_of(mapped: str) -> list[str]:
    """Return the column that `--map` names, in lower case.

    The list is empty for an empty name, which switches the field off.
    """
    return [mapped.lower()] if mapped else []


@lru_cache(maxsize=4096)
def plain_name(name: str) -> str:
    """Return `name` in lower case with `_` between words, without accents: `Created date (UTC)` is created_date_utc."""
    text = _HUMP.sub(r"\1_\2", unicodedata.normalize("NFKD", name[:200]))
    words = _OTHER.sub("_", "".join(c for c in text.lower() if not unicodedata.combining(c)))
    return words.strip("_")


def choose(names: Iterable[str], mapping: Mapping[str, str]) -> dict[str, list[str]]:
    """Return which of a row's `names` each field can be read from, best first, without fields that have none.

    Each name serves one field only. The reading decides about names that need a look at the values, such as a `value`
    that may be a count.
    """
    own = list(names)
    lower = {name.lower(): name for name in reversed(own)}
    found: dict[str, list[str]] = {}
    for field, wanted in columns_of(mapping).items():
        some = [lower[column] for column in wanted if column in lower]
        if some:
            found[field] = some
    missing = [field for field in NAMES if field not in found and field not in mapping]
    if missing:
        taken = {some[0] for some in found.values()} | {column for column in own if column in mapping.values()}
        plain: dict[str, str] = {}
        for name in own:
            if name not in taken:
                plain.setdefault("count" if is_count(name) else plain_name(name), name)
        for field in missing:
            alias = next((plain[name] for name in (*NAMES[field], *ALIASES[field]) if name in plain), None)
            if alias is not None and alias not in taken:
                found[field] = [alias]
                taken.add(alias)
    return found


def currency_column(names: Iterable[str], mapping: Mapping[str, str]) -> str:
    """Return which of a row's `names` contains the currency of its amount, or "". mapping: as --map gives it."""
    own = list(names)
    if "currency" in mapping:
        wanted = mapping["currency"].lower()
        return next((name for name in own if name.lower() == wanted), "")
    plain = {plain_name(name): name for name in reversed(own)}
    return next((plain[name] for name in CURRENCIES if name in plain), "")


def is_count(name: str) -> bool:
    """Return whether a column's name is that of a count: `count(*)`, `Number of transactions`, `txn_count`."""
    return _COUNTED.fullmatch(name) is not None or _NUMBER_OF.fullmatch(plain_name(name)) is not None


def cell_of(value: object) -> str:
    """Return a JSON value as text, to be read as part of a time."""
    return value if isinstance(value, str) else "" if value is None else str(value)


def label_of(value: object) -> str:
    """Return an id or a dimension's value as text without surrounding spaces, or "" for None."""
    return _written(value.strip()) if isinstance(value, str) else "" if value is None else _written(str(value))


def _written(text: str) -> str:
    """Return `text`.

    Raise Fault if it cannot be encoded as UTF-8, because JSON's escapes can spell half of a surrogate pair.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Fault("encoding", "half of a surrogate pair is not a character") from None
    return text


def status_of(value: object) -> str:
    """Return a status in lower case without surrounding spaces. Raise Fault if it is not valid."""
    if not isinstance(value, str):
        if type(value) is not int:
            raise Fault("status", f"a {type(value).__name__} is not a status")
        value = str(value)  # a response code
    return _spelled(value) if len(value) <= MAX_STATUS else _new_status(value)


@lru_cache(maxsize=1024)
def _spelled(text: str) -> str:
    return _new_status(text)  # most statuses are one of a few known ones


def _new_status(value: str) -> str:
    status = _written(value.strip().lower())
    if not status:
        raise Fault("status", "the status is empty")
    if len(status) > MAX_STATUS:
        raise Fault("status", f"a status of {len(status)} characters, at most {MAX_STATUS} are accepted")
    if status == TOTAL:
        raise Fault("status", f"{TOTAL!r} stands for all statuses together")
    return status


def count_of(value: object, decimal: str = "") -> int:
    """Return a number of transactions, 0 to MAX_COUNT. Raise Fault if it is not valid.

    decimal: the decimal mark, `.` or `,`. If it is empty, a mark before three digits separates thousands.
    """
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value
    if isinstance(value, str):
        return int(value) if value.isdecimal() and len(value) <= 15 else _written_count(value, decimal)
    shown = str(value)[:60] if not isinstance(value, int) or abs(value) < MAX_COUNT else "a huge number"
    number = float(value) if isinstance(value, float) else -1.0
    if not (0 <= number <= MAX_COUNT and number == int(number)):
        raise Fault("count", f"{shown!r} is not a whole number from 0 to 10^15")
    return int(number)


def is_nothing(text: str) -> bool:
    """Return whether a cell of a count is empty, `NaN`, `NULL` or similar."""
    return text.strip().lower() in _NOTHING


def _written_count(text: str, decimal: str) -> int:
    """Return a count in a form that people and spreadsheets write: `1,234`, `1.234`, `1 234`, `12.0`, `12,0`, `1e3`."""
    plain = text.strip()
    whole, mark, rest = plain, "", ""
    if decimal:
        whole, mark, rest = plain.partition(decimal)
    elif _GROUPED.fullmatch(plain) is None:
        at = max(plain.rfind(","), plain.rfind("."))
        if at >= 0:
            whole, mark, rest = plain[:at], plain[at], plain[at + 1 :]
    if _GROUPED.fullmatch(whole) is not None and (not mark or mark not in whole):
        whole = "".join([one for one in whole if one.isdecimal()])
    try:
        number = float(f"{whole}.{rest}" if mark else whole)
    except ValueError:
        number = -1.0
    if not (0 <= number <= MAX_COUNT and number == int(number)):
        raise Fault("count", f"{plain[:60]!r} is not a whole number from 0 to 10^15" if plain else "the count is empty")
    return int(number)


def decimal_of(texts: Iterable[str]) -> str:
    """Return the decimal mark of these counts, or "" if the marks separate thousands or there is none.

    `118.0` proves a decimal point. So do counts that all end in `.000`, because no stream has only full thousands.
    """
    for mark in ",.":
        marked = [text for text in texts if mark in text]
        if not marked:
            continue
        grouped = [text for text in marked if _GROUPED.fullmatch(text.strip()) is not None]
        other = "." if mark == "," else ","
        if len(grouped) < len(marked) and not any(text.rfind(other) > text.rfind(mark) for text in marked):
            return mark
        if len(grouped) == len(marked) and all(text.strip().endswith(mark + "000") for text in texts):
            return mark
    return ""


def amount_of(value: object) -> float | None:
    """Return an amount of money, or None if it is not a finite number.

    An amount that cannot be read does not affect counts.
    """
    if isinstance(value, str):
        return _money(value)
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _money(text: str) -> float | None:
    """Return `1,250.00`, `R$ 1.250,00` or `(12.00)` as a number.

    Return None if a single mark may separate thousands or decimals, as in 1,250.
    """
    try:
        number = float(text)
    except ValueError:
        plain = _MONEY.sub("", text[:60])
        if plain.startswith("(") and plain.endswith(")"):
            plain = "-" + plain[1:-1]
        comma, point = plain.rfind(","), plain.rfind(".")
        if comma >= 0 and point >= 0:
            plain = plain.replace("." if comma > point else ",", "").replace(",", ".")
        elif plain.count(",") == 1 and len(plain) - comma != 4:
            plain = plain.replace(",", ".")
        try:
            number = float(plain)
        except ValueError:
            return None
    return number if isfinite(number) else None
