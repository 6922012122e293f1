"""Words for a run that owns the state: left in a file beside it, taken by the run when it next looks.

`txmon ack` and `txmon silence` leave them; a run takes them as it starts, before its first record, and then every few
seconds.
"""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, cast, get_args

from txmon.errors import IoFailure
from txmon.model.keys import Key, pack_key, unpack_key
from txmon.support.safe_open import open_file, trusted

MOST: Final = 1 << 20  # bytes of words that are read at once
LONGEST: Final = 500  # characters of an author or a note that are kept
Action = Literal["ack", "undo", "accept", "ignore", "silence", "unsilence"]
ACTIONS: Final = get_args(Action)


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody wants done.

    ack: no reminders until it is twice as bad; undo: take that back; accept: how it is now is normal; ignore: it must
    not have taught the baselines anything; silence and unsilence: tell nobody of a status, until a time.
    """

    action: Action
    id: str = ""  # of an incident
    author: str = ""
    note: str = ""
    status: str = "*"  # of a silence; * is all
    key: Key = ()
    until: int = 0  # epoch seconds


def _path(state: str) -> str:
    return f"{state}.ack"


def leave_word(state: str, word: Word) -> None:
    """Leave a word for the process that owns `state`. Raise IoFailure if that fails."""
    line = json.dumps(pack_word(word)) + "\n"
    try:
        handle = open_file(_path(state), os.O_WRONLY | os.O_CREAT | os.O_APPEND, private=True)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            if os.geteuid() == 0 and os.path.exists(state):
                owner = os.stat(state)
                os.fchown(handle, owner.st_uid, owner.st_gid)  # root's word for a run that is not root's
            file.write(line)
    except OSError as bad:
        raise IoFailure(f"{_path(state)}: {bad.strerror}") from bad


def words_left(state: str) -> list[Word]:
    """Return the waiting words for the process that owns `state`, without removing them."""
    try:
        with open(_path(state), "rb") as file:
            return _words(file.read(MOST))
    except OSError:
        return []


def take_words(state: str) -> list[Word]:
    """Return the words left since the last call; what is none is skipped."""
    taken = f"{_path(state)}.taken"
    try:
        os.rename(_path(state), taken)
        # a link would be somebody else's file, and a pipe would be waited for
        handle = os.open(taken, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            status = os.fstat(handle)
            regular = stat.S_ISREG(status.st_mode) and trusted(status)
            data = file.read(MOST) if regular else b""
        os.unlink(taken)
    except OSError:
        return []
    return _words(data)


def pack_word(word: Word) -> dict[str, object]:
    """Return a word as values of JSON."""
    row = asdict(word) | {"key": pack_key(word.key)}
    return {name: value for name, value in row.items() if value or name == "action"}


def _words(data: bytes) -> list[Word]:
    found = []
    for line in data.decode(errors="replace").splitlines():
        try:
            found.append(unpack_word(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


def unpack_word(row: Mapping[str, Any]) -> Word:
    """Return the word that `pack_word` packed; also one of an earlier version, which knew of two actions."""
    action = row["action"] if "action" in row else "ignore" if row["normal"] else "ack"
    if action not in ACTIONS:
        raise ValueError(action)
    author, note = str(row.get("author", ""))[:LONGEST], str(row.get("note", ""))[:LONGEST]
    key = unpack_key(row.get("key", []))
    return Word(
        cast(Action, action), str(row.get("id", "")), author, note, str(row.get("status", "*")), key,
        int(row.get("until", 0)),
    )  # fmt: skip
