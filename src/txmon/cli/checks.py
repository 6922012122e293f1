"""The checks of `txmon doctor`: whether the installation, the settings and the state are usable.

Checks only read. They write nothing, send nothing and do not wait. Their texts contain no secrets.
"""

import os
import re
import resource
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

from txmon.cli.tables_out import file_written, is_table
from txmon.errors import TxmonError
from txmon.model.clock import iso
from txmon.notify.setup import channels_of, spool_folder
from txmon.runtime.factory import depended_on, pipeline_of_state
from txmon.runtime.state_file import load
from txmon.settings.load import Config
from txmon.support.durations import duration_text
from txmon.support.plurals import plural
from txmon.support.safe_open import trusted
from txmon.version import compiled, describe

Level = Literal["ok", "note", "warning", "bad"]
PACKAGE: Final = "txmon"
_REQUIREMENT: Final = re.compile(r"([\w.-]+)[^;]*(?:;.*\bextra\s*==\s*['\"]([\w.-]+)['\"])?")
FEW_DESCRIPTORS: Final = 64
SECRET_FILES: Final = ("teams_webhook_file", "webhook_file", "webhook_secret_file", "apprise_file")


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    name: str
    level: Level  # only `bad` prevents txmon from working
    text: str


@dataclass(frozen=True, slots=True)
class Screen:
    """The capabilities of a terminal's stream."""

    terminal: bool
    encoding: str
    columns: int
    lines: int


def installation() -> Iterator[Finding]:
    """Yield the package, its core and the libraries."""
    yield Finding("version", "ok", describe())
    if not compiled():
        yield Finding(
            "core", "note", "interpreted: same results, but slower. A wheel built with a C compiler is compiled"
        )
    try:
        needed, optional = libraries(requires(PACKAGE) or ())
    except PackageNotFoundError:
        yield Finding(
            "libraries", "warning", "not known: txmon runs from its source; pip install it to have them checked"
        )
        return
    found, missing = _versions(needed)
    if found:
        yield Finding("libraries", "ok", ", ".join(found))
    if missing:
        yield Finding("libraries", "bad", f"missing: {', '.join(missing)}; install txmon again")
    found, missing = _versions(optional)
    absent = f"{'; ' if found else ''}not installed: {', '.join(missing)}" if missing else ""
    yield Finding("extras", "note" if missing else "ok", ", ".join(found) + absent)


