"""Files that commands write."""

import os
from typing import TextIO

from ..errors import IoFailure
from ..safeopen import open_file


def create(path: str) -> TextIO:
    """`path` opened for writing anew; IoFailure when that cannot be."""
    try:
        return open(open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w", encoding="utf-8")
    except OSError as bad:
        raise IoFailure(f"{path}: {bad.strerror}") from bad
