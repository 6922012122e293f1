"""Finds the role of a status and the meaning of a response code.

The words and codes are data in statuses.toml next to this module. The file is read once, at the first look-up.
"""

import json
import unicodedata
from collections.abc import Mapping
from typing import Final

SUCCESS: Final = "success"
DENIED: Final = "denied"
FAILED: Final = "failed"
REVERSED: Final = "reversed"
REFUNDED: Final = "refunded"
PENDING: Final = "pending"
OTHER: Final = "other"
ROLES: Final = (SUCCESS, DENIED, FAILED, REVERSED, REFUNDED, PENDING, OTHER)
NO_ROLES: Final[Mapping[str, str]] = {}
REMEMBERED: Final = 10_000  # statuses whose role and meaning are cached
LONGEST: Final = 100  # characters; no known status is longer, so longer ones are not looked up
CHECKOUT: Final = "20"  # Checkout.com writes 20051 for the code 51


class Vocabulary:
    """The words and codes of statuses.toml."""

    __slots__ = ("_ignored", "_meanings", "_roles", "codes", "words")

    def __init__(self, table: Mapping[str, Mapping[str, object]]) -> None:
        """Create it. table: the content of the file."""
        self.codes: dict[str, tuple[str, str]] = {}  # code in lower case -> role and meaning
        self.words: dict[str, str] = {}  # letters and digits of a word -> role
        self._ignored: set[str] = set()
        self._roles: dict[str, str] = {}  # cached roles by status
        self._meanings: dict[str, str] = {}
        for code, entry in table["codes"].items():
            if isinstance(entry, list):
                self.codes[code.lower()] = (str(entry[0]), str(entry[1]))
        for role, words in table["words"].items():
            for word in words if isinstance(words, list) else ():
                self.words.setdefault("".join(_parts(str(word))), role)
        ignored = table["ignored"]["words"]
        for word in ignored if isinstance(ignored, list) else ():
            self._ignored.add(str(word))

    def role(self, status: str) -> str:
        """Return the role of a status in lower case, or "" if it has none."""
        found = self._roles.get(status)
        if found is None:
            if len(self._roles) >= REMEMBERED:
                self._roles.clear()
            found = self._roles[status] = self._find(status)
        return found

    def meaning(self, status: str) -> str:
        """Return the meaning of a response code, or "" for any other status."""
        found = self._meanings.get(status)
        if found is None:
            if len(self._meanings) >= REMEMBERED:
                self._meanings.clear()
            code = self._code(status)
            found = self._meanings[status] = self.codes[code][1] if code else ""
        return found

    def _code(self, status: str) -> str:
        """Return the response code in a status, or "" if there is none."""
        if status in self.codes:
            return status
        if not (status.isascii() and status.isdigit()):
            return ""
        if len(status) == 5 and status.startswith(CHECKOUT) and status[3:] in self.codes:
            return status[3:]
        return ""

    def _find(self, status: str) -> str:
        code = self._code(status)
        if code:
            return self.codes[code][0]
        if len(status) > LONGEST:
            return ""
        parts = _parts(status)
        found = self.words.get("".join(parts))
        if found is None and parts and parts[-1].endswith("s"):  # columns of counts often have plural names
            found = self.words.get("".join(parts)[:-1])
        if found is None and len(parts) > 1:
            found = self._inside(parts)
        return found or ""

    def _inside(self, parts: list[str]) -> str | None:
        """Return the role of a status of several words, without words that have no role, or by the code before them."""
        kept = [part for part in parts if part not in self._ignored]
        found = self.words.get("".join(kept)) if kept else None
        if found is None and kept:
            first = parts[0]
            if len(first) > 1 and first in self.codes:
                return self.codes[first][0]
            last = parts[-1]
            if len(last) > 1 and last in self.codes and last[0].isdigit():
                return self.codes[last][0]
        return found


_LOADED: Final[list[Vocabulary]] = []


def tables_of(text: str) -> dict[str, dict[str, object]]:
    """Return the tables of a TOML file that contains only texts and lists of texts, one key or part of a list per line.

    JSON has the same syntax for such values. tomllib reads any TOML, but for this file it would take a quarter of
    txmon's start-up time.
    """
    tables: dict[str, dict[str, object]] = {}
    table: dict[str, object] = {}
    name, value = "", ""
    for line in text.splitlines():
        if value:
            value += line
        elif not line or line.startswith("#"):
            continue
        elif line.startswith("["):
            table = tables[line[1:-1]] = {}
            continue
        else:
            name, _, value = line.partition(" = ")
        if value.startswith("[") and not value.endswith("]"):
            continue  # the list continues in the next line
        table[name.strip('"')] = json.loads(value[:-2] + "]" if value.endswith(",]") else value)
        value = ""
    return tables


def vocabulary() -> Vocabulary:
    """Return the words and codes of statuses.toml."""
    if not _LOADED:
        from pathlib import Path

        _LOADED.append(Vocabulary(tables_of(Path(__file__).with_name("statuses.toml").read_text("utf-8"))))
    return _LOADED[0]


def role_of(status: str, own: Mapping[str, str] = NO_ROLES) -> str:
    """Return the role of a status in lower case, or "" if it has none.

    own: roles by status that take precedence over the vocabulary.
    """
    if own:
        role = own.get(status)
        if role is not None:
            return role
    return vocabulary().role(status)


def meaning_of(status: str) -> str:
    """Return the meaning of a response code, or "" for any other status."""
    if len(status) > 5:
        return ""
    return vocabulary().meaning(status)


def shown(status: str) -> str:
    """Return a status for people: a response code together with its meaning."""
    meaning = meaning_of(status)
    return f"{status} {meaning}" if meaning else status


def _parts(text: str) -> list[str]:
    """Return the words of a text: lower case, without accents, letters and digits only."""
    if text.isascii():
        if text.isalnum():
            return [text.lower()]  # most statuses are one word
    else:
        text = "".join([one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one)])
    return "".join([one if one.isalnum() else " " for one in text.lower()]).split()
