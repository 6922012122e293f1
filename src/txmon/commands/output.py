"""Files that commands write."""

from typing import TextIO

from ..errors import IoFailure


def create(path: str) -> TextIO:
    """`path` opened for writing anew; IoFailure when that cannot be."""
    try:
        return open(path, "w", encoding="utf-8")
    except OSError as bad:
        raise IoFailure(f"{path}: {bad.strerror}") from bad


def append(path: str) -> TextIO:
    """`path` opened to be written on at its end; IoFailure when that cannot be."""
    try:
        return open(path, "a", encoding="utf-8")
    except OSError as bad:
        raise IoFailure(f"{path}: {bad.strerror}") from bad
