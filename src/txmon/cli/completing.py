"""Proposes values for shell completion."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from click.shell_completion import CompletionItem

FOLDERS: Final = ("DIR", "FOLDER")
FIELDS: Final = ("time", "status", "count", "amount", "id", "date", "zone")
SIDES: Final = ("above", "below", "both")
INPUTS: Final = ("--follow", "--tail")  # options whose value is a file that txmon reads
ROWS: Final = 2000  # rows of a file that are searched for statuses


def values(
    name: str, metavar: str | None, words: Iterable[str], before: Sequence[str], incomplete: str
) -> list[CompletionItem] | None:
    """Return the possible values of the option `name`, or None if they are unknown.

    words: the values of an option that has few. before: the words of the command line before the cursor's word.
    """
    found = [*words]
    if found:
        return _beginning(found, incomplete)
    if name in _OF_FILES:
        return _OF_FILES[name](_file(before), incomplete)
    if name == "name":
        from txmon.query.database import shipped

        return _beginning(shipped(), incomplete)
    if name == "scenario":
        from txmon.evaluation.scenario_kinds import SCENARIOS

        return _beginning(["list", *SCENARIOS], incomplete)
    if name == "tz":
        from zoneinfo import available_timezones

        return _beginning(sorted(available_timezones()), incomplete)
    if metavar in FOLDERS:
        return [CompletionItem(incomplete, type="dir")]
    if metavar == "FILE":
        return [CompletionItem(incomplete, type="file")]
    return None


def a_file(ctx: object, param: object, incomplete: str) -> list[CompletionItem]:
    """Return an item that makes the shell complete file names."""
    return [CompletionItem(incomplete, type="file")]


def a_folder(ctx: object, param: object, incomplete: str) -> list[CompletionItem]:
    """Return an item that makes the shell complete folder names."""
    return [CompletionItem(incomplete, type="dir")]


def a_status(ctx: object, param: object, incomplete: str) -> list[CompletionItem]:
    """Return the statuses that can be silenced."""
    return _beginning(["all", *_statuses(None)], incomplete)


def _beginning(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _last_of_list(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Return the words that can complete the last item of `incomplete`, a comma-separated list."""
    before, comma, last = incomplete.rpartition(",")
    taken = set(before.split(","))
    return [CompletionItem(f"{before}{comma}{word}") for word in words if word.startswith(last) and word not in taken]


def _pair(names: Iterable[str], items: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Return NAME= while the name is typed, then NAME=ITEM."""
    name, equals, item = incomplete.partition("=")
    if equals:
        return [CompletionItem(f"{name}={word}") for word in items if word.startswith(item)]
    return [CompletionItem(f"{word}=") for word in names if word.startswith(name)]


def _map(file: str | None, incomplete: str) -> list[CompletionItem]:
    return _pair(FIELDS, _columns(file), incomplete)


def _group_by(file: str | None, incomplete: str) -> list[CompletionItem]:
    return _last_of_list(_columns(file), incomplete)


def _role(file: str | None, incomplete: str) -> list[CompletionItem]:
    from txmon.model.statuses import ROLES

    return _pair(_statuses(file), ROLES, incomplete)


def _direction(file: str | None, incomplete: str) -> list[CompletionItem]:
    return _pair(_statuses(file), SIDES, incomplete)


def _by_status(file: str | None, incomplete: str) -> list[CompletionItem]:
    return _pair(_statuses(file), (), incomplete)


def _column(file: str | None, incomplete: str) -> list[CompletionItem]:
    return _beginning(_columns(file), incomplete)


_OF_FILES: Final[Mapping[str, Callable[[str | None, str], list[CompletionItem]]]] = {
    "map": _map,
    "group_by": _group_by,
    "wide": _group_by,
    "date_column": _column,
    "observed": _column,
    "role": _role,
    "direction": _direction,
    "min_count": _by_status,
    "min_ratio": _by_status,
}


def _file(before: Sequence[str]) -> str | None:
    """Return the first input file among these words, or None."""
    for option, word in pairwise(["", *before]):
        if (not option.startswith("-") or option in INPUTS) and os.path.isfile(word):
            return word
    return None


def _columns(file: str | None) -> list[str]:
    """Return the columns of a file as txmon reads it, or no columns if it cannot be read."""
    if file is None:
        return []
    from txmon.errors import TxmonError
    from txmon.query.files import look

    try:
        return list(look(file, {}).columns)
    except (TxmonError, OSError):
        return []


def _statuses(file: str | None) -> list[str]:
    """Return the statuses in the first rows of a file. If it cannot be read, return the best known statuses."""
    from itertools import islice

    from txmon.errors import TxmonError
    from txmon.ingest.rejects import RejectLog
    from txmon.model.statuses import ROLES
    from txmon.runtime.reader import reader_of
    from txmon.settings.declarations import DEFAULTS

    if file is not None:
        from datetime import date

        try:
            records = reader_of(DEFAULTS, RejectLog(), date(2026, 1, 1)).records([file])
            found = {record.status for record in islice(records, ROWS)}
        except (TxmonError, OSError):
            found = set()
        if found:
            return sorted(found)
    return [role for role in ROLES if role != "other"]
