"""Texts as UTF-8, as they are and as JSON writes them; texts that are few and written often are remembered."""

import json
from typing import Final

from mypy_extensions import mypyc_attr

REMEMBERED: Final = 4096  # texts
_quoted: Final = json.encoder.encode_basestring  # JSON string, non-ASCII left as it is


@mypyc_attr(acyclic=True)
class Encoded:
    """A text as UTF-8."""

    __slots__ = ("escaped", "plain", "quoted")

    def __init__(self, text: str) -> None:
        self.plain = utf8(text)
        self.quoted = quoted(text)
        self.escaped = self.quoted[1:-1]  # to stand within a JSON string


_texts: Final[dict[str, Encoded]] = {}


def encoded(text: str) -> Encoded:
    """A status, a dimension: there are few of them."""
    found = _texts.get(text)
    if found is None:
        if len(_texts) >= REMEMBERED:
            _texts.clear()
        found = _texts[text] = Encoded(text)
    return found


def utf8(text: str) -> bytes:
    """`text` as it is; half a surrogate pair stays one, for the stream to refuse."""
    return text.encode("utf-8", "surrogatepass")


def quoted(text: str) -> bytes:
    """`text` as a JSON string."""
    return utf8(_quoted(text))


def decoded(data: bytes) -> str:
    """What `utf8` encoded."""
    return data.decode("utf-8", "surrogatepass")
