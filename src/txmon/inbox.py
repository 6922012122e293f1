"""Acknowledgements for a run that owns the state: left in a file beside it, taken by the run when it next looks."""

import json
import os

from .errors import IoFailure


def _path(state: str) -> str:
    return f"{state}.ack"


def leave_acknowledgement(state: str, identity: str, normal: bool) -> None:
    """Leave word for whoever owns `state`; IoFailure when that cannot be."""
    line = json.dumps({"id": identity, "normal": normal}) + "\n"
    try:
        handle = os.open(_path(state), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            file.write(line)
    except OSError as bad:
        raise IoFailure(f"{_path(state)}: {bad.strerror}") from bad


def take_acknowledgements(state: str) -> list[tuple[str, bool]]:
    """The incidents acknowledged since the last call, and whether each was normal; what is no word is skipped."""
    taken = f"{_path(state)}.taken"
    try:
        os.rename(_path(state), taken)
        with open(taken, encoding="utf-8", errors="replace") as file:
            lines = file.readlines()
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
