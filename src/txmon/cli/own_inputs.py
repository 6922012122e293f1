"""Prevents commands from writing to their inputs.

It compares device and inode before any file is opened for writing.
"""

import os
import stat
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch

from txmon.cli.tables_out import file_written, is_table
from txmon.errors import UsageError
from txmon.settings.declarations import Settings
from txmon.settings.load import FILE
from txmon.sinks.log_folder import NAME
from txmon.support.sql_address import file_of

_Identity = tuple[object, ...]


def spare_inputs(inputs: Iterable[str], outputs: Mapping[str, str | None], settings: Settings | None = None) -> None:
    """Raise UsageError if an output is an input or another output.

    inputs: files, patterns, folders, or `-`. outputs: by flag, None if not given; `--log` and `--spool` are folders.
    settings: their files count as inputs too.
    """
    paths = [*inputs]
    read: dict[_Identity, str] = {}
    for path in [*_files(paths), *_of_settings(settings)]:
        identity = _identity(path)
        if identity is not None:
            read.setdefault(identity, path)
    patterns = [path for path in paths if is_pattern(path)]
    written: dict[_Identity, str] = {}
    for flag, output in {"standard output": "-", **outputs}.items():
        identity = None if output is None else _identity(output, 1)
        if identity is None or output is None or (output == "-" and written):
            continue
        given = flag if output == "-" else f"{flag} {output}"
        if identity in read:
            raise UsageError(
                f"{given} is the input {read[identity]}. txmon never writes to its input. Name another file."
            )
        pattern = next((path for path in patterns if fnmatch(os.path.abspath(output), os.path.abspath(path))), None)
        if pattern is not None:
            raise UsageError(
                f"{given} matches the input {pattern}, so txmon would read what it writes. Name another file."
            )
        if identity in written:
            raise UsageError(f"{given} is {written[identity]} too. Give each output its own file.")
        written[identity] = given
    _spare_log(read.values(), outputs.get("--log"))
    if settings is not None and is_table(settings.out) and os.path.isdir(outputs.get("--out") or ""):
        _spare_folder(read.values(), str(outputs["--out"]))


def outputs_of(settings: Settings) -> dict[str, str | None]:
    """Return the outputs of a run with these settings, by flag."""
    return {
        "--out": file_written(settings.out),
        "--rejects": settings.rejects,
        "--state": settings.state,
        "--log": settings.log,
    }


def files_of(source: Mapping[str, object]) -> list[str]:
    """Return the files among the flags of a source: its secrets, and its database file."""
    found = [str(source[name]) for name in ("ca_file", "password_file") if source.get(name)]
    found.append(file_of(str(source.get("sql") or os.environ.get("TXMON_SQL") or "")) or "")
    return [path for path in found if path]


def _spare_log(inputs: Iterable[str], log: str | None) -> None:
    """Raise UsageError if the log folder `log` contains one of `inputs` under a name that the log uses."""
    for path in inputs if log is not None else ():
        if NAME.fullmatch(os.path.basename(path)) and _same_folder(os.path.dirname(path), str(log)):
            raise UsageError(
                f"--log {log} contains the input {path}. txmon never writes to its input. Name another folder."
            )


def _spare_folder(inputs: Iterable[str], folder: str) -> None:
    """Raise UsageError if the folder of Parquet files contains one of `inputs`."""
    whole = os.path.realpath(folder)
    for path in inputs:
        if os.path.commonpath([whole, os.path.realpath(path)]) == whole:
            raise UsageError(f"--out parquet:{folder} contains the input {path}. txmon never writes to its input.")


def _files(paths: Iterable[str]) -> Iterable[str]:
    """Yield all files that `paths` match now."""
    for path in paths:
        if path != "-" and os.path.isdir(path):
            for folder, _, names in os.walk(path):
                yield from (os.path.join(folder, name) for name in names)
        elif is_pattern(path):
            from glob import glob

            yield from glob(path)
        else:
            yield path


def _of_settings(settings: Settings | None) -> list[str]:
    """Return the files that contain the settings, and those that the settings name."""
    found = [os.environ.get("TXMON_CONFIG") or FILE]
    if settings is not None:
        found += [
            path
            for path in (
                settings.teams_webhook_file, settings.webhook_file, settings.webhook_secret_file, settings.apprise_file,
            )
            if path is not None
        ]  # fmt: skip
    return [path for path in found if os.path.exists(path)]


def is_pattern(path: str) -> bool:
    """Return whether `path` is a pattern like `app-*.log`, and not an existing file of that name."""
    return any(sign in path for sign in "*?[") and not os.path.exists(path)


def _identity(path: str, standard: int = 0) -> _Identity | None:
    """Return the identity of a file, or None for pipes and devices, which have no content to protect.

    standard: the descriptor that `-` stands for.
    """
    try:
        status = os.fstat(standard) if path == "-" else os.stat(path)
    except OSError:
        return None if path == "-" else ("path", os.path.realpath(path))
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def _same_folder(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one or ".", other)
    except OSError:
        return False
