"""Every library that txmon brings along, with version and licence: `make audit`, or `python tests/helpers/audit.py`.

Read from what is installed, through all that the libraries need in turn. A licence that is not known to be permissive
(or MPL 2.0, which asks nothing of who only uses the library) makes it fail, and so does one that cannot be told.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Final

from packaging.requirements import Requirement

EXTRAS: Final = ("apprise", "kafka", "plot", "spark")
# SPDX names that may be shipped beside an MIT program without asking anybody
ALLOWED: Final = frozenset(
    (
        "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "GCC-exception-3.1", "HPND", "ISC", "MIT",
        "MIT-0", "MIT-CMU", "MPL-2.0", "NCSA", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib", "Bzip2-1.0.6", "BSL-1.0",
        "CC0-1.0", "OFL-1.1",
    )
)  # fmt: skip
# what metadata say in words
SPOKEN: Final = {
    "apache": "Apache-2.0", "apache 2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0", "apache software license": "Apache-2.0", "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause", "bsd 3-clause": "BSD-3-Clause", "bsd 3-clause license": "BSD-3-Clause",
    "bsd-3-clause license": "BSD-3-Clause", "new bsd license": "BSD-3-Clause", "isc license (iscl)": "ISC",
    "mit": "MIT", "mit license": "MIT", "mit licence": "MIT", "the mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "mpl 2.0": "MPL-2.0", "python software foundation license": "PSF-2.0", "psf": "PSF-2.0", "dual license": "",
    "historical permission notice and disclaimer (hpnd)": "HPND", "the unlicense (unlicense)": "Unlicense",
    "public domain": "Unlicense", "zlib/libpng license": "Zlib",
}  # fmt: skip
# read in the file that the library ships, where its metadata do not say it in words that are known here
READ: Final = {"matplotlib": "PSF-2.0", "cycler": "BSD-3-Clause", "kiwisolver": "BSD-3-Clause"}


@dataclass(frozen=True, slots=True)
class Library:
    """One installed library."""

    name: str
    version: str
    licence: str  # an SPDX expression; empty where it cannot be told
    needed_by: str

    def allowed(self) -> bool:
        """Whether every part that binds its user is on the list: all parts of an AND, one of an OR."""
        return bool(self.licence) and all(
            any(part.strip(" ()") in ALLOWED for part in re.split(r"\s+OR\s+", term))
            for term in re.split(r"\s+AND\s+|\s+WITH\s+", self.licence)
        )


def normal(name: str) -> str:
    """A distribution's name as the registry compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_of(found: Distribution) -> str:
    """The licence as an SPDX expression: what the metadata state, the newest way of stating it first."""
    metadata = found.metadata
    name = normal(metadata["Name"])
    expressions = metadata.get_all("License-Expression")  # what is missing must not be asked for by its key
    if expressions:
        return str(expressions[0])
    if name in READ:
        return READ[name]
    spoken = [c.rpartition("::")[2].strip() for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")]
    licence = str((metadata.get_all("License") or [""])[0]).strip()
    texts = [text for text in spoken if text != "OSI Approved"] or [licence]
    known = [SPOKEN.get(text.lower(), text if text in ALLOWED else "") for text in texts]
    if all(known):
        return " AND ".join(dict.fromkeys(known))
    first = licence.split("\n")[0].strip()
    return SPOKEN.get(first.lower(), first if first in ALLOWED else "")


def needed(found: Distribution, extras: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The names that `found` needs here, each with the extras it asks of them."""
    for text in found.requires or []:
        wanted = Requirement(text)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield normal(wanted.name), tuple(sorted(wanted.extras))


def libraries(root: str = "txmon", extras: tuple[str, ...] = EXTRAS) -> list[Library]:
    """All that `root` brings along, by name; libraries of extras that are not installed are left out."""
    found: dict[str, Library] = {}
    waiting = [(root, extras, "")]
    seen = set()
    while waiting:
        name, wanted, parent = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            one = distribution(name)
        except PackageNotFoundError:
            continue
        if name != root:
            found.setdefault(name, Library(name, one.version, licence_of(one), parent))
        waiting += [(below, more, name) for below, more in needed(one, wanted)]
    return [found[name] for name in sorted(found)]


def main() -> int:
    """Print the table; 1 where a licence is not allowed."""
    found = libraries()
    width = max(len(one.name) for one in found)
    for one in found:
        mark = "" if one.allowed() else "   <- NOT ALLOWED"
        print(f"{one.name:{width}}  {one.version:12}  {one.licence or 'unknown':30}  for {one.needed_by}{mark}")
    bad = [one.name for one in found if not one.allowed()]
    print(
        f"{len(found)} libraries" + (f"; look at the licence of {', '.join(bad)}" if bad else ", all licences allowed")
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
