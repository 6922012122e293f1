"""What the long fuzz runs call with bytes, and the ordinary run with the corpus that they left: one function a target.

A target returns where txmon takes or refuses its input as it promises, and raises where it does not. The HTTP target
has a module of its own, fuzz_http.
"""

import gzip
import json
import os
import tempfile
import tomllib
from collections.abc import Iterable
from copy import deepcopy
from datetime import UTC, date
from math import isclose, isnan
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from txmon.errors import BadData, ConfigError, UsageError
from txmon.ingest.aggregate.aggregator import Aggregator
from txmon.ingest.aggregate.ledger import Item, Tally
from txmon.ingest.fields import MAX_COUNT
from txmon.ingest.records import ParseOptions, Record, RecordParser, Reject
from txmon.ingest.rejects import reject_line
from txmon.ingest.timestamps import LATEST, TimeParser
from txmon.model.keys import Key
from txmon.pipeline.pipeline import Pipeline
from txmon.runtime.factory import pipeline_of, pipeline_of_state, restore
from txmon.runtime.state_file import load as load_state
from txmon.settings.declarations import DECLARATIONS, Settings, variable
from txmon.settings.load import as_toml, load
from txmon.settings.rule import NAMES, parse_rule, parse_rules
from txmon.sinks.lines import event_line, rise_line, verdict_line
from txmon.support.terminal_text import printable

NOW: Final = 1772445600  # 2026-03-02T10:00:00Z
DAY: Final = date(2026, 3, 2)
WIDTH: Final = 60
KINDS: Final = ("auto", "csv", "jsonl", "auto")
BY: Final = ((), ("merchant",), ("merchant", "issuer"), ())
ZONES: Final = (UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("America/Sao_Paulo"), UTC)


def records(data: bytes) -> None:
    """Lines through the parser and through the tally's fast path: the same records, rejects and verdicts.

    The first byte chooses how lines are read, the second in how large pieces they come.
    """
    if len(data) < 3:
        return
    how, piece, lines = data[0], data[1] % 9 + 1, data[2:].split(b"\n")
    slow, fast = _parser(how), _parser(how)
    found: list[Item | Reject] = []
    tallied: list[Item | Reject] = []
    refused = _taken(found, (slow.parse([line]) for line in lines))
    tallier = Aggregator(fast, WIDTH)
    again = _taken(tallied, (tallier.take(lines[at : at + piece]) for at in range(0, len(lines), piece)))
    assert refused == again
    if refused is not None:
        assert len(refused) < 4000
        return
    _check(found, len(lines))
    assert _summed(found) == _summed(tallied)
    assert slow.snapshot() == fast.snapshot()
    _parser(how).restore(json.loads(json.dumps(slow.snapshot())))
    if how & 64 and sum(data) % 16 == 0:
        _judged_alike(found, tallied, BY[how >> 2 & 3])


def _parser(how: int) -> RecordParser:
    mapping = {"count": "F1"} if how & 128 else {}
    options = ParseOptions(KINDS[how & 3], mapping, BY[how >> 2 & 3], max_line=400)
    parser = RecordParser("f", options, TimeParser(ZONES[how >> 4 & 3], DAY))
    if how & 48 == 48:  # as in a live run
        parser.admit(NOW, 3600)
    return parser


def _taken(into: list[Item | Reject], pieces: Iterable[Iterable[Item | Reject]]) -> str | None:
    """Gather `pieces`; why they cannot be read at all, if so."""
    try:
        for piece in pieces:
            into.extend(piece)
    except BadData as bad:
        return str(bad)
    return None


def _check(found: list[Item | Reject], lines: int) -> None:
    assert len(found) <= lines
    for item in found:
        if isinstance(item, Reject):
            assert item.kind
            assert "\n" not in printable(item.reason, None)
            json.loads(reject_line(item))
        else:
            assert isinstance(item, Record)
            assert 0 <= item.time <= LATEST
            assert 0 <= item.count <= MAX_COUNT
            assert item.status == item.status.strip().lower() not in ("", "*")
            item.status.encode()


