"""Text from outside made safe to show on a terminal."""

import re
from typing import Final

# controls (ESC among them), C1, line separators, and what turns the direction of text around
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def printable(text: str, limit: int | None = 60) -> str:
    """`text` on one line, unprintable characters as `?`, at most `limit` characters (None: all of them)."""
    safe = _UNSAFE.sub("?", text)
    return safe if limit is None or len(safe) <= limit else safe[: limit - 3] + "..."
