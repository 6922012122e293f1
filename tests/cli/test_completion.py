"""Shell completion, and the reference that is written from the commands' help."""

import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

TXMON = str(Path(sys.executable).with_name("txmon"))


def complete(words: str) -> set[str]:
    """What bash offers after `words`, asked as bash does: the script is sourced, its function called."""
    script = f"""
        PATH="$1:$PATH"; eval "$(txmon completion bash)"
        COMP_WORDS=({words} "$2"); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _txmon_completion txmon; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", script, "bash", str(Path(TXMON).parent), ""],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_commands() -> None:
    assert {"replay", "watch", "doctor", "completion"} <= complete("txmon")
    assert complete("txmon completion") == {"bash", "zsh", "fish"}
    assert complete("txmon state") == {"show"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script(shell: str) -> None:
    done = subprocess.run([TXMON, "completion", shell], capture_output=True, text=True, timeout=60, check=True)
    assert f"_TXMON_COMPLETE={shell}_complete" in done.stdout
    assert "%(" not in done.stdout


def test_the_reference_is_current() -> None:
    check = subprocess.run(
        [sys.executable, ROOT / "docs" / "cli_reference.py", "--check"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (check.returncode, check.stderr) == (0, "")
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    assert "### txmon doctor" in page
    assert "#### txmon state show" in page
