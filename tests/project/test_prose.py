"""Every page of README and docs keeps the house rules for sentences, and the checker finds what breaks them."""

from pathlib import Path

import prose
import pytest
from paths import ROOT


@pytest.mark.parametrize("path", prose.pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_has_no_faults(path: Path) -> None:
    assert prose.faults(path.read_text("utf-8")) == []


def test_all_pages_are_checked() -> None:
    found = prose.pages()
    assert found[0] == ROOT / "README.md"
    assert {ROOT / "docs" / "methods.md", ROOT / "docs" / "reference" / "cli.md"} <= set(found)
    assert len(found) > 30


PAGE = """\
# A title of a page is no sentence

txmon reads a file. It writes one line
per verdict: The count is `a.b.c` words long.

<!-- a comment of many words is left out -->

| a table | is left out |
| --- | --- |

```console
$ a command is left out
```

- An item is a [paragraph of its own](somewhere.md).
- So is the next one

1. And a numbered one!
"""


def test_a_page_is_taken_apart_into_sentences() -> None:
    assert [sentence.text for sentence in prose.sentences(PAGE)] == [
        "txmon reads a file.",
        "It writes one line per verdict:",
        "The count is code words long.",
        "An item is a paragraph of its own.",
        "So is the next one",
        "And a numbered one!",
    ]
    assert prose.faults(PAGE) == []


def test_words_are_counted() -> None:
    assert [
        sentence.words for sentence in prose.sentences("It has 1,000 rows, 2.5 % of them half-read (`x y z`).")
    ] == [9]
    assert prose.average(list(prose.sentences("One two three four. Five six."))) == 3.0
    assert prose.average([]) == 0.0


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ("word " * 41 + "end.", "42 words: word word"),
        ("txmon writes a line a verdict.", "'a line a verdict'"),
        ("It is not\ntold that this\nis told to you.", "'is told'"),
        ("`x` Is None Of the rest.", "'Is None Of'"),
        ("- It runs for\n  ever.", "'for ever'"),
        ("It does so in one go: Quickly.", "'in one go'"),
        ("> Nobody cries wolf.", "'cries wolf'"),
    ],
)
def test_what_breaks_a_rule_is_found(page: str, fault: str) -> None:
    found = prose.faults(page)
    assert [line for line in found if line.startswith(fault)], found


def test_sentences_may_be_long_but_not_all_of_them() -> None:
    long, short = "Word " + "word " * 29 + "end. ", "Two words. "
    assert prose.faults(long + short) == []
    assert prose.faults(long * 2 + short) == ["21.3 words in a sentence on average, at most 18"]


@pytest.mark.parametrize(
    "page", ["```\na line a verdict\n```\n", "The field `a line a verdict` exists.", "# What holds\n"]
)
def test_code_and_headings_may_hold_anything(page: str) -> None:
    assert prose.faults(page) == []


def test_the_table_and_the_faults_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("The state is told.\n")
    prose.main([str(page)])
    assert capsys.readouterr().out == f"{page}\n  'is told': The state is told.\n"
    prose.main([])
    table = capsys.readouterr().out.splitlines()
    assert len(table) == len(prose.pages()) + 1
    assert table[0].startswith("README.md ")
    assert table[-1].startswith("all ")
