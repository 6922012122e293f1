"""The shell blocks of Markdown pages: found, run by bash, their output compared; or only parsed, if marked so.

A page's blocks are one bash session in a folder that holds a copy of examples/, so that what one block makes the next
one finds, and a server that one starts in the background answers the next. What a block may say of itself, in a comment
right before it:

    <!-- not run: REASON -->     needs a cluster, root or the outside; its txmon commands are parsed all the same
    <!-- data: FILE ... -->      needs files of ../shared/data: run where these are at hand, parsed elsewhere
    <!-- prints -->              before a block of text: this is what the shell block before it prints

A `console` block holds commands after `$ ` and what each prints. In outputs `...` stands for anything.
"""

import doctest
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import click
from tools import need_all_in

from txmon.cli.main import txmon
from txmon.errors import TxmonError
from txmon.settings import load as config
from txmon.settings.declarations import DECLARATIONS

SHELLS = ("bash", "sh", "shell")
# what begins a command line in a block that does not say that it is shell
COMMANDS = re.compile(
    r"^(\$ \S|(sudo |[A-Z_]+=\S* )*(txmon|make|cat|head|tail|curl|pip|pipx|python3?|pytest|spark-submit|systemctl|"
    r"journalctl|kubectl|podman|docker|apt-get|promtool|git|mkdir|export|install|man|\.venv/bin/\w+) +\S)",
    re.MULTILINE,
)
NOTE = re.compile(r"<!-- (not run|data|prints)(?:: (.*?))? -->")
PORT = "8080"  # stands in pages for the port that txmon serve has by default; another is free for sure
TIME = 240.0  # seconds for a whole page
NOWHERE = Path(os.devnull)
OWN = ("query", "simulate", "evaluate")  # commands with options of their own that have a setting's name


@dataclass(frozen=True)
class Block:
    """A block of code. `line`: of its first line in the page, from 1."""

    line: int
    kind: str  # the word after the fence; "" without; "indented"
    text: str
    not_run: str | None = None  # the reason
    data: tuple[str, ...] = ()  # files of ../shared/data
    prints: bool = False  # it is the output of the shell block before it

    @property
    def is_shell(self) -> bool:
        """Whether somebody who reads it would type it."""
        return self.kind in (*SHELLS, "console") or (self.kind == "indented" and bool(COMMANDS.search(self.text)))


@dataclass(frozen=True)
class Step:
    """A command, and what it must print (None: anything)."""

    line: int
    command: str
    expected: str | None


def blocks(page: str) -> list[Block]:
    """All blocks of a Markdown page: fenced ones, and those indented by four spaces after an empty line."""
    lines = page.splitlines()
    found: list[Block] = []
    i = 0
    while i < len(lines):
        fence = re.match(r"(`{3,}|~{3,})\s*(\w*)", lines[i])
        if fence:
            end = next(n for n in range(i + 1, len(lines)) if lines[n].startswith(fence[1]))
            found.append(_noted(Block(i + 2, fence[2], "\n".join(lines[i + 1 : end])), lines[:i]))
            i = end + 1
        elif lines[i].startswith("    ") and (i == 0 or not lines[i - 1].strip()):
            end = i
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            text = "\n".join(line[4:] for line in lines[i:end]).rstrip()
            found.append(_noted(Block(i + 1, "indented", text), lines[:i]))
            i = end
        else:
            i += 1
    return found


def _noted(block: Block, before: list[str]) -> Block:
    """`block` with what the comments right before it say."""
    for line in reversed(before):
        note = NOTE.fullmatch(line.strip())
        if note and note[1] == "not run":
            assert note[2], f"line {block.line}: no reason given"
            block = replace(block, not_run=note[2])
        elif note and note[1] == "data":
            block = replace(block, data=tuple((note[2] or "").split()))
        elif note:
            block = replace(block, prints=True)
        elif line.strip():
            break
    return block


def unlabelled(page: str) -> list[Block]:
    """Blocks that hold commands and are not marked as shell: nobody would run them."""
    return [
        block
        for block in blocks(page)
        if not block.is_shell and not block.prints and block.kind in ("", "text") and COMMANDS.search(block.text)
    ]


def steps(page: str, data: Path | None = None) -> list[Step]:
    """What is to be run of a page, in order; blocks that need files of `data` only where it has them."""
    found: list[Step] = []
    for block in blocks(page):
        runs = block.is_shell and block.not_run is None
        runs = runs and all(data is not None and (data / name).exists() for name in block.data)
        if block.prints:
            if found and found[-1].line < block.line:
                found[-1] = replace(found[-1], expected=block.text)
        elif runs and re.search(r"^\$ ", block.text, re.MULTILINE):
            found += _console(block)
        elif runs:
            found.append(Step(block.line, block.text, None))
    return found


