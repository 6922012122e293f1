"""Checks a release before it is built: `python tests/helpers/release.py v0.2.0`.

The tag, src/txmon/version.py, CITATION.cff and the newest section of CHANGELOG.md have to name the same version.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def versions() -> dict[str, str | None]:
    """Return the version that each file names; None where it names none."""
    patterns = {
        "src/txmon/version.py": r'^__version__ = "([^"]+)"',
        "CITATION.cff": r"^version: (\S+)",
        "CHANGELOG.md": r"^## \[?(\d[^\]\s]*)",
    }
    found = {}
    for name, pattern in patterns.items():
        match = re.search(pattern, (ROOT / name).read_text("utf-8"), re.MULTILINE)
        found[name] = match[1] if match else None
    return found


def main(tag: str) -> None:
    """Exit with 1 and the differences where a file names another version than `tag`."""
    wrong = [f"{name} names {found}" for name, found in versions().items() if f"v{found}" != tag]
    if wrong:
        sys.exit(f"{tag}: {'; '.join(wrong)}")


if __name__ == "__main__":
    main(sys.argv[1])
