"""Exit codes and the errors that carry them.

Every error a user can cause is a `TxmonError`: one clear line for stderr and the exit code that belongs to it. The CLI
alone turns them into output; everything below it raises.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What txmon's process returns (sysexits.h where a code exists there)."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    ALERTED = 3  # with --fail-on alert
    BAD_DATA = 65
    NO_INPUT = 66
    IO = 74
    CONFIG = 78
    INTERRUPTED = 130


class TxmonError(Exception):
    """An expected failure: its text is one line for the user, `exit_code` what the process returns."""

    exit_code = ExitCode.FAILURE
    detail = ""  # further lines, where a place in a text has to be shown


class UsageError(TxmonError):
    """The command line asks for something that cannot be."""

    exit_code = ExitCode.USAGE


class BadData(TxmonError):
    """The input cannot be read as transactions, or a bad record was met under --strict."""

    exit_code = ExitCode.BAD_DATA


class NoInput(TxmonError):
    """A named input does not exist or may not be read."""

    exit_code = ExitCode.NO_INPUT


class IoFailure(TxmonError):
    """Reading or writing failed half-way: disk full, a truncated gzip."""

    exit_code = ExitCode.IO


class ConfigError(TxmonError):
    """A setting is unknown or has an impossible value, wherever it came from."""

    exit_code = ExitCode.CONFIG
