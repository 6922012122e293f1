"""Loads settings from their layers: flags, TXMON_* variables, ./txmon.toml, the user's folder, defaults."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from txmon.errors import ConfigError, TxmonError, UsageError
from txmon.settings.declarations import (
    DECLARATIONS,
    DEFAULTS,
    FORMER,
    SECTIONS,
    Settings,
    flag,
    present_name,
    text_of_setting,
    variable,
)
from txmon.settings.rule import Rule, parse_rule
from txmon.settings.toml import Value, toml_line
from txmon.support.durations import duration_text
from txmon.support.frozen import frozen
from txmon.support.safe_open import trusted
from txmon.support.suggest import nearest
from txmon.support.terminal_text import printable

FILE: Final = "txmon.toml"
# not settings: they are secrets, or name the files with settings
RESERVED: Final = frozenset(
    (
        "TXMON_CONFIG", "TXMON_TEAMS_WEBHOOK", "TXMON_WEBHOOK", "TXMON_WEBHOOK_SECRET", "TXMON_APPRISE", "TXMON_TOKEN",
        "TXMON_SQL", "TXMON_SQL_PASSWORD", "TXMON_OUT_PASSWORD", "TXMON_PROMETHEUS_TOKEN", "TXMON_PROMETHEUS_BASIC",
    )
)  # fmt: skip
BUILD: Final = frozenset(("TXMON_PURE", "TXMON_COMPILE", "TXMON_GOLDEN"))  # used only by txmon's own build and tests


@frozen
class Config:
    """The effective settings, and the origin of each."""

    settings: Settings
    origin: Mapping[str, str]  # setting -> "--flag", "TXMON_NAME", a file's path, or "default"


def load(flags: Mapping[str, object], env: Mapping[str, str], here: Path, home: Path | None) -> Config:
    """Return the effective settings for `flags` (None or empty: not given) in folder `here` for the user at `home`.

    home: None for a user without a home folder. Raise UsageError for a bad flag, ConfigError for a bad variable or
    file.
    """
    values: dict[str, Any] = {}
    origin = dict.fromkeys(DECLARATIONS, "default")
    for path, required in _files(env, here, home):
        for name, value in _read_toml(path, required).items():
            values[name] = _parse(name, value, f"{path}: {name}", ConfigError)
            origin[name] = str(path)
    for name, text in _variables(env).items():
        values[name] = _parse(name, text, variable(name), ConfigError)
        origin[name] = variable(name)
    given = {name: value for name, value in flags.items() if name in DECLARATIONS and value not in (None, (), False)}
    if "budget" in given and "sigma" in given:
        raise UsageError("--budget and --sigma both set the threshold. Give one of them.")
    if "budget" in given:  # it takes precedence over a threshold in a file or a variable
        values.pop("sigma", None)
        origin["sigma"] = "default"
    for name, value in given.items():
        values[name] = _parse(name, value, flag(name), UsageError)
        origin[name] = flag(name)
    found = Settings(**values)
    _check_dimensions(found, "group_by", origin["group_by"])
    _check_dimensions(found, "drivers", origin["drivers"])
    return Config(found, origin)


def _check_dimensions(settings: Settings, name: str, origin: str) -> None:
    """Refuse `group_by` and `drivers` for a column of txmon's own, because it would turn statuses into keys."""
    error = UsageError if origin == flag(name) else ConfigError
    twice = [column for column in settings.drivers if column.lower() in {one.lower() for one in settings.group_by}]
    if twice and name == "drivers":
        raise error(f"{origin}: {twice[0]!r} is in --group-by already. Name it in one of them.")
    columns: tuple[str, ...] = getattr(settings, name)
    for field in ("status", "time", "count"):
        names = {field, settings.map.get(field, field).lower()}
        column = next((column for column in columns if column.lower() in names), None)
        if column is not None:
            why = "Every status is judged by itself already." if field == "status" else f"It contains the {field}."
            raise error(f"{origin}: {column!r} cannot be a dimension. {why} Use columns like merchant.")


def _files(env: Mapping[str, str], here: Path, home: Path | None) -> list[tuple[Path, bool]]:
    """Return the files that may contain settings, weakest first, and whether each must exist."""
    folder = home / ".config" if home is not None else None
    if env.get("XDG_CONFIG_HOME"):
        folder = Path(env["XDG_CONFIG_HOME"])
    named = env.get("TXMON_CONFIG")
    nearer = (Path(named), True) if named else (here / FILE, False)
    return [(folder / "txmon" / FILE, False), nearer] if folder is not None else [nearer]


