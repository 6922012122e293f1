"""Whatever a state file holds: it is refused in one line, or what it restores can go on."""

import gzip
import json
from pathlib import Path
from typing import Any

import fuzz_targets
from fuzz_targets import NOW, PLACES, use_state
from fuzz_tools import moderate, mutated
from hypothesis import given
from hypothesis import strategies as st

from txmon.ingest.records import Record
from txmon.ingest.timestamps import TimeParser
from txmon.runtime.acknowledgements import take_words
from txmon.runtime.factory import pipeline_of, restore, save
from txmon.settings.declarations import Settings
from txmon.sinks.lines import verdict_line

LEARNED: dict[str, Any] = json.loads(fuzz_targets.LEARNED)
RAW = json.dumps(LEARNED).encode()
PACKED = gzip.compress(RAW, mtime=0)
JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5), st.just([]), st.just({}),
    st.just([[]]), st.just([1]), st.just({"a": 1}), st.just(-1), st.just(1e308),
)  # fmt: skip


def replaced(edit: tuple[tuple[Any, ...], Any]) -> dict[str, Any]:
    """The learned state with one value replaced."""
    path, value = edit
    row: Any = json.loads(RAW)
    place = row
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return row  # type: ignore[no-any-return]


@moderate(200)
@given(st.one_of(st.binary(max_size=200), mutated(PACKED), mutated(RAW).map(lambda raw: gzip.compress(raw, 1))))
def test_any_bytes(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "state"
    path.write_bytes(raw)
    use_state(path)


@moderate(300)
@given(st.tuples(st.sampled_from(PLACES), JUNK).map(replaced))
def test_a_value_that_is_another(tmp_path: Path, row: dict[str, Any]) -> None:
    path = tmp_path / "state"
    path.write_bytes(gzip.compress(json.dumps(row).encode(), 1))
    use_state(path)


def test_the_learned_state_itself_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(PACKED)
    pipeline = pipeline_of(Settings(), live=True)
    restore(pipeline, Settings(), str(path))
    assert json.loads(json.dumps(pipeline.snapshot())) == LEARNED["pipeline"]
    outcomes = list(pipeline.feed([Record(NOW + 4000, "denied", 9)]))
    assert all(json.loads(verdict_line(v)) for outcome in outcomes for v in outcome.verdicts)
    save(pipeline, Settings(), str(path), {})
    assert len(PLACES) > 300


@moderate(150)
@given(st.one_of(st.binary(max_size=200), mutated(b'{"id": "a", "normal": true}\n{"id": "b", "normal": false}\n')))
def test_any_acknowledgements(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "state.ack").write_bytes(raw)
    assert len(take_words(str(tmp_path / "state"))) <= raw.count(b"\n") + raw.count(b"\r") + 2


@moderate(100)
@given(st.lists(JUNK, max_size=4))
def test_any_place_of_a_source(state: list[Any]) -> None:
    try:
        TimeParser().restore(state)
    except (ValueError, TypeError, IndexError, OverflowError):
        return
