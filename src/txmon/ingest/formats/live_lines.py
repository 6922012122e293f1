"""Converts lines of a live stream to JSON lines if they are logfmt or elements of JSON arrays."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from txmon.ingest.formats.logfmt import is_logfmt, json_lines
from txmon.ingest.reading import Container

LOGFMT: Final = "logfmt"
ARRAY: Final = "array"
CONTAINERS: Final[Mapping[str, Container]] = {
    LOGFMT: Container("jsonl", "logfmt"), ARRAY: Container("jsonl", "JSON array")
}  # fmt: skip


def form_of(lines: Sequence[bytes], asked: str) -> str:
    """Return LOGFMT or ARRAY if the first lines of a stream have that form, otherwise "".

    asked: the value of --format.
    """
    if asked == LOGFMT:
        return LOGFMT
    first = next(filter(bytes.strip, lines), b"").lstrip()
    begins = first.strip() == b"[" or first[1:].lstrip()[:1] == b"{"
    if first.startswith(b"[") and begins and asked in ("auto", "json"):
        return ARRAY
    plain = asked == "auto" and b"=" in first and not first.startswith(b"{")
    return LOGFMT if plain and is_logfmt([line for line in lines if line.strip()][:5]) else ""


def json_of(form: str) -> Callable[[list[bytes]], list[bytes]]:
    """Return a function that turns lines of this form into JSON lines."""
    return _elements if form == ARRAY else lambda lines: list(json_lines(lines))


def _elements(lines: list[bytes]) -> list[bytes]:
    """Return the elements of arrays with one element on each line, or a whole array on one.

    Other lines stay as they are.
    """
    found: list[bytes] = []
    for line in lines:
        text = line.strip().rstrip(b",").strip()
        if text in (b"[", b"]", b""):
            found.append(b"")
        elif text.startswith(b"[") and text.endswith(b"]"):
            found += _apart(text) or [line]
        else:
            # the first element may be on the line of the bracket, and the last one before it
            found.append(text[1:].lstrip() if text.startswith(b"[{") else text[:-1] if text.endswith(b"}]") else text)
    return found


def _apart(text: bytes) -> list[bytes]:
    import msgspec  # imported here because few streams need it

    try:
        return [bytes(element) for element in msgspec.json.decode(text, type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return []