def _read_toml(path: Path, required: bool) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            import tomllib  # imported here because a run without a file does not need it

            if not required:
                _refuse_others(path, os.fstat(file.fileno()))
            table = tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError):
        if required:
            raise ConfigError(f"{path}: no such file (TXMON_CONFIG)") from None
        return {}
    except OSError as bad:
        raise ConfigError(f"{path}: {bad.strerror}") from bad
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as bad:
        raise ConfigError(f'{path}: {bad}. A line is NAME = VALUE, and texts need quotes: bucket = "5m"') from bad
    if "statuses" in table:  # [statuses], the table of --role
        if "role" in table:
            raise ConfigError(f"{path}: has both [statuses] and role. Keep one of them.")
        table["role"] = table.pop("statuses")
    _spread_drivers(table, path)
    return _renamed(path, table)


def _renamed(path: Path, table: Mapping[str, object]) -> dict[str, object]:
    """Return the settings of `table` under their current names."""
    found: dict[str, object] = {}
    for given, value in table.items():
        name = present_name(given, value)
        if name not in DECLARATIONS:
            raise ConfigError(f"{path}: unknown setting {given!r}{nearest(given, [*DECLARATIONS, *FORMER])}")
        if name in found:
            raise ConfigError(f"{path}: {name!r} is given twice, once under its former name. Keep one of them.")
        found[name] = value
    return found


def _spread_drivers(table: dict[str, object], path: Path) -> None:
    """Turn the keys of the table [drivers] into settings."""
    own = table.get("drivers")
    if not isinstance(own, dict):
        return
    del table["drivers"]
    for name, value in own.items():
        setting = "drivers" if name == "columns" else f"drivers_{name}"
        if setting not in DECLARATIONS:
            raise ConfigError(f"{path}: unknown key {name!r} in [drivers]. Use columns, keep or share.")
        table[setting] = value


def _refuse_others(path: Path, status: os.stat_result) -> None:
    """Refuse a file of another user, as in /tmp, because settings of a file found here can run a command (--exec)."""
    if not trusted(status) or status.st_mode & stat.S_IWOTH:
        whose = "can be written by anybody" if status.st_mode & stat.S_IWOTH else "belongs to another user"
        raise ConfigError(f"{path}: {whose}, so txmon does not use it. To use it, name it in TXMON_CONFIG.")


def _variables(env: Mapping[str, str]) -> dict[str, str]:
    known = {variable(name): name for name in [*DECLARATIONS, *FORMER]}
    found: dict[str, str] = {}
    for name, text in env.items():
        if not name.startswith("TXMON_") or name in RESERVED | BUILD:
            continue
        if name not in known:
            raise ConfigError(f"unknown environment variable {name}{nearest(name, {*known, *RESERVED})}")
        present = present_name(known[name], text)
        if present in found:
            raise ConfigError(f"{variable(present)} is set twice, once under its former name. Unset one of them.")
        found[present] = text
    return found


def _parse(name: str, value: object, place: str, error: type[TxmonError]) -> object:
    try:
        return DECLARATIONS[name].parse(value)
    except ValueError as bad:
        raise error(f"{place}: {bad}") from None


def as_toml(config: Config, secrets: Mapping[str, bool]) -> str:
    """Return all settings with their origins as TOML that loads to the same values.

    secrets: name -> whether it is set.
    """
    lines: list[str] = []
    for section in SECTIONS:
        lines += [f"# {section}", *(_line(config, n) for n, d in DECLARATIONS.items() if d.section == section), ""]
    lines.append("# secrets, never shown")
    lines += [f"# {name} is {'set' if given else 'not set'}" for name, given in secrets.items()]
    return "\n".join(lines)


def _line(config: Config, name: str) -> str:
    value = getattr(config.settings, name)
    text = text_of_setting(config.settings, name)
    if not text and value == getattr(DEFAULTS, name):
        return f"# {name} is not set"
    written: Value = value if isinstance(value, bool) else text
    if name == "rule":
        written = [_rule(rule, number) for number, rule in enumerate(value, 1)]
    return f"{toml_line(name, written)}  # {printable(config.origin[name], None)}"


def _rule(rule: Rule, number: int) -> str | dict[str, str]:
    """Return a rule as text if that parses to the same rule, otherwise as a table (a name, a status of two words)."""
    try:
        if parse_rule(str(rule), number) == rule:
            return str(rule)
    except ValueError:
        pass
    return {"name": rule.name, "status": rule.status, "when": rule.text, "for": duration_text(rule.hold)}


def as_json(config: Config) -> dict[str, dict[str, object]]:
    """Return all settings with their origins, for programs."""
    return {
        name: {"value": text_of_setting(config.settings, name) or None, "origin": config.origin[name]}
        for name in DECLARATIONS
    }
