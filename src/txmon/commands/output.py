"""Files that commands write."""

import errno
import os
from typing import Final, TextIO

from ..errors import IoFailure

BLOCK: Final = 1 << 16  # bytes read at a time


def create(path: str) -> TextIO:
    """`path` opened for writing anew; IoFailure when that cannot be."""
    try:
        return open(path, "w", encoding="utf-8")
    except OSError as bad:
        raise IoFailure(f"{path}: {bad.strerror}") from bad


def append(path: str) -> TextIO:
    """`path` opened to go on writing after its last whole line: a kill may have left a torn one."""
    try:
        with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
            end = file.seek(0, os.SEEK_END)
            while end > 0:
                start = max(0, end - BLOCK)
                file.seek(start)
                newline = file.read(end - start).rfind(b"\n")
                end = start + newline + 1 if newline >= 0 else start
                if newline >= 0:
                    break
            file.truncate(end)
        return open(path, "a", encoding="utf-8")
    except OSError as bad:
        if bad.errno in (errno.ESPIPE, errno.EINVAL):  # a pipe or a device has nothing to go on after
            return create(path)
        raise IoFailure(f"{path}: {bad.strerror}") from bad
