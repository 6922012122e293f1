"""States taken from N shards to M, no baseline lost: every key goes, with all that is known of it, to its new shard.

What is not a key's is given to all: transactions' ids, so that a repeat is still known, and what every shard knows of
all keys together (the shape of the day, their level, the census, trends), which is the same in all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from txmon.detection.cardinality import SEPARATOR
from txmon.errors import ConfigError
from txmon.pipeline.buckets import CORRECTABLE
from txmon.pipeline.incidents import RESERVED_IDS
from txmon.runtime.state_file import State
from txmon.runtime.state_schema import LAYOUT
from txmon.spark.shards import PLATFORM, shard_of

# what every shard knows of all keys together, which is the same in all of them
SHARED: Final = (
    "before", "seen", "age", "anchored", "level", "lag", "open", "opened", "hours", "season", "whole", "roll", "tails",
    "pools",
)  # fmt: skip
# rows that begin with their key; those of all keys as one, whose key is empty, are in every part and go to all
DEALT: Final = ("kept", "left", "excluded", "groups", "surges", "pulses", "flapping", "key_hours")

Parts = Sequence[Mapping[str, Any]]
Mine = Callable[[Any], bool]  # whether a packed key belongs to the shard


def rebalance(states: Sequence[tuple[int, State]], shards: int) -> list[tuple[int, State]]:
    """The states of `shards` shards that hold what `states`, by shard, hold; the platform's stays as it is.

    Raises ConfigError when they are not all at the same place in time, or hold what this version does not know.
    """
    keyed = [state for number, state in states if number != PLATFORM]
    found = [(number, state) for number, state in states if number == PLATFORM]
    if not keyed:
        return found
    settings = keyed[0].settings
    parts = [state.pipeline for state in keyed]
    for part in parts:
        _check(part)
    if any(state.settings != settings for state in keyed):
        raise ConfigError("the shards' states were written with different settings")
    if len({part["buckets"]["watermark"] for part in parts}) > 1:
        raise ConfigError("the shards are not at the same minute: let the job run to the end of a batch (--once) first")
    new = [(number, _shard(parts, number, shards)) for number in range(shards)]
    for _, part in new:
        _check(part)  # a part of the layout that is dealt out nowhere below is an error of this module, and never lost
    return found + [(number, State(settings, part)) for number, part in new]


def _check(part: Mapping[str, Any]) -> None:
    """Refuse a state with more or less in it than is dealt out here: what is not known would be lost."""
    for name, known in LAYOUT.items():
        there = set(part[name] if name else part)
        if there != known:
            raise ConfigError(f"a state's {name or 'parts'} are {sorted(known ^ there)} more or less than is known")


def _shard(parts: Parts, number: int, shards: int) -> dict[str, Any]:
    def mine(key: Any) -> bool:
        return shard_of(SEPARATOR.join([value for _, value in key]), shards) == number

    return {
        "buckets": _buckets([part["buckets"] for part in parts], mine, first=number == 0),
        "detector": _detector([part["detector"] for part in parts], mine),
        "rules": [row for part in parts for row in part["rules"] if mine(row[1])],
        "incidents": {
            "open": [row for part in parts for row in part["incidents"]["open"] if mine(row["key"])],
            "used": list(dict.fromkeys(one for part in parts for one in part["incidents"]["used"]))[-RESERVED_IDS:],
            "silences": parts[0]["incidents"]["silences"],  # all shards obey the same
        },
        "trends": parts[0]["trends"],
        # closed hours and times without observation are those of the whole job
        "missed": parts[0]["missed"],
        "opened": parts[0]["opened"],
        "platform": None,  # a shard of its own judges all keys together
        # shards have no drivers and no money
        "money": [],
        "drivers": None,
        "watch": None,
    }


def _buckets(parts: Parts, mine: Mine, first: bool) -> dict[str, Any]:
    """first: of the shard that goes on with the counters."""
    ids: dict[int, set[str]] = {}
    for part in parts:
        for start, some in part["ids"]:
            ids.setdefault(start, set()).update(some)
    noted = {start: more for start, _, *more in parts[0]["open"]}  # of all keys: the same in all parts
    opened = [
        [start, counts, *noted.get(start, (None, None, 0, start))] for start, counts in _by_start(parts, "open", mine)
    ]
    closed = _by_start(parts, "closed", mine)[-CORRECTABLE:]
    early = [part["first_late"] for part in parts if part["late"]]
    return {
        "late": sum(part["late"] for part in parts) if first else 0,
        "first_late": min(early, default=0) if first else 0,
        "repeated": sum(part["repeated"] for part in parts) if first else 0,
        "open": opened,
        "closed": closed,
        "details": [],  # shards have no drivers and no money
        "changed": [row for part in parts for row in part["changed"] if mine(row[1])],
        "ids": [[start, sorted(some)] for start, some in sorted(ids.items())],
        "watermark": parts[0]["watermark"],
        "next": _newest(parts, "next"),
        "last": _newest(parts, "last"),
        # a shard closes its buckets by the watermark of all, and so knows no bulk of its own
        **{name: parts[0][name] for name in ("bulk", "runs", "sizes", "steps")},
    }


def _by_start(parts: Parts, name: str, mine: Mine) -> list[list[Any]]:
    """The buckets of all parts, oldest first, with the counts of one shard's keys."""
    found: dict[int, list[Any]] = {}
    for part in parts:
        for start, counts, *_ in part[name]:
            found.setdefault(start, []).extend(row for row in counts if mine(row[0]))
    return [[start, counts] for start, counts in sorted(found.items())]


def _detector(parts: Parts, mine: Mine) -> dict[str, Any]:
    found = {
        name: [row for part in parts for row in part[name] if row[0] and mine(row[0])]
        + [row for row in parts[0][name] if not row[0]]
        for name in DEALT
    }
    return {**{name: parts[0][name] for name in SHARED}, **found}


def _newest(parts: Parts, name: str) -> int | None:
    return max((part[name] for part in parts if part[name] is not None), default=None)
