"""Turns tables drawn with characters into CSV lines: the output of psql, mysql, sqlcmd, Spark and Markdown.

Line numbers do not change, because a line that only draws becomes a blank one.
"""

import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import Final

from txmon.ingest.fields import choose
from txmon.support.lazy_pattern import LazyPattern

LOOKED_AT: Final = 60  # lines
Convert = Callable[[bytes], bytes]
_BARS: Final = str.maketrans("│┃║", "|||")
_RULE: Final = LazyPattern(r"[\s|+\-=:_.┌┐└┘├┤┬┴┼─═╞╪╡━┏┓┗┛┳┻╋┡╇┩╔╗╚╝╠╣╦╩╬┃│║╒╕╘╛╤╧╟╢╫]+")
_STROKES: Final = LazyPattern(r"[-=─═━]{3}")
_DASHES: Final = LazyPattern(r"-+(?:\s+-+)+\s*")  # a rule with the widths of the columns
_FOOTER: Final = LazyPattern(
    r"\s*\(?[\d.,]+ (?:rows?|row\(s\)|records?|record\(s\)|tuples?|linhas?|filas?|registros?)\b.{0,80}", re.IGNORECASE
)
_TYPES: Final = LazyPattern(
    r"(?:varchar|text|string|u?int(?:eger)?\d*|u?bigint|hugeint|double|float\d*|decimal.*|numeric.*|timestamp.*|"
    r"datetime.*|date|time|boolean|str|i\d+|u\d+|f\d+|---)",
    re.IGNORECASE,
)
_WORD: Final = LazyPattern(r'"[^"]*"|\S+')
_DAY: Final = LazyPattern(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", re.ASCII)
_CLOCK: Final = LazyPattern(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{0,2})?", re.ASCII)
_QUOTED: Final = LazyPattern(r"'[^']*'(?:([,;\t|])'[^']*')+\s*")


def converter(lines: Sequence[bytes]) -> tuple[str, Convert] | None:
    """Return the kind of drawn table in these first lines, and a function from a line to CSV, or None."""
    texts = [line.decode("utf-8", "replace").rstrip("\r\n") for line in lines[:LOOKED_AT]]
    for at, text in enumerate(texts):
        if not _STROKES.search(text) or at + 1 >= len(texts):
            continue
        before = next((texts[i] for i in range(at - 1, -1, -1) if texts[i].strip()), "")
        if _DASHES.fullmatch(text) and before:
            return "text table", _by_width(text)
        if _RULE.fullmatch(text) and "|" in (before + texts[at + 1]).translate(_BARS):
            return "text table", _by_bars(texts)
    first = next((text for text in texts if text.strip()), "")
    quoted = _QUOTED.fullmatch(first)
    if quoted is not None:
        return "CSV in single quotes", lambda line: line.replace(b"'", b'"')
    return _by_spaces([text for text in texts if text.strip()])


def _csv(cells: Sequence[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue().encode("utf-8", "replace")


def _is_drawn(text: str) -> bool:
    """Return whether a line has no cells."""
    return (_RULE.fullmatch(text) is not None and _STROKES.search(text) is not None) or bool(_FOOTER.fullmatch(text))


def _by_bars(texts: Sequence[str]) -> Convert:
    outer = any(text.translate(_BARS).lstrip().startswith("|") for text in texts)

    def convert(line: bytes) -> bytes:
        text = line.decode("utf-8", "replace").rstrip("\r\n").translate(_BARS)
        if _is_drawn(text):
            return b""
        if "|" not in text:
            return line
        cells = text.strip().removeprefix("|").removesuffix("|").split("|") if outer else text.split("|")
        cells = [cell.strip() for cell in cells]
        if all(_TYPES.fullmatch(cell) for cell in cells):
            return b""  # DuckDB and polars write the types below the names
        return _csv(cells)

    return convert


def _by_width(rule: str) -> Convert:
    """Return a function that cuts cells where the dashes of the rule end.

    The last cell extends to the end of the line.
    """
    begins = [found.start() for found in re.finditer(r"-+", rule)]
    pieces = [slice(a, b) for a, b in zip(begins, [*begins[1:], None], strict=True)]

    def convert(line: bytes) -> bytes:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if _DASHES.fullmatch(text) or _FOOTER.fullmatch(text) or not text.strip():
            return b""
        return _csv([text[piece].strip() for piece in pieces])

    return convert


def _by_spaces(texts: Sequence[str]) -> tuple[str, Convert] | None:
    """Recognize columns separated by spaces, as R, `column -t` and data frames print them."""
    if len(texts) < 2 or any(mark in texts[0] for mark in ",;\t|"):
        return None
    names = [word.strip('"') for word in _WORD.findall(texts[0])]
    width = len(names)
    known = choose(names, {})
    if width < 2 or not ("time" in known and "status" in known):
        return None
    if any(len(_words(text, width)) != width for text in texts[1:6]):
        return None

    def convert(line: bytes) -> bytes:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        return _csv(_words(text, width)) if text.strip() else b""

    return "text table", convert


def _words(text: str, width: int) -> list[str]:
    """Return the words of a line, a date and its time as one word, without a data frame's row number."""
    found = [word.strip('"') for word in _WORD.findall(text)]
    if len(found) > width:
        for i in range(len(found) - 1):
            if _DAY.fullmatch(found[i]) and _CLOCK.fullmatch(found[i + 1]):
                found[i : i + 2] = [f"{found[i]} {found[i + 1]}"]
                break
    return found[1:] if len(found) == width + 1 else found