def _summed(items: list[Item | Reject]) -> list[object]:
    """`items` with what follows each other in one bucket added up: the same for records and for tallies."""
    found: list[object] = []
    run: tuple[int, int, int, dict[Key, dict[str, int]]] | None = None
    for item in [*items, None]:
        if isinstance(item, Tally):
            start, first, newest = item.start, item.first, item.time
            counts = [(key, status, n) for key, statuses in item.counts.items() for status, n in statuses.items()]
        elif isinstance(item, Record) and item.id is None:
            start, first, newest = item.time - item.time % WIDTH, item.time, item.time
            counts = [(item.key, item.status, item.count)]
        else:
            start, first, newest, counts = -1, 0, 0, []
        if run is not None and run[0] != start:
            found.append((*run[:3], [(key, list(statuses.items())) for key, statuses in run[3].items()]))
            run = None
        if start < 0:
            # without --money, nothing reads an amount, and the fast path leaves it out
            found.append(
                Record(item.time, item.status, item.count, item.key, None, item.id)
                if isinstance(item, Record)
                else item
            )
            continue
        before = run[3] if run is not None else {}
        for key, status, count in counts:
            statuses = before.setdefault(key, {})
            statuses[status] = statuses.get(status, 0) + count
        run = (start, run[1], max(run[2], newest), before) if run is not None else (start, first, newest, before)
    return found


def _judged_alike(found: list[Item | Reject], tallied: list[Item | Reject], by: tuple[str, ...]) -> None:
    """Both feeds give the same lines, where they are of a few hours: a fuzzer should not wait for days of silence."""
    times = [item.time for item in found if isinstance(item, Record)]
    if not times or max(times) - min(times) > 200 * WIDTH:
        return
    settings = Settings(group_by=by)
    good = pipeline_of(settings, live=True)
    quick = pipeline_of(settings, live=True)
    assert _lines(good, found) == _lines(quick, tallied)
    assert good.summary() == quick.summary()


def _lines(pipeline: Pipeline, items: list[Item | Reject]) -> list[str]:
    lines: list[str] = []
    for outcome in pipeline.run([item for item in items if not isinstance(item, Reject)]):
        lines += map(verdict_line, outcome.verdicts)
        lines += map(event_line, outcome.events)
        lines += map(rise_line, outcome.rises)
    for line in lines:
        assert "\n" not in line
        json.loads(line.encode(), parse_constant=_no_json)
    return lines


def _no_json(constant: str) -> float:
    raise AssertionError(f"{constant} is no JSON")


VALUES: Final = (
    {name: float(n) for n, name in enumerate(NAMES)},
    dict.fromkeys(NAMES, 0.0),
    dict.fromkeys(NAMES, 1e300),
    dict.fromkeys(NAMES, -1e-300),
)


def rules(data: bytes) -> None:
    """A rule's text or a TOML file's tables: a rule that reads back to itself, or one refusal."""
    if not data:
        return
    text = data[1:].decode(errors="replace")
    try:
        found = parse_rules(tomllib.loads(text).get("rule", [])) if data[0] & 1 else (parse_rule(text),)
    except (ValueError, RecursionError) as bad:  # the TOML reader's own, which config turns into one line
        assert 0 < len(str(bad)) < 5000
        assert isinstance(bad, ValueError) or data[0] & 1
        return
    for rule in found:
        if not data[0] & 1:
            assert parse_rule(str(rule)) == rule
        for values in VALUES:
            value = rule.node(values)
            again = rule.node(values)
            assert value == again or (isnan(value) and isnan(again))


_FOLDER: Final = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))


