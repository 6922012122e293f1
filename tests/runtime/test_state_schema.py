"""A state that is damaged is refused when it is read, not a minute later."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from txmon.ingest.records import Record
from txmon.runtime.factory import pipeline_of
from txmon.runtime.state_schema import INCIDENT, LAYOUT, check
from txmon.settings.declarations import Settings

NOW = 1772445600


def learned() -> dict[str, Any]:
    """A snapshot with an open incident, late rows and ids, as JSON gives it back."""
    pipeline = pipeline_of(Settings(group_by=("m",)), live=True)
    key = (("m", "1"),)
    rows = [Record(NOW + 60 * m, s, n, key) for m in range(60) for s, n in (("approved", 90), ("denied", 9))]
    rows += [Record(NOW + 3600, "denied", 45, key), Record(NOW + 3601, "denied", 45, key)]
    rows += [Record(NOW + 3690, "denied", 45, key), Record(NOW + 3700, "denied", 45, key, id="a")]
    rows += [Record(NOW + 3500, "denied", 2, key)]
    list(pipeline.feed(rows))
    return json.loads(json.dumps(pipeline.snapshot()))  # type: ignore[no-any-return]


def put(*path: Any) -> Callable[[dict[str, Any]], None]:
    """Puts the last of `path` where the others lead."""

    def edit(row: dict[str, Any]) -> None:
        place: Any = row
        for name in path[:-2]:
            place = place[name]
        place[path[-2]] = path[-1]

    return edit


def test_the_layout_names_all_that_a_snapshot_holds() -> None:
    found = learned()
    assert {name: set(found[name] if name else found) for name in LAYOUT} == LAYOUT
    assert set(found["platform"]) == LAYOUT["detector"]  # all keys together are judged by a detector like the keys' own
    assert {name for name, part in found.items() if isinstance(part, dict)} == LAYOUT.keys() - {""} | {"platform"}
    assert set(found["incidents"]["open"][0]) == INCIDENT
    assert set(found["detector"]["roll"]) == {"level", "sample"}


def test_what_was_learned_holds_together() -> None:
    check(learned(), 60)
    check(json.loads(json.dumps(pipeline_of(Settings(), live=True).snapshot())), 60)


@pytest.mark.parametrize("width", [10, 300, 3600])
def test_what_other_buckets_taught_too(width: int) -> None:
    pipeline = pipeline_of(Settings(bucket=width), live=False)
    list(pipeline.feed(Record(NOW + width * m, "denied", 9) for m in range(300) if not 100 < m < 150))
    check(json.loads(json.dumps(pipeline.snapshot())), width)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (put("buckets", "watermark", None), "over already"),
        (put("buckets", "watermark", "x"), "watermark"),
        (put("buckets", "late", -1), "late"),
        (put("buckets", "next", None), "next to close is not known"),
        (put("buckets", "next", 0), "."),
        (put("buckets", "last", 0), "do not lie beside"),
        (put("buckets", "open", 0, 0, NOW + 1), "multiple"),
        (put("buckets", "open", 0, 0, NOW), "still open"),
        (put("buckets", "closed", 0, 0, NOW + 36000), "yet to close"),
        (put("buckets", "closed", 0, 1, 0, 1, "denied", -3), "denied|closed"),
        (put("buckets", "changed", 0, 1, [["m", "2"]]), "no counts"),
        (put("detector", "before", NOW + 36000), "has not closed"),
        (put("detector", "surges", [[[["m", "1"]], -1.0, [1.0, 1.0, 1.0, 0.0], {}]]), "surges"),
        (put("detector", "surges", [[[["m", "1"]], 1.0, [1.0, 1.0, 1.0, 0.0], {"denied": [1.0]}]]), "surges"),
        (put("detector", "season", 0, 300.0), "season"),
        (put("detector", "season", 3, float("1e300")), "season"),
        (put("detector", "lag", -1.0), "lag"),
        (put("detector", "groups", 0, 4, 0, 1.5), "groups"),
        (put("detector", "groups", 0, 4, 3, -5.0), "groups"),
        (put("detector", "groups", 0, 4, 4, 1e-300), "beyond all bounds"),
        (put("detector", "groups", 0, 4, [0.5]), "groups"),
        (put("incidents", "open", 0, "start", "x"), "start"),
        (put("trends", "counts", {}), "different statuses"),
        (put("rules", [["a"]]), "rules"),
    ],
)
def test_what_does_not_hold_together_is_refused(edit: Callable[[dict[str, Any]], None], reason: str) -> None:
    row = learned()
    edit(row)
    with pytest.raises(ValueError, match=reason):
        check(row, 60)
