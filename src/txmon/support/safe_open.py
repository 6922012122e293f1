"""Opens files for writing, and avoids traps that another user left at their path.

In a folder that several users can write to (/tmp, a shared spool), one of them may place a link or a file where txmon
is about to write. A refusal is an OSError whose `strerror` gives the reason. Callers report it like any other.
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

OTHERS_LINK: Final = "is a link that another user made. txmon does not follow it"
OTHERS_PIPE: Final = "is a pipe that another user made. txmon does not use it"
OTHERS_FILE: Final = "belongs to another user, who could read what is written there"
BLOCK: Final = 1 << 16  # bytes written at a time
STANDARD_OUTPUT: Final = "-"


def open_file(path: str, flags: int, mode: int = 0o666, private: bool = False) -> int:
    """Return a descriptor of `path`, opened with `flags`. A missing file is created with `mode`.

    private: for its owner only. The mode is then 0600, and a regular file of another user is refused before it is
    truncated. Raise OSError.
    """
    check_link(path)
    truncate = flags & os.O_TRUNC
    descriptor = os.open(path, flags & ~os.O_TRUNC | os.O_CLOEXEC | os.O_NOCTTY, 0o600 if private else mode)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):  # a pipe or a device has no content to truncate
            if private and status.st_uid != os.geteuid():
                raise OSError(errno.EPERM, OTHERS_FILE, path)  # noqa: TRY301
            if truncate:
                os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def check_link(path: str) -> None:
    """Raise OSError if `path` is a link or a pipe of a user other than this one and root."""
    try:
        status = os.lstat(path)
    except OSError:
        return  # opening it gives the reason
    if trusted(status):
        return
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, OTHERS_LINK, path)
    if stat.S_ISFIFO(status.st_mode):
        raise OSError(errno.EPERM, OTHERS_PIPE, path)


def trusted(status: os.stat_result) -> bool:
    """Return whether the file with this status belongs to this user or to root."""
    return status.st_uid in (os.geteuid(), 0)


@contextmanager
def create(path: str, at_once: bool = False) -> Iterator[TextIO]:
    """Write the text file `path`, as `create_bytes` does."""
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
    """Write the file `path`; `-` is standard output. Raise IoFailure if it cannot be created.

    The file appears when all of it is written. Until then, and after a failure, the previous file stays unchanged.
    at_once: others read the file while it is written, so its content goes directly to the path.
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
    """Return a new file beside `path`, the path that it will be renamed to, and its descriptor; -1 for no new file.

    A pipe and a device are written to directly. So is a file with several names, and a file in a folder where no file
    can be created.
    """
    check_link(path)
    target = os.path.realpath(path)  # the link itself stays unchanged
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
        return "", target, -1  # opening the file itself works or gives the reason
    if status is not None:
        with suppress(OSError):
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            if status.st_uid != os.geteuid():
                os.fchown(descriptor, status.st_uid, status.st_gid)
    return temporary, target, descriptor
