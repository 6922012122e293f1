"""Recognizes rotated files: which files beside `app.log` were `app.log` before, and in which order."""

import os
import re
from pathlib import Path
from typing import Final

LISTINGS: Final = 20  # attempts to list the files of a folder while rotation goes on
MOST_ENTRIES: Final = 20_000  # names examined to find a file that was moved
PACKED: Final = (".gz", ".zst", ".bz2", ".xz")
# suffixes of logrotate, log4j, logback and others: .1, -20260302, .2026-03-02, -2026030214, -1772445600, .2026-03-02.1
_ADDED: Final = re.compile(r"[-._]\d[\d._:T-]*", re.ASCII)
_NUMBER: Final = re.compile(r"[-._](\d{1,5})", re.ASCII)


def rotated(path: str) -> list[Path]:
    """Return the rotated files of `path`, oldest first, without packed files whose unpacked version exists.

    Files named .1, .2 and so on are ordered by their numbers. All others are ordered by their last change, because
    packing or renaming a file keeps that time.
    """
    own = Path(path)
    found: dict[str, tuple[Path, str, int]] = {}
    for _ in range(LISTINGS):
        try:
            found = _rotated(own)
            break
        except FileNotFoundError:
            continue  # a file was renamed between two looks at it
        except OSError:
            return []
    numbers = {name: _NUMBER.fullmatch(added) for name, (_, added, _) in found.items()}
    if all(numbers.values()):
        return [found[name][0] for name in sorted(found, key=lambda name: -int(numbers[name][1]))]  # type: ignore[index]
    return [path for path, _, _ in sorted(found.values(), key=lambda one: (one[2], one[1]))]


def _rotated(own: Path) -> dict[str, tuple[Path, str, int]]:
    """Return the rotated files by their unpacked names: the path, what was added to the name, the time of change."""
    found: dict[str, tuple[Path, str, int]] = {}
    with os.scandir(own.parent) as entries:
        for entry in sorted(entries, key=lambda entry: (len(entry.name), entry.name)):
            plain = _unpacked(entry.name)
            added = _added(plain, own)
            if added is not None and plain not in found and entry.is_file():
                found[plain] = (Path(entry.path), added, entry.stat().st_mtime_ns)
    return found


def moved_files(path: str, real: str | None, inode: int) -> list[Path]:
    """Return the files with this inode near `path` and near `real`, where the file was, whatever their names are.

    It searches the folders of both, and their subfolders.
    """
    folders = {Path(path).parent: None}
    if real is not None:
        folders[Path(real).parent] = None
    found: dict[Path, None] = {}
    left = MOST_ENTRIES
    for folder in list(folders):
        inner: list[str] = []
        for deeper in (False, True):
            for place in inner if deeper else [str(folder)]:
                try:
                    with os.scandir(place) as entries:
                        for entry in entries:
                            left -= 1
                            if left < 0:
                                return list(found)
                            if not deeper and entry.is_dir(follow_symlinks=False):
                                inner.append(entry.path)
                            elif entry.inode() == inode and entry.is_file(follow_symlinks=False):
                                found[Path(entry.path)] = None
                except OSError:  # the folder no longer exists, or may not be read
                    continue
    return list(found)


def _unpacked(name: str) -> str:
    stem, ending = os.path.splitext(name)
    return stem if ending in PACKED else name


def _added(name: str, own: Path) -> str | None:
    """Return what rotation added to the name `own`, at its end or before its extension, or None for another file."""
    if name == own.name:
        return None
    if name.startswith(own.name) and _ADDED.fullmatch(name, len(own.name)):
        return name[len(own.name) :]
    if own.suffix and name.startswith(own.stem) and name.endswith(own.suffix):
        added = name[len(own.stem) : -len(own.suffix)]
        return added if _ADDED.fullmatch(added) else None
    return None
