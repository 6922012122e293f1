"""Values that do not change behave as frozen dataclasses do."""

import copy
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, asdict, field, fields, replace

import pytest

from txmon.support.frozen import frozen


@frozen
class Place:
    """What a test makes."""

    name: str
    size: int = 1
    tags: Mapping[str, int] = field(default_factory=dict)


@frozen
class Point:
    x: int
    y: int = 0


@frozen
class Even:
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError("odd")


def test_is_checked_once_it_is_made() -> None:
    assert Even(2).number == 2
    with pytest.raises(ValueError, match="odd"):
        Even(3)


def test_is_made_by_place_and_by_name() -> None:
    assert Place("a", 2) == Place(size=2, name="a")
    assert Place("a").tags == {}
    assert Place("a").tags is not Place("b").tags
    assert [one.name for one in fields(Place)] == ["name", "size", "tags"]
    assert asdict(Place("a")) == {"name": "a", "size": 1, "tags": {}}


@pytest.mark.parametrize(
    ("values", "named", "said"),
    [
        ((), {}, "Point needs a value for 'x'"),
        ((1, 2, 3), {}, "Point takes 2 values, not 3"),
        ((1,), {"x": 2}, "Point got two values for 'x'"),
        ((1,), {"z": 2}, "Point has no 'z'"),
    ],
)
def test_wrong_values_are_refused(values: tuple[int, ...], named: dict[str, int], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        Point(*values, **named)


def test_does_not_change() -> None:
    one = Point(1)
    with pytest.raises(FrozenInstanceError):
        one.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del one.x
    assert not hasattr(one, "__dict__")
    assert replace(one, y=3) == Point(1, 3)
    assert one == Point(1)


def test_is_compared_by_value_and_can_be_a_key() -> None:
    assert {Point(1, 2): "here"}[Point(1, 2)] == "here"
    assert Point(1) != Point(2)
    assert Point(1) != object()
    assert repr(Point(1)) == "Point(x=1, y=0)"


def test_can_be_copied_and_sent_to_another_process() -> None:
    one = Place("a", 2, {"b": 3})
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
