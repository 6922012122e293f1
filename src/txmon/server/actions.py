"""Parses the API's requests about incidents and silences into words for a session."""

from collections.abc import Mapping
from typing import Any, Final, cast

from txmon.model.keys import TOTAL
from txmon.runtime.acknowledgements import LONGEST, Action, Word
from txmon.server.http.message import HttpError
from txmon.support.durations import DAY, seconds
from txmon.support.suggest import choose

ACTIONS: Final = ("ack", "undo", "accept", "ignore")
LONGEST_SILENCE: Final = 30 * DAY


def acknowledgement_of(row: Mapping[str, Any], identity: str) -> Word:
    """Return the action for the incident `identity`. Raise HttpError 422 if the request is not valid."""
    _known(row, ("action", "author", "note"))
    action = row.get("action", "ack")
    if action not in ACTIONS:
        raise HttpError(422, f"action {choose(str(action), ACTIONS)}")
    return Word(cast(Action, action), identity, _text(row, "author"), _text(row, "note"))


def silence_of(row: Mapping[str, Any], now: float) -> Word:
    """Return the requested silence, or its end. Raise HttpError 422 if the request is not valid.

    now: epoch seconds.
    """
    _known(row, ("status", "key", "for", "author", "note"))
    status = _text(row, "status").lower()
    if not status:
        raise HttpError(422, "name the `status`, or * for all")
    key = row.get("key", {})
    if not isinstance(key, dict) or not all(isinstance(value, str) for value in key.values()):
        raise HttpError(422, "`key` is not a table of columns and values")
    try:
        span = seconds(row.get("for"))
    except ValueError as bad:
        raise HttpError(422, f"for: {bad}") from None
    if not 0 <= span <= LONGEST_SILENCE:
        raise HttpError(422, "for: a silence lasts at most 30d")
    packed = tuple((str(name), value) for name, value in key.items())
    if span == 0:
        return Word("unsilence", status=status, key=packed)
    return Word(
        "silence", author=_text(row, "author"), note=_text(row, "note"), status="*" if status == TOTAL else status,
        key=packed, until=int(now) + span,
    )  # fmt: skip


def _known(row: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in row:
        if name not in names:
            raise HttpError(422, choose(name, names))


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name, "")
    if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
        raise HttpError(422, f"{name} is not a text of at most {LONGEST} printable characters")
    return value
