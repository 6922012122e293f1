"""Files opened for writing without walking into a trap that another user left at their path.

Where several users can write (/tmp, a shared spool) one of them may put a link or a file of his own where txmon is
going to write. Refusals are OSErrors whose `strerror` says what was met; every caller reports them as any other.
"""

import errno
import os
import stat
from io import TextIOWrapper
from typing import BinaryIO, Final, TextIO

from txmon.errors import IoFailure

OTHERS_LINK: Final = "is a link that another user made; it is not followed"
OTHERS_PIPE: Final = "is a pipe that another user made; it is neither waited for nor written to"
OTHERS_FILE: Final = "belongs to another user, who could read what is written there"
BLOCK: Final = 1 << 16  # bytes written at a time


def open_file(path: str, flags: int, mode: int = 0o666, private: bool = False) -> int:
    """A descriptor of `path`, opened with `flags`; a file that is not there yet is made with `mode`.

    private: for its owner alone. The mode is 0600 then, and a regular file of another user is refused. Nothing is
    truncated before that is known. Raises OSError.
    """
    check_link(path)
    truncate = flags & os.O_TRUNC
    descriptor = os.open(path, flags & ~os.O_TRUNC | os.O_CLOEXEC | os.O_NOCTTY, 0o600 if private else mode)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):  # a pipe or a device has no content that waits to be read
            if private and status.st_uid != os.geteuid():
                raise OSError(errno.EPERM, OTHERS_FILE, path)  # noqa: TRY301
            if truncate:
                os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def check_link(path: str) -> None:
    """Raise OSError where `path` is a link or a pipe of somebody who is neither this user nor root."""
    try:
        status = os.lstat(path)
    except OSError:
        return  # opening it says why
    if trusted(status):
        return
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, OTHERS_LINK, path)
    if stat.S_ISFIFO(status.st_mode):
        raise OSError(errno.EPERM, OTHERS_PIPE, path)


def trusted(status: os.stat_result) -> bool:
    """Whether what has this status is this user's or root's."""
    return status.st_uid in (os.geteuid(), 0)


def create(path: str) -> TextIO:
    """`path` opened for writing anew; IoFailure when that cannot be."""
    return TextIOWrapper(create_bytes(path), encoding="utf-8")


def create_bytes(path: str) -> BinaryIO:
    """The same for bytes, many at a time."""
    try:
        return open(open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb", buffering=BLOCK)
    except OSError as bad:
        raise IoFailure(f"{path}: {bad.strerror}") from bad
