"""Formats verdicts, incident events and rises as JSON lines.

docs/verdict.schema.json defines the shape of a line: keys in the order written here, without optional keys that do not
apply. Times are ISO 8601 with `Z`.
"""

import json
from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import u8

from txmon.model.clock import iso
from txmon.model.encoding import (
    decoded,
    encoded,
    quoted,
    utf8,
    write_fixed,
    write_number,
    write_significant,
    write_whole,
)
from txmon.model.keys import Key
from txmon.model.outcome import IncidentEvent, Rise
from txmon.model.statuses import shown
from txmon.model.verdict import Verdict

QUOTE: Final[u8] = 34
BRACE: Final[u8] = 125
# the middle of a line without a finding, by window
OK: Final = [f', "window": {window}, "recommendation": "ok", "reasons": [], "text": "'.encode() for window in range(16)]


def verdict_line(v: Verdict) -> str:
    """Return `v` as its JSON line, without the newline."""
    out = BytesWriter()
    write_verdict(out, v, line_start(v.time))
    return decoded(out.getvalue())


def line_start(time: int) -> bytes:
    """Return the beginning that the lines of all verdicts of the bucket at `time` share."""
    return f'{{"time": "{iso(time)}", "status": '.encode()


def write_verdict(out: BytesWriter, v: Verdict, start: bytes) -> None:
    """Write `v` as its JSON line, without the newline. start: `line_start(v.time)`.

    It formats bytes itself, because json.dumps takes many times as long.
    """
    status = encoded(v.status)
    out.write(start)
    out.write(status.quoted)
    if v.key:
        _write_key(out, v.key)
    out.write(b', "count": ')
    write_whole(out, v.count)
    out.write(b', "total": ')
    write_whole(out, v.total)
    out.write(b', "expected": ')
    if v.expected < 9999.5:  # four significant digits, without an exponent for whole numbers
        write_significant(out, v.expected, 4)
    else:
        write_fixed(out, v.expected, 0)
    out.write(b', "low": ')
    write_whole(out, v.low)
    out.write(b', "high": ')
    write_whole(out, v.high)
    out.write(b', "score": ')
    write_fixed(out, v.score, 2)
    if v.recommendation == "ok" and not v.reasons and v.window < len(OK):
        out.write(OK[v.window])
    else:
        _write_finding(out, v)
    v.write_text(out, status.escaped, json=True)
    out.append(QUOTE)
    if v.incident is not None:
        out.write(b', "incident": ')
        out.write(quoted(v.incident))
    if v.partial:
        out.write(b', "partial": true')
    if v.revises:
        out.write(b', "revises": true')
    if v.drivers is not None:
        out.write(b', "drivers": ')
        out.write(_json([one.row() for one in v.drivers]))
    if v.money:
        out.write(b', "money": ')
        out.write(_json([one.row() for one in v.money]))
    if v.rarity > 0.0 and v.recommendation == "alert":
        out.write(b', "rarity": ')
        write_number(out, v.rarity)
    out.append(BRACE)


def _json(value: object) -> bytes:
    return utf8(json.dumps(value, ensure_ascii=False))


def _write_key(out: BytesWriter, key: Key) -> None:
    before = b', "key": {'
    for name, value in key:
        out.write(before)
        out.write(encoded(name).quoted)
        out.write(b": ")
        out.write(quoted(value))
        before = b", "
    out.append(BRACE)


def _write_finding(out: BytesWriter, v: Verdict) -> None:
    """Write the middle of the line of a verdict with a finding, up to its text."""
    out.write(b', "window": ')
    write_whole(out, v.window)
    out.write(b', "recommendation": ')
    out.write(encoded(v.recommendation).quoted)
    out.write(b', "reasons": [')
    before = b""
    for reason in v.reasons:
        out.write(before)
        out.write(quoted(reason))
        before = b", "
    out.write(b'], "text": "')


def event_line(e: IncidentEvent) -> str:
    """`e` as its JSON line, without the newline."""
    row: dict[str, object] = {"time": iso(e.time), "event": "incident", "state": e.state, "id": e.id}
    row["statuses"] = list(e.statuses)
    if e.key:
        row["key"] = dict(e.key)
    row |= {"label": e.label, "start": iso(e.start), "peak": iso(e.peak), "observed": e.observed}
    row |= {"expected": round(e.expected, 2), "excess": round(e.excess, 1), "text": e.text}
    row |= {"severity": e.severity, "root": e.root or e.statuses[0], "low": e.low, "high": e.high, "total": e.total}
    row |= where_they_apply(e)
    if e.silent_until:
        row["silent_until"] = iso(e.silent_until)
    return json.dumps(row, ensure_ascii=False)


def where_they_apply(e: IncidentEvent) -> dict[str, object]:
    """Return the fields that only some incidents have, as values that JSON can represent."""
    row: dict[str, object] = {}
    if e.times > 1:
        row["times"] = e.times
    if e.keys:
        row["keys"] = [{"key": dict(key), "excess": round(excess, 1)} for key, excess in e.keys]
        row["key_count"] = e.key_count
    if e.no_data_since:
        row["no_data_since"] = iso(e.no_data_since)
    if e.usual:
        row["usual"] = round(e.usual, 2)
    row |= {name: text for name, text in (("note", e.note), ("parent", e.parent)) if text}
    if e.drivers is not None:
        row["drivers"] = [one.row() for one in e.drivers]
    if e.money:
        row["money"] = [one.row() for one in e.money]
    return row


def rise_line(rise: Rise) -> str:
    """`rise` as its JSON line, without the newline."""
    row = {"time": iso(rise.time), "event": "trend", "status": rise.status, "trend": "rising a lot"}
    text = f"{shown(rise.status)} is rising a lot: {rise.slope:.1f} a minute more every minute, {rise.count} now"
    return json.dumps(row | {"slope": round(rise.slope, 2), "count": rise.count, "text": text}, ensure_ascii=False)