def _console(block: Block) -> list[Step]:
    """The commands of a block as a terminal shows it."""
    found: list[Step] = []
    continued = False
    for number, line in enumerate(block.text.splitlines(), block.line):
        if line.startswith("$ "):
            found.append(Step(number, line[2:], ""))
        elif continued:
            found[-1] = replace(found[-1], command=f"{found[-1].command}\n{line}")
        else:
            assert found, f"line {number}: output before any command"
            found[-1] = replace(found[-1], expected=f"{found[-1].expected}{line}\n")
        continued = line.endswith("\\") and (continued or line.startswith("$ "))
    return found


def run(todo: list[Step], folder: Path, seconds: float = TIME) -> list[str]:
    """Run the steps in `folder` as one bash session that ends at the first failure; what went wrong."""
    need_all_in(step.command for step in todo)
    port = _free_port()
    outputs = [folder / f".output-{n}" for n in range(len(todo))]
    script = ["set -e", "trap 'kill $(jobs -p) $! 2>/dev/null || true; wait' EXIT"]
    for step, output in zip(todo, outputs, strict=True):
        script += ["{", step.command.replace(PORT, port), f"}} >{shlex.quote(str(output))} 2>&1"]
    with subprocess.Popen(
        ["bash", "-c", "\n".join(script)], cwd=folder, env=environment(folder) | {"TXMON_PORT": port},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            told = process.communicate(timeout=seconds)[0].decode()
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # all that the session started, and nothing else
            told = f"not done after {seconds:g} s"
    return _wrong(todo, outputs, port, process.returncode, told)


def _wrong(todo: list[Step], outputs: list[Path], port: str, code: int, told: str) -> list[str]:
    begun = [step for step, output in zip(todo, outputs, strict=True) if output.exists()]
    wrong = []
    for step, output in zip(begun, outputs, strict=False):
        got = output.read_text().replace(f":{port}", f":{PORT}")
        if step is begun[-1] and code != 0:
            wrong.append(f"line {step.line}: {step.command}\nends with {code}: {got}{told}")
        elif step.expected is not None and not alike(step.expected, got):
            wrong.append(f"line {step.line}: {step.command}\nprints\n{got}\nnot\n{step.expected}")
    return wrong if begun or not todo else [f"nothing was run: {told}"]


def alike(expected: str, got: str) -> bool:
    """Whether an output is as the page shows it; `...` stands for anything."""
    wanted = expected.rstrip() + "\n" if expected.strip() else ""
    return doctest.OutputChecker().check_output(wanted, got.rstrip() + "\n" if got.strip() else "", doctest.ELLIPSIS)


def environment(folder: Path) -> dict[str, str]:
    """Of somebody who has txmon on the path and nothing set up."""
    home = folder / ".home"
    home.mkdir(exist_ok=True)
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    own = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
    return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "USER": "somebody", "COLUMNS": "110", **own}


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def commands(text: str) -> list[list[str]]:
    """The txmon commands of a shell text: their words, without `txmon` itself."""
    found: list[list[str]] = []
    joined = re.sub(r"\\\n", " ", re.sub(r"^\$ ", "", text, flags=re.MULTILINE))
    for line in joined.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # a quotation that goes on in the next line
            continue
        inside, first = False, True  # in a txmon command; where a command's name may stand
        for word in words:
            if set(word) <= set("|;&()<>"):
                inside, first = False, set(word) != {"<"} and set(word) != {">"}
            elif inside:
                found[-1].append(word)
            elif (first and re.fullmatch(r"(.*/)?txmon", word)) or word.endswith("txmon_submit.py"):
                inside = True
                found.append([])
            else:
                first = first and (word in ("sudo", "then", "do", "{") or bool(re.match(r"[A-Z_]+=", word)))
    return [words for words in found if words]


def unknown(words: list[str]) -> str | None:
    """What click or the settings have against a txmon command; `...` stands for more of it."""
    open_end = "..." in words
    words = [word for word in words if word != "..."]
    command: click.Command = txmon
    parent = None
    try:
        while True:
            context = command.make_context(command.name, list(words), parent=parent)
            flags = {name: value for name, value in context.params.items() if name in DECLARATIONS}
            if command.name not in OWN:
                config.load(flags, {}, NOWHERE, NOWHERE)
            rest = [*_protected(context), *context.args] if isinstance(command, click.Group) else []
            if not rest:
                return None
            assert isinstance(command, click.Group)
            _, below, words = command.resolve_command(context, rest)
            assert below is not None
            command, parent = below, context
    except click.exceptions.Exit:  # --help, --version
        return None
    except click.MissingParameter as missing:
        return None if open_end else missing.format_message()
    except click.ClickException as wrong:
        return wrong.format_message()
    except TxmonError as wrong:
        return str(wrong)


def _protected(context: click.Context) -> list[str]:
    """The name of the subcommand; click 8.2 deprecates the attribute and offers no other before 9."""
    held = vars(context)
    return list(held.get("_protected_args", held.get("protected_args", [])))
