"""Writes docs/reference/cli.md from the commands' own help: `python docs/cli_reference.py` (--check compares only)."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from txmon.cli.main import txmon

PAGE = Path(__file__).parent / "reference" / "cli.md"
WIDTH = 100
HEAD = """# Command line

<!-- written by docs/cli_reference.py from the commands' help; change that -->

Options that are settings can also stand in `txmon.toml` (`min_count = 5`) or in the environment
(`TXMON_MIN_COUNT=5`). Flags win over the environment, the environment over ./txmon.toml, and that over the user's file.
`txmon config` prints the effective settings.

| exit code | meaning |
| --- | --- |
| 0 | success |
| 1 | an unexpected failure, or `doctor` found a problem |
| 2 | a mistake on the command line |
| 3 | something alerted, with `--fail-on alert` |
| 65 | bad data |
| 66 | no such input |
| 74 | reading or writing failed |
| 78 | bad configuration |
| 130 | interrupted |
"""


def sections(command: click.Command, context: click.Context, depth: int) -> Iterator[str]:
    """The help of a command and of those below it."""
    yield f"{'#' * depth} {context.command_path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            with below.make_context(name, [], context, resilient_parsing=True) as inner:
                yield from sections(below, inner, depth + 1)


def page() -> str:
    """The whole page."""
    with txmon.make_context("txmon", [], resilient_parsing=True, terminal_width=WIDTH) as context:
        return "\n".join([HEAD, *sections(txmon, context, 2)])


if __name__ == "__main__":
    if "--check" not in sys.argv:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page())
    elif not PAGE.exists() or PAGE.read_text() != page():
        sys.exit("docs/reference/cli.md is not current: run python docs/cli_reference.py")
