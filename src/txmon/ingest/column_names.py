"""Tells from the names of columns what they contain: counts, zones, days, or a count for one status."""

import re
from typing import Final

from txmon.ingest.fields import plain_name
from txmon.model.statuses import role_of
from txmon.support.lazy_pattern import LazyPattern

STATUS_WORDS: Final = frozenset(
    (
        "approved", "denied", "declined", "failed", "failure", "reversed", "backend_reversed", "processing", "refunded",
        "refund", "pending", "success", "successful", "succeeded", "error", "errors", "rejected", "refused",
        "cancelled", "canceled", "chargeback", "chargedback", "authorised", "authorized", "captured", "settled", "paid",
        "completed",
        "timeout", "timed_out", "expired", "voided", "void", "disputed", "aborted", "ok", "created", "in_process",
        "in_progress", "partially_refunded", "received", "sent", "unpaid", "blocked", "fraud", "new", "open", "closed",
        "aprovada", "aprovado", "negada", "negado", "recusada", "recusado", "falha", "falhou", "estornada", "estornado",
        "pendente", "processando", "cancelada", "cancelado", "reembolsada", "reembolsado", "paga", "pago", "aprobada",
        "aprobado", "rechazada", "rechazado", "fallida", "fallido", "denegada", "denegado", "pendiente", "devuelta",
        "devuelto", "reversada", "reversado", "anulada", "anulado", "exitosa", "exitoso", "autorizada", "autorizado",
    )
)  # fmt: skip
# columns that may be a count, an amount of money or a quantity of goods
MAYBE_COUNTS: Final = (
    "value", "total", "quantity", "qty", "n", "size", "volume", "sum", "number", "num", "metric_value", "y",
    "len", "requests", "records", "rows", "trx", "txns", "tx", "sum_value", "value_sum", "quantidade", "qtd", "qtde",
    "cantidad", "nombre", "numero", "stueck", "stuck",
)  # fmt: skip
# words in the names of numeric columns that are not counts
NO_COUNT: Final = (  # compiled at first use
    r"(^|_)(id|ids|code|codigo|cod|mcc|bin|pan|card|cartao|tarjeta|zip|cep|terminal|tid|nsu|merchant|loja|shop|store|"
    r"customer|client|account|user|phone|age|year|month|day|hour|minute|second|lat|long|lon|latitude|longitude|"
    r"installments?|parcelas?|cuotas?|price|amount|valor|betrag|montant|importo|fee|tax|balance|gross|net|rate|ratio|pct|percent|share|"
    r"line|seq|sequence|index|position|version|port|ip|priority|level|latency|duration|ms|seconds|"
    r"response|reason|init|offset|init_offset|span|spandays|table|currency|order|invoice|batch|lote|ref|reference|unix|unix_time|epoch|timestamp|time|date|row|"
    r"unnamed|city_pop|pop|is|flag|dow|weekday|week|avg|mean|min|max|std|median|p50|p90|p95|p99)(_|$|\d)"
)
ZONE_NAMES: Final = LazyPattern(
    r"(?:.*_)?(?:time_?zone|tz|fuso|fuso_horario|zona_horaria|utc_offset|gmt_offset|tz_offset)|zone|zona|offset"
)
# yes-or-no columns that say whether a transaction succeeded
BOOLEAN_NAMES: Final = frozenset(
    ("success", "successful", "succeeded", "is_success", "is_successful", "approved", "is_approved", "ok", "paid",
     "is_paid", "accepted", "sucesso", "aprovado", "aprovada", "aprobado", "aprobada", "exitoso")
)  # fmt: skip
CLOCK_WORDS: Final = frozenset(
    ("time", "hora", "horario", "hour", "hr", "clock", "uhrzeit", "zeit", "heure", "ora", "cputm", "erzet", "uzeit")
)
# among several columns of times: names for the time of something else than the transaction
_LATER: Final = LazyPattern(
    r"(^|_)(end|ended|stop|finish\w*|complet\w*|updat\w*|modif\w*|changed|settle\w*|payout|paid|refund\w*|captur\w*|"
    r"cancel\w*|void\w*|expir\w*|approv\w*|due|valid\w*|birth\w*|dob|receiv\w*|ingest\w*|deliver\w*|fulfil\w*|"
    r"available|export\w*|load\w*|extract\w*|dispute\w*|statement|release\w*|deposit\w*|transfer\w*|shipp\w*|"
    r"fim|final|termino|atualiza\w*|liquida\w*|pagamento|previs\w*|vencimento|compensa\w*|cancelamento|baixa|"
    r"fin|actualiza\w*|acredita\w*|liberac\w*|vencimiento|pago)(_|$|at$)"
)
# among several columns with statuses: names for details of another column
_DETAIL: Final = LazyPattern(r"(^|_)(detail|details|detalle|detalhe|reason|sub|substatus|description|message)(_|$)")


def is_later(column: str) -> bool:
    """Return whether a column's name shows that its time is that of something after the transaction."""
    return _LATER.search(plain_name(column)) is not None


def is_detail(column: str) -> bool:
    """Return whether a column's name shows that it explains the status, which is in another column."""
    return _DETAIL.search(plain_name(column)) is not None


DAY_NAMES: Final = frozenset(
    (
        "date",
        "data",
        "fecha",
        "dia",
        "day",
        "datum",
        "jour",
        "giorno",
        "budat",
        "cpudt",
        "erdat",
        "udate",
        "buchungstag",
    )
)
# functions of SQL and of log query languages after which a column of times may be named
TRUNCATED: Final = LazyPattern(
    r"(?:\w+\.)?(?:bin|date_?trunc|date_bin|date_format|time_bucket|strftime|tostartof\w*|(?:timestamp|datetime)_trunc|"
    r"from_unixtime|to_timestamp|window|minute|hour)\s*\(",
    re.IGNORECASE,
)
STRONG: Final = LazyPattern(r"(^|_)status($|_)")
_AFFIX: Final = LazyPattern(
    r"^(?:count|cnt|num|n|qtd|total|sum|status|transactions|txns?)_(?=.)|(?<=.)_(?:count|counts|cnt|qtd|total|transactions|txns?|txn_count)$"
)
_LABEL: Final = LazyPattern(r'[{,]\s*(?:\w*status\w*|state|result|code)\s*[=:]\s*"?([^",}]+)"?', re.IGNORECASE)


def status_named(column: str) -> str | None:
    """Return the status whose counts are in a column, or None if its name is not a status."""
    label = _LABEL.search(column)
    if label is not None:
        return label[1].strip().lower()
    plain = plain_name(column)
    bare = _AFFIX.sub("", plain)
    if is_status(plain):
        return column.strip().lower() if plain_name(column.strip()) == plain and " " not in column else plain
    if is_status(bare):
        return bare
    last = plain.rpartition("_")[2]
    return (
        bare if not last.isdecimal() and is_status(last) and not re.search(NO_COUNT, plain.rpartition("_")[0]) else None
    )


def is_status(word: str) -> bool:
    """Return whether `word` is a known name of a status."""
    if word in STATUS_WORDS:
        return True
    return 0 < len(word) <= 40 and (len(word) == 2 or not word.isdecimal()) and role_of(word) != ""
