"""Creates click options from the declarations of the settings, and loads the settings of a command."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from txmon.cli import messages
from txmon.cli.help_page import option
from txmon.settings.declarations import DECLARATIONS, DEFAULTS, FORMER, default_text, flag
from txmon.settings.load import Config, load
from txmon.settings.parsers import Choice

F = TypeVar("F", bound=Callable[..., Any])
# settings that several commands accept, in the order of their help
UNDERSTANDING: Final = (
    "format", "map", "wide", "encoding", "time_format", "day_first", "month_first", "date_column", "date", "tz",
    "group_by", "no_reading",
)  # fmt: skip
READING: Final = (*UNDERSTANDING, "role", "strict", "rejects", "max_line")
JUDGING: Final = (
    "bucket", "lateness", "half_life", "mix_half_life", "warmup", "budget", "sigma", "min_count", "min_ratio",
    "direction", "level_shift", "closed", "rule", "mode", "explain", "idle", "max_series", "open_after",
    "resolve_after", "merge_within", "remind_every",
)  # fmt: skip
DRIVING: Final = ("drivers", "drivers_keep", "drivers_share")
MESSAGES: Final = ("quiet", "verbose", "log_format")
WRITING: Final = ("out", "only", "fail_on", "log", "log_keep", "chart", *MESSAGES)
SHORT: Final = {"out": "-o", "quiet": "-q", "verbose": "-v"}


def options(*names: str) -> Callable[[F], F]:
    """Return a decorator that adds the flags of these settings. A missing flag is None, () or False."""

    def decorate(command: F) -> F:
        for name in reversed(names):
            command = _option(name)(command)
        return command

    return decorate


def _option(name: str) -> Callable[[F], F]:
    declaration = DECLARATIONS[name]
    section = declaration.section.capitalize()
    flags = [SHORT[name], flag(name)] if name in SHORT else [flag(name)]
    former = [flag(old) for old, present in FORMER.items() if present == name]
    if name == "open_after":
        former.append("--for")  # the name that a rule uses
    if isinstance(getattr(DEFAULTS, name), bool):
        return option(*flags, name, section=section, former=former, is_flag=True, help=declaration.help)
    # the declaration's own parser reads the text, so that flags, variables and files agree
    default = default_text(name)
    words = declaration.parse.words if isinstance(declaration.parse, Choice) else ()
    return option(
        *flags,
        name,
        section=section,
        former=former,
        words=words,
        metavar=declaration.metavar or "|".join(words),
        multiple=declaration.many,
        help=declaration.help + ("" if default == "none" else f" [default: {default}]"),
    )


def load_config(flags: Mapping[str, object]) -> Config:
    """Return the effective settings of a command with these flags, and apply those for messages."""
    config = load(flags, os.environ, Path.cwd(), home_folder())
    settings = config.settings
    if settings.quiet:
        if settings.verbose:
            quiet, verbose = config.origin["quiet"], config.origin["verbose"]
            raise messages.contradiction(quiet, verbose)
        chart = "never" if settings.chart == "auto" else settings.chart
        config = Config(replace(settings, no_reading=True, chart=chart), config.origin)
    messages.use(settings.log_format)
    return config


def home_folder() -> Path | None:
    """Return the user's home folder, or None if there is none: containers often run under a number without a name."""
    try:
        return Path.home()
    except RuntimeError:
        return None
