"""Patterns that are compiled at first use, because compiling takes a millisecond and most runs need few of them."""

import re
from collections.abc import Callable, Iterator


class LazyPattern:
    """A regular expression with the methods of `re.Pattern` that txmon uses."""

    __slots__ = ("_flags", "_found", "_text")

    def __init__(self, text: str, flags: int = 0) -> None:
        self._text = text
        self._flags = flags
        self._found: re.Pattern[str] | None = None

    def compiled(self) -> re.Pattern[str]:
        """Return the compiled pattern."""
        if self._found is None:
            self._found = re.compile(self._text, self._flags)
        return self._found

    def search(self, text: str) -> re.Match[str] | None:
        """Return the first match in `text`."""
        return self.compiled().search(text)

    def match(self, text: str) -> re.Match[str] | None:
        """Return the match at the start of `text`."""
        return self.compiled().match(text)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """Return the match of all of `text`."""
        return self.compiled().fullmatch(text)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Return all matches in `text`."""
        return self.compiled().finditer(text)

    def findall(self, text: str) -> list[str]:
        """Return the texts of all matches."""
        return self.compiled().findall(text)

    def sub(self, new: str | Callable[[re.Match[str]], str], text: str) -> str:
        """Return `text` with all matches replaced by `new`."""
        return self.compiled().sub(new, text)
