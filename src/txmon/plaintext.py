"""Texts from data, made safe for where they go: a terminal obeys escape sequences, a spreadsheet formulas."""

import unicodedata
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def harmless(text: str) -> str:
    r"""`text` with every control and direction character spelt out: an escape becomes `\x1b`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else _spelt(c) for c in text)


def _spelt(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def no_formula(text: str) -> str:
    """`text` as a CSV cell that no spreadsheet computes: an apostrophe goes before what looks like a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