def libraries(requirements: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the libraries that txmon needs and those of its extras only, sorted, from the requirements of a package.

    requirements: texts like `click>=8.2` or `apprise>=1.9; extra == 'apprise'`. Raise ValueError for any other text.
    """
    needed: set[str] = set()
    optional: set[str] = set()
    for text in requirements:
        match = _REQUIREMENT.match(text)
        if match is None:
            raise ValueError(f"{text!r} is not a requirement")
        (optional if match[2] else needed).add(match[1].lower())
    return sorted(needed), sorted(optional - needed - {PACKAGE})  # the extra `all` is txmon with its other extras


def _versions(names: Iterable[str]) -> tuple[list[str], list[str]]:
    found, missing = [], []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    return found, missing


def machine(screen: Screen, env: Mapping[str, str]) -> Iterator[Finding]:
    """Yield findings about time zones, limits and the terminal."""
    try:
        ZoneInfo("Europe/Berlin")
        yield Finding("time zones", "ok", "known")
    except (OSError, KeyError, ValueError):
        yield Finding(
            "time zones", "bad", "unknown: --tz cannot work; install the system's tzdata or pip install tzdata"
        )
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    few = 0 <= descriptors < FEW_DESCRIPTORS
    yield Finding("open files", "warning" if few else "ok", f"at most {descriptors} (ulimit -n)")
    yield _terminal(screen, env)


def _terminal(screen: Screen, env: Mapping[str, str]) -> Finding:
    if not screen.terminal:
        return Finding(
            "terminal", "note", "standard error is not a terminal, so there is no live chart (--chart always draws one)"
        )
    if env.get("TERM") in (None, "", "dumb"):
        return Finding("terminal", "note", f"TERM is {env.get('TERM') or 'not set'}: no live chart")
    unicode = "utf" in screen.encoding.lower()
    colour = "no colours (NO_COLOR)" if env.get("NO_COLOR") else "colours"
    drawing = "Braille lines" if unicode else f"ASCII lines, for {screen.encoding} has no Braille"
    return Finding("terminal", "ok", f"{screen.columns} by {screen.lines}, {colour}, {drawing}")


def settings(config: Config, files: list[str]) -> Iterator[Finding]:
    """Yield the origins of the settings, and whether the files that they name are writable."""
    changed = [name for name, origin in config.origin.items() if origin != "default"]
    where = f"from {', '.join(files)}" if files else "no txmon.toml"
    yield Finding(
        "configuration", "ok", f"{where}; {len(changed)} of {len(config.origin)} settings are not the default"
    )
    for name in ("out", "rejects", "log"):
        path = getattr(config.settings, name)
        if path is not None:
            yield table_out(path) if name == "out" and is_table(path) else writable(name, Path(path))


def table_out(out: str) -> Finding:
    """Return whether the tables or Parquet files of --out are writable. Nothing is created."""
    path = file_written(out)
    if path is not None:
        return writable("out", Path(path))
    from txmon.sinks.sql import VerdictTable, place_of

    try:
        table = VerdictTable(*place_of(out), os.environ.get("TXMON_OUT_PASSWORD"))
        table.try_to_connect()
    except TxmonError as bad:
        return Finding("out", "bad", str(bad))
    return Finding("out", "ok", f"{table.name}: the database answers")


def writable(name: str, path: Path) -> Finding:
    """Return whether `path`, or a new file there, is writable."""
    if path.is_symlink() and not trusted(path.lstat()):
        return Finding(name, "bad", f"{path} is a link that another user made")
    if path.exists():
        good = os.access(path, os.W_OK)
        return Finding(name, "ok" if good else "bad", f"{path} {'can' if good else 'cannot'} be written")
    if not path.parent.is_dir():
        return Finding(name, "warning" if name == "log" else "bad", f"there is no folder {path.parent}")
    good = os.access(path.parent, os.W_OK | os.X_OK)
    return Finding(name, "ok" if good else "bad", f"{path} is not there yet; it {'can' if good else 'cannot'} be made")


def memory(config: Config) -> Iterator[Finding]:
    """Yield whether the state is readable, matches the settings, and is private."""
    path = config.settings.state
    if path is None:
        yield Finding(
            "state",
            "note",
            "none: after a restart, txmon learns from the beginning. --state FILE keeps what it learned",
        )
        return
    try:
        found = load(path)
        if found is None:
            yield writable("state", Path(path))
            return
        for name, mine in depended_on(config.settings).items():
            if found.settings.get(name) != mine:
                text = f"{path} was written with {name} {found.settings.get(name)!r}, the settings say {mine!r}"
                yield Finding("state", "bad", text)
        pipeline = pipeline_of_state(found, path)
    except TxmonError as bad:
        yield Finding("state", "bad", str(bad))
        return
    detector, count = pipeline.detector, len(pipeline.tracker.open())
    until = f"judged until {iso(detector.time())}" if detector.time() >= 0 else "nothing judged yet"
    incidents = f"{count or 'no'} {plural(count, 'open incident')}"
    yield Finding("state", "ok", f"{path}: {until}, {len(detector.describe())} series, {incidents}")
    yield from _private("state", path)
    if not os.access(Path(path).resolve().parent, os.W_OK | os.X_OK):
        yield Finding("state", "bad", f"{path}: its folder cannot be written, so it cannot be replaced")


def _private(name: str, path: str) -> Iterator[Finding]:
    status = os.stat(path)
    if status.st_mode & (stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH):
        yield Finding(name, "warning", f"{path} is open to other users; chmod 600 {path}")


def people(config: Config, env: Mapping[str, str]) -> Iterator[Finding]:
    """Return whether notifications have a destination. The destination is secret and not shown."""
    try:
        names = [channel.name for channel in channels_of(config.settings, env)]
    except TxmonError as bad:
        yield Finding("notifications", "bad", str(bad))
        return
    if names:
        yield Finding("notifications", "ok", f"set up: {', '.join(names)} (txmon notify --test tries them)")
    else:
        yield Finding("notifications", "note", "nowhere to send: no webhook is set (TXMON_TEAMS_WEBHOOK)")
    for name in SECRET_FILES:
        path = getattr(config.settings, name)
        if path is not None:
            yield from _private(name, os.path.expanduser(path))
    folder = spool_folder(config.settings, env)
    waiting = len(list(folder.glob("*/*.json"))) if folder.is_dir() else 0
    if waiting:
        every = duration_text(config.settings.flush_timeout)
        yield Finding(
            "spool",
            "warning",
            f"{waiting} notifications wait in {folder}; a run with --notify sends them (drain {every})",
        )


def guarded(name: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Return the findings of `look`. An unexpected error is also a finding."""
    found: list[Finding] = []
    try:
        found.extend(look())
    except (OSError, TxmonError) as bad:
        found.append(Finding(name, "bad", str(bad)))
    return found
