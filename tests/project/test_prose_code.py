"""Docstrings, comments and messages keep the list of forbidden phrases, and the checker finds them in code."""

from pathlib import Path

import prose
import pytest
from paths import ROOT


@pytest.mark.parametrize("path", prose.modules(), ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_the_words_of_a_module_have_no_faults(path: Path) -> None:
    assert prose.code_faults(path.read_text("utf-8")) == []


def test_what_breaks_a_rule_is_found_in_code() -> None:
    module = '"""A line a verdict."""\n# who is told\nraise ValueError(f"{x!r} is no number")\nx = "there is no file"\n'
    assert prose.code_faults(module) == ["line 1: 'A line a verdict'", "line 3: 'is no number'", "line 2: 'is told'"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("'x' is no whole number", "'is no whole'"),
        ("Take over what `snapshot` gave; KeyError or ValueError where that cannot be.", "'where that cannot be'"),
        ("Return it as JSON takes it.", "'as JSON takes it'"),
        ("Who asks has a moment.", "'Who asks'"),
        ("Whoever reads it knows what came of it.", "'Whoever'"),
        ("Return the messages, a line each.", "'a line each'"),
        ("There are one incident a status.", "'one incident a status'"),
        ("The page hears of it.", "'hears of'"),
    ],
)
def test_grammar_that_reads_as_if_translated_is_found(text: str, fault: str) -> None:
    assert [line for line in prose.code_faults(f'"""{text}"""\n') if line == f"line 1: {fault}"]


@pytest.mark.parametrize("text", ["It is no longer there.", "There is no such file.", "There is no number."])
def test_plain_grammar_is_no_fault(text: str) -> None:
    assert prose.code_faults(f'"""{text}"""\n') == []
