"""Keeps notifications in a folder until they are sent: a file for each, written atomically, mode 0600."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any, Final

from txmon.errors import ConfigError, IoFailure
from txmon.support.frozen import frozen

ENDING: Final = ".json"  # of a notification's file: NUMBER-ID.json
MOST_REFUSED: Final = 100  # files kept of what a receiver would not take


@frozen
class Spooled:
    """Holds one notification that waits."""

    id: str
    body: str
    told: dict[str, Any] | None = None  # the notification, to merge it with later ones; not in older files


class Spool:
    """Keeps the notifications of one channel, in the order in which they came."""

    def __init__(self, folder: Path) -> None:
        """Make and lock `folder`; IoFailure where that fails, ConfigError where another txmon has it."""
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as bad:
            raise IoFailure(
                f"{folder}: {bad.strerror}. Notifications wait there. Name another folder with --spool."
            ) from bad
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise ConfigError(f"{folder}: another txmon sends from there. Name another folder with --spool.") from None
        for unfinished in folder.glob("*.tmp"):
            unfinished.unlink(missing_ok=True)
        names = self.names()
        self._next = int(names[-1].partition("-")[0]) + 1 if names else 1

    def names(self) -> list[str]:
        """Return the names of the files that wait, the oldest first."""
        found = (path.name for path in self.folder.glob(f"*{ENDING}"))
        return sorted(name for name in found if name.partition("-")[0].isdecimal())

    def waiting(self) -> list[tuple[str, str]]:
        """Return the id and the file's name of each notification that waits, the oldest first."""
        return [(name.partition("-")[2].removesuffix(ENDING), name) for name in self.names()]

    def put(self, identity: str, body: str, told: dict[str, Any] | None = None) -> str:
        """Keep a notification, on the disk before this returns; its name. OSError when that cannot be."""
        name = f"{self._next:010}-{identity}{ENDING}"
        self._next += 1
        temporary = self.folder / f"{name}.tmp"
        try:
            descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"id": identity, "body": body} | ({"told": told} if told else {}), file)
                file.flush()
                os.fsync(descriptor)
            os.replace(temporary, self.folder / name)
            self._sync()
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        return name

    def read(self, name: str) -> Spooled | None:
        """A notification that waits; None when its file is gone or none of ours. OSError when it cannot be read."""
        try:
            row = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        if isinstance(row, dict) and isinstance(row.get("id"), str) and isinstance(row.get("body"), str):
            told = row.get("told")
            return Spooled(row["id"], row["body"], told if isinstance(told, dict) else None)
        return None

    def remove(self, name: str) -> None:
        """Delete the file of a notification that was sent."""
        (self.folder / name).unlink(missing_ok=True)

    def set_aside(self, name: str) -> None:
        """Move a notification that the receiver refuses to `refused`, which keeps the newest MOST_REFUSED."""
        refused = self.folder / "refused"
        refused.mkdir(mode=0o700, exist_ok=True)
        if (self.folder / name).exists():
            os.replace(self.folder / name, refused / name)
        for old in sorted(refused.glob(f"*{ENDING}"))[:-MOST_REFUSED]:
            old.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the folder for another process."""
        os.close(self._lock)

    def _sync(self) -> None:
        """Write the folder to the disk, and with it the renames in it."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
