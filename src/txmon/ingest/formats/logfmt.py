"""Reads logfmt, as Go services and Heroku log: `time=2024-03-05T10:00:00Z status=approved msg="gift wrap"`."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

_PAIR: Final = re.compile(r'([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?=\s|$)')
# the time before the pairs: of RFC 5424 and of most loggers, or that of RFC 3164, which has no year
_LEADING: Final = re.compile(
    r"(?:<\d{1,3}>\d?\s*)?[\[(]?"
    r"(\d[^\s\])]*(?:\s\d[^\s\])=]*)?(?=[\s\])])|[A-Z][a-z]{2}\s+\d{1,2}\s\d\d:\d\d:\d\d(?=\s))"
)
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
        time = _LEADING.match(text)
        if time is not None and "time" not in found and "ts" not in found:
            found = {"time": time[1], **found}
        yield json.dumps(found, ensure_ascii=False).encode("utf-8", "replace")


def _value(text: str) -> str:
    return _ESCAPE.sub(r"\1", text[1:-1]) if text.startswith('"') else text
