"""Every shell block of README and docs is run, or says why it is not; what it shows is what it prints."""

import shutil
from pathlib import Path

import doc_blocks
import pytest
from paths import ROOT

from txmon.settings import load as config

DATA = ROOT.parent / "shared" / "data"
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
GENERATED = ROOT / "docs" / "reference" / "cli.md"  # compared with the help, whose examples test_examples.py runs


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a reader of the docs has: a checkout's examples, and the real files where they are at hand."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for path in DATA.glob("*.csv"):
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_shell_blocks_run(path: Path, folder: Path) -> None:
    todo = doc_blocks.steps(path.read_text(), DATA)
    wrong = doc_blocks.run(todo, folder)
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_no_command_hides_in_a_block_that_is_not_shell(path: Path) -> None:
    if path != GENERATED:
        assert [f"line {block.line}: {block.text}" for block in doc_blocks.unlabelled(path.read_text())] == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_flags_of_blocks_that_do_not_run_exist(path: Path) -> None:
    for block in doc_blocks.blocks(path.read_text()):
        if block.is_shell and (block.not_run or block.data):
            for words in doc_blocks.commands(block.text):
                assert doc_blocks.unknown(words) is None, f"line {block.line}: txmon {' '.join(words)}"


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_settings_shown_are_settings(path: Path, tmp_path: Path) -> None:
    for block in doc_blocks.blocks(path.read_text()):
        if block.kind == "toml":
            shown = tmp_path / "txmon.toml"
            shown.write_text(block.text)
            config.load({}, {"TXMON_CONFIG": str(shown)}, tmp_path, tmp_path)


def test_most_blocks_run() -> None:
    found = [block for path in PAGES for block in doc_blocks.blocks(path.read_text()) if block.is_shell]
    left = [block for block in found if block.not_run]
    assert len(found) > 40
    assert len(left) < len(found) / 2


PAGE = """\
```bash
printf 'one\\ntwo\\n' > file
```
Some text.
```console
$ cat file
one
two
$ head -1 \\
  file
one
```
<!-- not run: needs a cluster -->
```bash
kubectl apply -f x
```
<!-- data: none.csv -->

    txmon replay none.csv

```bash
echo a; echo b
```
<!-- prints -->
```text
a
...
```
"""


def test_a_page_is_taken_apart() -> None:
    found = doc_blocks.blocks(PAGE)
    assert [(block.line, block.kind, block.is_shell) for block in found] == [
        (2, "bash", True), (6, "console", True), (15, "bash", True), (19, "indented", True), (22, "bash", True),
        (26, "text", False),
    ]  # fmt: skip
    assert (found[2].not_run, found[3].data, found[5].prints) == ("needs a cluster", ("none.csv",), True)
    todo = doc_blocks.steps(PAGE)
    assert [(step.line, step.expected) for step in todo] == [
        (2, None), (6, "one\ntwo\n"), (9, "one\n"), (22, "a\n...")
    ]  # fmt: skip


def test_a_page_that_holds_runs(tmp_path: Path) -> None:
    assert doc_blocks.run(doc_blocks.steps(PAGE), tmp_path) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("two\n$", "three\n$"), "line 6: cat file\nprints\none\ntwo\n"),
        (("echo a; echo b", "false; echo a"), "line 22: false; echo a\nends with 1"),
        (("echo a; echo b", "echo b"), "line 22: echo b\nprints\nb\n"),
        (("> file", "> other"), "line 6: cat file\nends with 1: cat: file: No such file"),
    ],
)
def test_what_a_page_gets_wrong_is_seen(change: tuple[str, str], told: str, tmp_path: Path) -> None:
    page = PAGE.replace(*change)
    assert page != PAGE
    (wrong,) = doc_blocks.run(doc_blocks.steps(page), tmp_path)
    assert wrong.startswith(told)


def test_what_never_ends_is_ended(tmp_path: Path) -> None:
    (wrong,) = doc_blocks.run([doc_blocks.Step(1, "sleep 100", None)], tmp_path, seconds=0.5)
    assert "not done after 0.5 s" in wrong


@pytest.mark.parametrize(
    "block", ["```\n$ txmon doctor\n```\n", "```text\nmake test\n```\n", "```\nA=1 txmon watch\n```\n"]
)
def test_commands_that_nobody_would_run_are_seen(block: str) -> None:
    assert len(doc_blocks.unlabelled(block)) == 1
    assert doc_blocks.unlabelled("```json\n{}\n```\n\n    a table of txmon\n") == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("txmon replay a.csv --budgte 1/day", "No such option '--budgte'"),
        ("cat a | txmon whatch", "no command 'whatch'"),
        ("txmon replay a.csv --bucket 7m7s", "does not divide a day"),
        ("txmon ack", "Missing argument"),
        ("txmon spark rebalance x --shards 4 --too y", "No such option '--too'"),
        ("spark-submit --master yarn examples/txmon_submit.py spark --sorce x", "No such option '--sorce'"),
    ],
)
def test_a_flag_that_is_none_is_seen(text: str, told: str) -> None:
    (words,) = doc_blocks.commands(text)
    assert told in (doc_blocks.unknown(words) or "")


def test_commands_are_found_in_pipes() -> None:
    text = "cat a | txmon watch --only alerts > out 2>&1; /opt/txmon/bin/txmon replay \\\n  b --tz UTC  # so\n"
    text += "txmon spark ... --start x"
    assert doc_blocks.commands(text) == [
        ["watch", "--only", "alerts"], ["replay", "b", "--tz", "UTC"], ["spark", "...", "--start", "x"]
    ]  # fmt: skip
    assert [doc_blocks.unknown(words) for words in doc_blocks.commands(text)] == [None] * 3
