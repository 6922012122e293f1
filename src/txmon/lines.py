"""The JSON lines that verdicts, incident events and rises become.

A line's shape is the contract of docs/verdict.schema.json: keys in the order written here, optional ones absent where
they do not apply. Times are ISO 8601 with `Z`.
"""

import json
from typing import Final

from .decimals import fixed, significant, whole
from .trend import Rise
from .verdict import IncidentEvent, Key, Verdict, iso

CACHED: Final = 4096  # statuses remembered in quotes
# the middle of a line that finds nothing, by window
OK: Final = [f', "window": {window}, "recommendation": "ok", "reasons": [], "text": ' for window in range(16)]
_quoted: Final = json.encoder.encode_basestring  # JSON string, non-ASCII left as it is
_names: Final[dict[str, str]] = {}


def _quoted_name(name: str) -> str:
    """A status in quotes: there are few, and each is written often."""
    found = _names.get(name)
    if found is None:
        if len(_names) >= CACHED:
            _names.clear()
        found = _names[name] = _quoted(name)
    return found


def _key(key: Key) -> str:
    return "{" + ", ".join([f"{_quoted(name)}: {_quoted(value)}" for name, value in key]) + "}"


def verdict_line(v: Verdict) -> str:
    """`v` as its JSON line, without the newline."""
    return verdict_line_from(v, line_start(v.time))


def line_start(time: int) -> str:
    """How the line of every verdict of the bucket at `time` begins."""
    return f'{{"time": "{iso(time)}", "status": '


def verdict_line_from(v: Verdict, start: str) -> str:
    """The same where the caller knows `line_start(v.time)`. Written by hand: json.dumps takes many times as long."""
    status = _quoted_name(v.status)
    key = f'"key": {_key(v.key)}, ' if v.key else ""
    if v.recommendation == "ok" and not v.reasons and v.window < len(OK):
        said = OK[v.window]
    else:
        reasons = ", ".join([_quoted(reason) for reason in v.reasons])
        said = (
            f', "window": {whole(v.window)}, "recommendation": "{v.recommendation}", "reasons": [{reasons}], "text": '
        )
    # what a text is made of needs no escapes, but for the status and what others said
    text = f'"{v.text}"' if v.is_plain() and len(status) == len(v.status) + 2 else _quoted(v.text)
    # four significant digits, and no exponent that a whole number can do without
    expected = significant(v.expected, 4) if v.expected < 9999.5 else format(v.expected, ".0f")
    more = ""
    if v.incident is not None:
        more = f', "incident": {_quoted(v.incident)}'
    if v.partial:
        more += ', "partial": true'
    if v.revises:
        more += ', "revises": true'
    # no format specification in this text: mypyc compiles such a text to a plain concatenation
    return (
        f'{start}{status}, {key}"count": {whole(v.count)}, "total": {whole(v.total)}, "expected": {expected}, '
        f'"low": {whole(v.low)}, "high": {whole(v.high)}, "score": {fixed(v.score, 2)}{said}{text}{more}}}'
    )


def event_line(e: IncidentEvent) -> str:
    """`e` as its JSON line, without the newline."""
    row: dict[str, object] = {"time": iso(e.time), "event": "incident", "state": e.state, "id": e.id}
    row["statuses"] = list(e.statuses)
    if e.key:
        row["key"] = dict(e.key)
    row |= {"label": e.label, "start": iso(e.start), "peak": iso(e.peak), "observed": e.observed}
    row |= {"expected": round(e.expected, 2), "excess": round(e.excess, 1), "text": e.text}
    return json.dumps(row, ensure_ascii=False)


def rise_line(rise: Rise) -> str:
    """`rise` as its JSON line, without the newline."""
    row = {"time": iso(rise.time), "event": "trend", "status": rise.status, "trend": "rising a lot"}
    text = f"{rise.status} is rising a lot: {rise.slope:.1f} a minute more every minute, {rise.count} now"
    return json.dumps(row | {"slope": round(rise.slope, 2), "count": rise.count, "text": text}, ensure_ascii=False)
