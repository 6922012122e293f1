"""Files opened for writing without walking into a trap that another user left at their path.

Where several users can write (/tmp, a shared spool) one of them may put a link or a file of his own where txmon is
going to write. Refusals are OSErrors whose `strerror` says what was met; every caller reports them as any other.
"""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import BinaryIO, Final, TextIO

from txmon.errors import IoFailure

OTHERS_LINK: Final = "is a link that another user made; it is not followed"
OTHERS_PIPE: Final = "is a pipe that another user made; it is neither waited for nor written to"
OTHERS_FILE: Final = "belongs to another user, who could read what is written there"
BLOCK: Final = 1 << 16  # bytes written at a time
STANDARD_OUTPUT: Final = "-"


def open_file(path: str, flags: int, mode: int = 0o666, private: bool = False) -> int:
    """Return a descriptor of `path`, opened with `flags`; a file that is not there yet is made with `mode`.

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
    """Return whether what has this status is this user's or root's."""
    return status.st_uid in (os.geteuid(), 0)


@contextmanager
def create(path: str, at_once: bool = False) -> Iterator[TextIO]:
    """Write the text file `path` anew, as `create_bytes` does."""
    if path == STANDARD_OUTPUT:
        yield sys.stdout
        sys.stdout.flush()
        return
    with create_bytes(path, at_once) as file:
        text = TextIOWrapper(file, encoding="utf-8")
        try:
            yield text
            text.flush()
        finally:
            text.detach()


@contextmanager
def create_bytes(path: str, at_once: bool = False) -> Iterator[BinaryIO]:
    """Write the file `path` anew; `-` is standard output. IoFailure where it cannot be made.

    The file appears when all of it is written: until then, and after a failure, what was there is left as it was.
    at_once: others read the file while it is written, so its content goes straight there.
    """
    if path == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        temporary, target, descriptor = _beside(path) if not at_once else ("", path, -1)
        if descriptor < 0:
            descriptor = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    except OSError as bad:
        raise IoFailure(f"{path}: {bad.strerror}") from bad
    try:
        with open(descriptor, "wb", buffering=BLOCK) as file:
            yield file
        if temporary:
            os.replace(temporary, target)
    except BaseException:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)
        raise


def _beside(path: str) -> tuple[str, str, int]:
    """Return a new file beside `path`, the path that it is to get, and its descriptor; -1 where there is none.

    A pipe and a device are written to as they are, and so is a file with several names, or in a folder in which no file
    can be made.
    """
    check_link(path)
    target = os.path.realpath(path)  # a link stays a link
    try:
        status = os.stat(target)
    except FileNotFoundError:
        status = None
    if status is not None and (not stat.S_ISREG(status.st_mode) or status.st_nlink > 1):
        return "", target, -1
    if status is not None and not os.access(target, os.W_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), path)
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name[:200]}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except OSError:
        return "", target, -1  # opening the file itself says why, or works
    if status is not None:
        with suppress(OSError):
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            if status.st_uid != os.geteuid():
                os.fchown(descriptor, status.st_uid, status.st_gid)
    return temporary, target, descriptor