def config(data: bytes) -> None:
    """A file of settings, a variable or a flag: settings that are written and read back, or one refusal."""
    if not data:
        return
    file = _FOLDER / "txmon.toml"
    file.unlink(missing_ok=True)
    flags: dict[str, object] = {}
    env: dict[str, str] = {}
    if data[0] % 4 == 0:
        names = list(DECLARATIONS)
        flags[names[data[0] // 4 % len(names)]] = data[1:].decode(errors="replace")
    elif data[0] % 4 == 1:
        name, _, text = data[1:].decode(errors="replace").partition("=")
        env[name if data[0] & 4 else variable(name)] = text
    else:
        file.write_bytes(data[1:])
    try:
        found = load(flags, env, _FOLDER, _FOLDER)
    except (ConfigError, UsageError) as bad:
        assert 0 < len(str(bad)) < 5000
        return
    written = as_toml(found, {})
    tomllib.loads(written)
    file.write_text(written)
    try:
        again = load({}, {}, _FOLDER, _FOLDER)
    except ConfigError as bad:
        raise AssertionError(f"{written}\n does not read back") from bad
    for name in DECLARATIONS:
        given, back = getattr(found.settings, name), getattr(again.settings, name)
        # a budget is shown to twelve digits, so that 1/7 a day is 1/week
        assert back == given or (name == "budget" and isclose(back, given, rel_tol=1e-11)), (name, given, back)


def learned() -> dict[str, Any]:
    """A state with baselines, an open incident and late rows."""
    pipeline = pipeline_of(Settings(), live=True)
    found = [Record(NOW + 60 * m, s, n) for m in range(60) for s, n in (("approved", 90), ("denied", 9))]
    found += [Record(NOW + 3600, "denied", 90), Record(NOW + 3700, "denied", 90), Record(NOW + 3500, "denied", 2)]
    list(pipeline.feed(found))
    row = {"txmon": 1, "written_by": "x", "settings": {"bucket": 60, "by": []}, "sources": {}}
    return json.loads(json.dumps({**row, "pipeline": pipeline.snapshot()}))  # type: ignore[no-any-return]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value in a JSON document is."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(below for key, item in inner for below in places(item, (*path, key)))]


LEARNED: Final = json.dumps(learned()).encode()
PLACES: Final = [path for path in places(json.loads(LEARNED)) if path]
JUNK: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 2**70, -(2**70), 1e308, -1e308, 1e-308, 0.5, float("nan"), float("inf"), "", "*", "x",
    "\ud800", [], {}, [[]], [1], ["x"], {"a": 1}, NOW, NOW + 10**9, 10**15, -NOW, 10**400,
)  # fmt: skip


def state(data: bytes) -> None:
    """A state file of any bytes, of any JSON, or with values that are others: refused, or what it restores goes on.

    The first byte chooses between the three.
    """
    if not data:
        return
    if data[0] % 4 == 0:
        raw = data[1:]
    elif data[0] % 4 == 1:
        raw = gzip.compress(data[1:], 1)
    else:
        raw = gzip.compress(json.dumps(_edited(data[1:])).encode(), 1)
    path = _FOLDER / "state"
    path.write_bytes(raw)
    use_state(path)


def use_state(path: Path) -> None:
    """Restore a state and go on with it, as far as it lets itself be restored; either way it stays as it is."""
    raw = path.read_bytes()
    pipeline = pipeline_of(Settings(), live=True)
    try:
        restore(pipeline, Settings(), str(path))
        found = load_state(str(path))
        assert found is not None
        shown = pipeline_of_state(found, str(path))
    except ConfigError as bad:
        assert str(path) in str(bad)
        assert len(str(bad)) < 5000
        return
    finally:
        assert path.read_bytes() == raw
    shown.detector.describe()
    shown.tracker.open()
    _lines(pipeline, [Record(NOW + 3720 + 20 * m, s, 9) for m in range(9) for s in ("approved", "denied")])
    json.dumps(pipeline.snapshot())


def _edited(data: bytes) -> Any:
    """The learned state with a value replaced for each three bytes of `data`."""
    row: Any = json.loads(LEARNED)
    for at in range(0, min(len(data) - 2, 12), 3):
        path = PLACES[(data[at] << 8 | data[at + 1]) % len(PLACES)]
        place = row
        try:
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = deepcopy(JUNK[data[at + 2] % len(JUNK)])
        except (KeyError, TypeError, IndexError):
            continue  # an edit before took the place away
    return row


TARGETS: Final = {"records": records, "rules": rules, "config": config, "state": state}
