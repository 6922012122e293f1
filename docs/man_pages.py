"""Writes the man pages, src/man/*.1, from the commands' help: `python docs/man_pages.py` (--check compares only).

They lie outside the package; the wheel puts them into share/man/man1, where man looks for what is in the bin beside it.
"""

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from txmon.cli.help_page import PLAIN, Page
from txmon.cli.main import txmon
from txmon.errors import ExitCode
from txmon.version import __version__

FOLDER = Path(__file__).parents[1] / "src" / "man"
CODES: Mapping[ExitCode, str] = {
    ExitCode.OK: "Fine.",
    ExitCode.FAILURE: "An unexpected failure; or txmon doctor found something bad.",
    ExitCode.USAGE: "The command line is wrong.",
    ExitCode.ALERTED: "With --fail-on alert: something alerted.",
    ExitCode.BAD_DATA: "With --strict: a bad record. Else data of which nothing can be used.",
    ExitCode.NO_INPUT: "A file is not there or cannot be read.",
    ExitCode.IO: "Input or output failed.",
    ExitCode.CONFIG: "The configuration is wrong.",
    ExitCode.INTERRUPTED: "Interrupted.",
}
ENVIRONMENT = (
    ("TXMON_NAME", "Any setting, as TXMON_MIN_COUNT=5 for --min-count 5. Flags win over the environment."),
    ("TXMON_CONFIG", "The file of settings that is read instead of ./txmon.toml."),
    ("TXMON_TOKEN", "The token that clients of txmon serve need."),
    ("TXMON_TEAMS_WEBHOOK, TXMON_WEBHOOK, TXMON_WEBHOOK_SECRET, TXMON_APPRISE", "Where notifications go; secrets."),
)
FILES = (("./txmon.toml", "Settings."), ("~/.config/txmon/txmon.toml", "Settings that hold where nothing nearer does."))


def roff(text: str) -> str:
    """`text` as roff shows it unchanged."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return re.sub(r"^\.", r"\\&.", text, flags=re.MULTILINE)


def paragraphs(text: str) -> Iterator[str]:
    """A help text: filled paragraphs, and those after a backspace as they are."""
    for number, part in enumerate(text.split("\n\n")):
        if number:
            yield ".PP"
        if part.startswith("\b"):
            shown = roff(part[1:].strip("\n"))
            yield f".nf\n{shown}\n.fi"
        else:
            yield roff(" ".join(part.split()))


def parts(command: click.Command) -> tuple[str, list[str]]:
    """The help of a command without its examples, and these."""
    before, found, after = inspect.cleandoc(command.help or "").partition("\b\nExamples:\n")
    return before.strip("\n "), [line.strip() for line in after.splitlines() if line.strip()] if found else []


def listed(rows: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> Iterator[str]:
    """Terms in bold, each with its text."""
    for term, text in rows:
        yield f".TP\n.B {roff(term)}\n{roff(text)}"


def page(command: click.Command, context: click.Context, others: list[str]) -> str:
    """One man page. others: the names of all pages."""
    name = context.command_path.replace(" ", "-")
    text, examples = parts(command)
    summary = " ".join(text.split("\n\n")[0].split())
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        '.\\" written by docs/man_pages.py from the help of the command',
        f'.TH {roff(name.upper())} 1 "" "txmon {__version__}" "txmon"',
        ".ad l",  # a line of one long word cannot be adjusted to both margins, and troff warns
        f".SH NAME\n{roff(name)} \\- {roff(command.get_short_help_str(200).rstrip('.'))}",
        f".SH SYNOPSIS\n.B {roff(context.command_path)}\n{roff(usage)}",
        ".SH DESCRIPTION",
        *paragraphs(text),
    ]
    assert summary, name
    assert isinstance(command, Page)
    lines.append(".SH OPTIONS")
    for section, options in command.sections(context).items():
        lines += [] if section == PLAIN else [f".SS {section}"]
        lines += listed([record for p in options if (record := p.get_help_record(context))])
    if isinstance(command, click.Group):
        below = [(n, command.get_command(context, n)) for n in command.list_commands(context)]
        lines += [".SH COMMANDS", *listed([(n, c.get_short_help_str(200)) for n, c in below if c is not None])]
    lines += [".SH EXAMPLES\n.nf", *map(roff, examples), ".fi"]
    lines += [".SH EXIT STATUS", *listed([(str(int(code)), meaning) for code, meaning in CODES.items()])]
    lines += [".SH ENVIRONMENT", *listed(list(ENVIRONMENT)), ".SH FILES", *listed(list(FILES))]
    also = [f".BR {roff(other)} (1)" for other in related(name, others)]
    return "\n".join([*lines, ".SH SEE ALSO", ",\n".join(also)]) + "\n"


def related(name: str, others: list[str]) -> list[str]:
    """The pages next to one: all commands for txmon itself, else what is above and below."""
    if name == "txmon":
        return [other for other in others if other.count("-") == 1]
    below = [other for other in others if other.startswith(f"{name}-")]
    return [name.rpartition("-")[0], *(["txmon-config"] if name != "txmon-config" else []), *below]


def walk(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """A command and all below it."""
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from walk(below, below.make_context(name, [], context, resilient_parsing=True))


def pages() -> dict[str, str]:
    """File name -> page."""
    with txmon.make_context("txmon", [], resilient_parsing=True) as context:
        found = list(walk(txmon, context))
        names = [inner.command_path.replace(" ", "-") for _, inner in found]
        return {f"{n}.1": page(command, inner, names) for n, (command, inner) in zip(names, found, strict=True)}


def main() -> None:
    """Write them, or say which are not current."""
    wanted = pages()
    present = {path.name: path.read_text() for path in FOLDER.glob("*.1")}
    if present == wanted:
        return
    if "--check" in sys.argv:
        stale = [name for name in sorted({*wanted, *present}) if wanted.get(name) != present.get(name)]
        sys.exit(f"not current: {', '.join(stale)}; run python docs/man_pages.py")
    FOLDER.mkdir(exist_ok=True)
    for name in present.keys() - wanted.keys():
        (FOLDER / name).unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
