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
