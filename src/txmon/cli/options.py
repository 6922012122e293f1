"""Click options made from the settings' declarations, and the settings that hold for a command."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from txmon.settings.declarations import DECLARATIONS, DEFAULTS, default_text, flag
from txmon.settings.load import Config, load
from txmon.settings.parsers import Choice

F = TypeVar("F", bound=Callable[..., Any])
# the settings that several commands take, in the order in which their help lists them
UNDERSTANDING: Final = (
    "format", "map", "wide", "encoding", "time_format", "day_first", "month_first", "date_column", "date", "tz", "by",
    "no_reading",
)  # fmt: skip
READING: Final = (*UNDERSTANDING, "role", "strict", "rejects", "max_line")
JUDGING: Final = (
    "bucket", "lateness", "half_life", "mix_half_life", "warmup", "budget", "sigma", "min_count", "min_ratio",
    "direction", "level_shift", "closed", "rule", "mode", "explain", "idle", "max_series", "confirm", "clear", "join",
    "repeat",
)  # fmt: skip
DRIVING: Final = (
    "drivers", "drivers_keep",
)  # fmt: skip
WRITING: Final = ("out", "only", "fail_on", "log", "log_keep", "chart")


def options(*names: str) -> Callable[[F], F]:
    """Gives a command the flags of these settings; one that is not given arrives as None, () or False."""

    def decorate(command: F) -> F:
        for name in reversed(names):
            declaration = DECLARATIONS[name]
            text = f"{declaration.help} [default: {default_text(name)}]"
            if isinstance(getattr(DEFAULTS, name), bool):
                switches = ["-q", flag(name)] if name == "no_reading" else [flag(name)]
                command = click.option(*switches, name, is_flag=True, help=declaration.help)(command)
            else:
                # the declaration's own parser reads the text, so that flags, variables and files agree
                flags = [flag(name), "--for"] if name == "confirm" else [flag(name)]
                words = declaration.parse.words if isinstance(declaration.parse, Choice) else ()
                metavar = declaration.metavar or "|".join(words)
                option = click.option(*flags, name, metavar=metavar, multiple=declaration.many, help=text)
                command = option(command)
        return command

    return decorate


def load_config(flags: Mapping[str, object]) -> Config:
    """The settings that hold here and now, given a command's flags."""
    return load(flags, os.environ, Path.cwd(), home_folder())


def home_folder() -> Path | None:
    """The user's home; None where there is none: a container often runs under a number without a name."""
    try:
        return Path.home()
    except RuntimeError:
        return None
