"""Completion in the shells themselves: a Tab key in bash, zsh and fish; and the reference written from the help."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from paths import ROOT

TXMON = Path(sys.executable).with_name("txmon")
END = "<end>"
SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], 'eval "$(txmon completion bash)"; bind "set bell-style none"'),
    "zsh": (["-f", "-i"], 'autoload -Uz compinit; compinit -u -D; eval "$(txmon completion zsh)"; unsetopt beep'),
    "fish": (["--no-config", "-i"], "txmon completion fish | source"),
}


class Shell:
    """An interactive shell in which the completion script is loaded."""

    def __init__(self, name: str, folder: Path) -> None:
        arguments, setup = SHELLS[name]
        env = {
            **os.environ, "PATH": f"{TXMON.parent}:{os.environ['PATH']}", "TERM": "dumb", "HOME": str(folder),
            "PS1": "", "INPUTRC": "/dev/null",
        }  # fmt: skip
        self._name = name
        self._folder = folder
        self._child = pexpect.spawn(
            name, arguments, cwd=str(folder), env=env, encoding="utf-8", timeout=60, dimensions=(50, 400)
        )
        self._run(setup)

    def _run(self, line: str) -> None:
        self._child.sendline(f"{line}; echo ready > {self._folder}/ready")
        self._wait("ready")

    def _wait(self, name: str) -> str:
        path = self._folder / name
        for _ in range(600):
            if path.exists() and path.read_text().endswith("\n"):
                text = path.read_text().removesuffix("\n")
                path.unlink()
                return text
            self._child.expect([pexpect.TIMEOUT], timeout=0.1)
        raise AssertionError(self._child.before)

    def complete(self, typed: str) -> str:
        """The command line after the Tab key: it is made the argument of a command that writes it down."""
        self._child.send(f"{typed}\t")
        self._child.expect([pexpect.TIMEOUT], timeout=1.5)
        self._child.send("\x05'\x01printf '%s\\n' '")  # to the end, a quote; to the start, the rest of the command
        self._child.send("\x05 > written\r")
        return self._wait("written").rstrip(" /")  # zsh takes the slash after a folder back

    def close(self) -> None:
        self._child.close(force=True)


@pytest.fixture(scope="module", params=list(SHELLS))
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "sales.csv").write_text("time,status,merchant,n_rows\n2026-03-02T10:00:00Z,chargedback,m1,4\n")
    (folder / "archive").mkdir()
    (folder / "archive" / "march.csv").write_text("")
    found = Shell(request.param, folder)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("txmon simul", "txmon simulate"),
        ("txmon help exit", "txmon help exit-codes"),
        ("txmon replay sal", "txmon replay sales.csv"),
        ("txmon replay archive/m", "txmon replay archive/march.csv"),
        ("txmon replay --rejects sal", "txmon replay --rejects sales.csv"),
        ("txmon replay --log arc", "txmon replay --log archive"),
        ("txmon query sal", "txmon query sales.csv"),
        ("txmon replay --open-af", "txmon replay --open-after"),
        ("txmon replay --mode sc", "txmon replay --mode score"),
        ("txmon replay --fail-on al", "txmon replay --fail-on alert"),
        ("txmon query --name worst", "txmon query --name worst-minutes"),
        ("txmon query --name=worst", "txmon query --name=worst-minutes"),
        ("txmon replay sales.csv --group-by mer", "txmon replay sales.csv --group-by merchant"),
        ("txmon replay sales.csv --map count=n_", "txmon replay sales.csv --map count=n_rows"),
        ("txmon replay sales.csv --map=count=n_", "txmon replay sales.csv --map=count=n_rows"),
        ("txmon replay sales.csv --direction charge", "txmon replay sales.csv --direction chargedback="),
        ("txmon replay sales.csv --direction chargedback=be", "txmon replay sales.csv --direction chargedback=below"),
        ("txmon replay sales.csv --role chargedback=rev", "txmon replay sales.csv --role chargedback=reversed"),
        ("txmon simulate --scenario merch", "txmon simulate --scenario merchants"),
        ("txmon silence den", "txmon silence denied"),
    ],
)
def test_the_tab_key_completes(shell: Shell, typed: str, wanted: str) -> None:
    assert shell.complete(typed) == wanted


def answer(line: str, shell: str = "bash") -> list[list[str]]:
    """What txmon answers a shell: the parts of each proposal."""
    env = {**os.environ, "_TXMON_COMPLETE": f"{shell}_complete", "COMP_LINE": line}
    done = subprocess.run([TXMON], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return [row.split("\t") for row in done.stdout.splitlines() if row]


def test_former_names_are_not_proposed() -> None:
    names = {name for _, name, _ in answer("txmon replay --")}
    assert {"--group-by", "--open-after", "--flush-timeout"} <= names
    assert not {"--by", "--confirm", "--drain", "--for"} & names


def test_a_file_that_cannot_be_read_proposes_nothing(tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_bytes(b"\x00\xff\x00\xff")
    assert answer(f"txmon replay {bad} --group-by ") == []


def test_a_column_cannot_smuggle_a_command(tmp_path: Path) -> None:
    evil = tmp_path / "evil.csv"
    evil.write_text('time,status,"$(touch gone)",ok\n2026-03-02T10:00:00Z,a,b,c\n')
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    shell = Shell("bash", tmp_path)
    try:
        line = shell.complete("txmon replay evil.csv --group-by '$'")
    finally:
        shell.close()
    assert not (tmp_path / "gone").exists(), line


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script(shell: str) -> None:
    done = subprocess.run([TXMON, "completion", shell], capture_output=True, text=True, timeout=60, check=True)
    assert f"_TXMON_COMPLETE={shell}_complete" in done.stdout


def test_the_reference_is_current() -> None:
    check = subprocess.run(
        [sys.executable, ROOT / "docs" / "cli_reference.py", "--check"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (check.returncode, check.stderr) == (0, "")
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    assert "### txmon doctor" in page
    assert "#### txmon state show" in page
