"""The command line: it finds the subcommand, and turns every failure into one line and an exit code."""

import gc
import os
import resource
import sys
from contextlib import suppress
from errno import EBADF, EMFILE, ENFILE, ENOMEM
from importlib import import_module
from itertools import pairwise
from typing import Final

import click

from txmon.cli import messages
from txmon.cli.help_page import Group
from txmon.errors import ExitCode, TxmonError
from txmon.version import describe

HEADINGS: Final = {
    "Judge": ("replay", "watch", "serve", "spark"),
    "Understand": ("inspect", "analyze", "query", "explain"),
    "Try and tune": ("simulate", "evaluate", "tune"),
    "Incidents": ("notify", "ack", "silence"),
    "Set up": ("config", "doctor", "state", "completion", "help"),
}
COMMANDS: Final = tuple(name for names in HEADINGS.values() for name in names)


class LazyGroup(Group):
    """A group that imports a subcommand's module at its first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all subcommands, in the order of the help."""
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the subcommand that `args` begin with. Raise UsageError if there is none."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}{_nearest(args[0])}", ctx)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the subcommand, or None if the name is unknown."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f".commands.{cmd_name}", __package__)
        command = getattr(module, "help_" if cmd_name == "help" else cmd_name)
        assert isinstance(command, click.Command)
        if not gc.isenabled():  # as the process begins: what was imported stays, and is never looked through
            gc.freeze()
            gc.enable()
        return command


def _nearest(word: str) -> str:
    """Return a suggestion for an unknown command. For the name of a file, it is a replay of that file."""
    from txmon.support.suggest import nearest

    if os.path.exists(word):
        return f". To judge the file, use: txmon replay {word}"
    return nearest(word, COMMANDS) or f". The commands are {', '.join(COMMANDS)}."


@click.group(cls=LazyGroup, groups=HEADINGS)
@click.version_option(None, "-V", "--version", message=describe())
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
def txmon(debug: bool) -> None:
    """Alerts you when failed, reversed or denied payments rise above normal, or approvals collapse.

    txmon learns what is normal from your transactions. You set no thresholds.

    \b
    Examples:
      txmon replay transactions.csv --only alerts      # judge a file
      txmon simulate | txmon replay - --only alerts    # try it without data
      txmon help settings                              # explain a topic
    """


def run(arguments: list[str]) -> int:
    """Run the command line. Return the exit code of the process."""
    debug = "--debug" in arguments
    _prepare(arguments)
    try:
        # click reports a closed pipe as 1 and prints its own errors, but txmon has its own codes for both
        result = txmon.main(arguments, prog_name="txmon", standalone_mode=False)
        sys.stdout.flush()
        return int(result or ExitCode.OK)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.exceptions.NoArgsIsHelpError as helped:  # a command that needs another word prints its whole help
        print(helped.format_message(), file=sys.stderr)
        return ExitCode.USAGE
    except click.ClickException as wrong:
        return _fail(wrong.format_message(), ExitCode.USAGE, debug)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", ExitCode.INTERRUPTED, debug)
    except (BrokenPipeError, SystemExit):  # click turns the first into the second in any mode
        # the reader of the pipe is gone; the interpreter must not report it again when it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.stdout = sys.__stdout__
        return ExitCode.OK
    except TxmonError as failure:
        return _fail(str(failure), failure.exit_code, debug, failure.detail)
    except OSError as failure:
        _drop_output()
        return _fail(_io_text(failure), ExitCode.IO, debug)
    except MemoryError:
        return _fail(
            "out of memory. Use fewer series: --max-series, or fewer columns in --group-by.", ExitCode.FAILURE, debug
        )
    except Exception as failure:  # the last resort: one line instead of a traceback
        return _fail(f"unexpected {type(failure).__name__}: {failure} (--debug shows where)", ExitCode.FAILURE, debug)


def _prepare(arguments: list[str]) -> None:
    """Set up the process: its limits, its standard streams, and the answers for shell completion."""
    # the memory contains payment data and secrets, which must not go to a core file
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    # txmon creates few reference cycles, and collecting them as often as usual takes 2.5 % of a replay's time
    gc.set_threshold(20_000, 20, 20)
    _open_standard_streams()
    if "--log-format=json" in arguments or ("--log-format", "json") in pairwise(arguments):
        messages.use("json")  # also for errors in the command line itself
    if "_TXMON_COMPLETE" in os.environ:  # a shell requests completions
        from txmon.cli import shells

        shells.register()


def _drop_output() -> None:
    """Discard what standard output does not accept, because the interpreter would try again at its end and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _fail(text: str, code: ExitCode, debug: bool, detail: str = "") -> int:
    if debug:
        import traceback

        traceback.print_exc()
    messages.fail(text, detail)
    return code


def _io_text(failure: OSError) -> str:
    """Return the reason of a failure, and the file if known."""
    if failure.errno == EBADF:
        return "standard output is closed. Use --out FILE."
    limits = {EMFILE: " (ulimit -n shows the limit)", ENFILE: "", ENOMEM: ""}
    reason = f"{failure.strerror or failure}{limits.get(failure.errno or 0, '')}"
    if failure.filename is not None:
        return f"{os.fsdecode(failure.filename)}: {reason}"
    return reason if failure.errno in limits else f"output: {reason}"


def _open_standard_streams() -> None:
    """Open the standard streams that the process was started without.

    Otherwise the next opened file would get the number 0, 1 or 2, and would be used as a standard stream. The
    replacement for standard input cannot be read, and that for standard output cannot be written, so using them is an
    error. Messages on a missing standard error are discarded.
    """
    for number, (name, flags) in enumerate((("stdin", os.O_WRONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY))):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - to the very end
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a replacement in a test has no such method
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 must not stop the run
