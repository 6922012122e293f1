"""Acknowledgements for a run that owns the state: left in a file beside it, taken by the run when it next looks."""

import json
import os
import stat
from typing import Final

from txmon.errors import IoFailure
from txmon.support.safe_open import open_file, trusted

MOST: Final = 1 << 20  # bytes of acknowledgements that are read at once


def _path(state: str) -> str:
    return f"{state}.ack"


def leave_acknowledgement(state: str, identity: str, normal: bool) -> None:
    """Leave word for whoever owns `state`; IoFailure when that cannot be."""
    line = json.dumps({"id": identity, "normal": normal}) + "\n"
    try:
        handle = open_file(_path(state), os.O_WRONLY | os.O_CREAT | os.O_APPEND, private=True)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            if os.geteuid() == 0 and os.path.exists(state):
                owner = os.stat(state)
                os.fchown(handle, owner.st_uid, owner.st_gid)  # root's word for a run that is not root's
            file.write(line)
    except OSError as bad:
        raise IoFailure(f"{_path(state)}: {bad.strerror}") from bad


def take_acknowledgements(state: str) -> list[tuple[str, bool]]:
    """The incidents acknowledged since the last call, and whether each was normal; what is no word is skipped."""
    taken = f"{_path(state)}.taken"
    try:
        os.rename(_path(state), taken)
        # a link would be somebody else's file, and a pipe would be waited for
        handle = os.open(taken, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            status = os.fstat(handle)
            regular = stat.S_ISREG(status.st_mode) and trusted(status)
            lines = file.read(MOST).decode(errors="replace").splitlines() if regular else []
        os.unlink(taken)
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            row = json.loads(line)
            found.append((str(row["id"]), bool(row["normal"])))
        except (ValueError, KeyError, TypeError):
            continue
    return found
