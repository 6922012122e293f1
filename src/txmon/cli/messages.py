"""Writes messages on standard error, as text or as JSON lines."""

import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, Literal

from txmon.errors import ConfigError, TxmonError, UsageError
from txmon.support.terminal_text import printable

Level = Literal["info", "warning", "error"]
TEXT: Final = "text"
_format = [TEXT]  # of this process


def use(log_format: str) -> None:
    """Set the format of the following messages: `text` or `json`."""
    _format[0] = log_format


def tell(lines: Iterable[str], level: Level = "info") -> None:
    """Write one message for each of `lines`. A closed or full standard error is ignored."""
    for line in lines:
        with suppress(OSError):
            _write(line, level)


def fail(text: str, detail: str = "") -> None:
    """Write the message of a failure. detail: further lines, shown below it."""
    with suppress(OSError):
        if _format[0] != TEXT:
            _write("\n".join([text, *detail.splitlines()]), "error")
            return
        # names of files and columns come from outside, and a terminal would interpret their control characters
        _write(" ".join(text.split()), "error")
        for line in detail.splitlines():
            print(f"  {printable(line, None)}", file=sys.stderr, flush=True)


def contradiction(quiet: str, verbose: str) -> TxmonError:
    """Return the error for using --quiet and --verbose together. quiet, verbose: the origin of each."""
    kind = UsageError if quiet.startswith("--") and verbose.startswith("--") else ConfigError
    return kind(f"{quiet} and {verbose} exclude each other. Give one of them.")


def _write(line: str, level: Level) -> None:
    if _format[0] == TEXT:
        print(f"txmon: {printable(line, None)}", file=sys.stderr, flush=True)
        return
    import time

    from txmon.server.messages import ServerLog

    ServerLog(_format[0], "info", time.time).write(level, line)
