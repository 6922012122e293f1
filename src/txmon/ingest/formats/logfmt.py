"""Reads logfmt, as Go services and Heroku log: `time=2024-03-05T10:00:00Z status=approved msg="gift wrap"`."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

_PAIR: Final = re.compile(r'([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?=\s|$)')
_ESCAPE: Final = re.compile(r"\\(.)")


def is_logfmt(lines: Iterable[bytes]) -> bool:
    """Return whether each of the first lines has two or more `name=value` pairs."""
    seen = 0
    for line in lines:
        if not line.strip():
            continue
        if len(_PAIR.findall(line.decode("utf-8", "replace"))) < 2:
            return False
        seen += 1
        if seen == 5:
            break
    return seen > 0


def json_lines(lines: list[bytes]) -> Iterator[bytes]:
    """Yield each line as a JSON object. A line without pairs stays as it is, and the parser rejects it."""
    for line in lines:
        text = line.decode("utf-8", "replace")
        found = {name: _value(value) for name, value in _PAIR.findall(text)}
        if not found:
            yield line
            continue
        before = text[: _PAIR.search(text).start()].split() if _PAIR.search(text) else []  # type: ignore[union-attr]
        if before and before[0][:1].isdigit() and "time" not in found and "ts" not in found:
            found = {"time": " ".join(word for word in before[:2] if word[:1].isdigit()), **found}
        yield json.dumps(found, ensure_ascii=False).encode("utf-8", "replace")


def _value(text: str) -> str:
    return _ESCAPE.sub(r"\1", text[1:-1]) if text.startswith('"') else text
