"""The house: how long a module and a function may be before it must say why, and one name for one thing."""

import ast
import json
from dataclasses import fields
from pathlib import Path

import pytest

from txmon.incidents import IncidentPolicy
from txmon.lines import event_line, verdict_line
from txmon.server.recent import IncidentRow
from txmon.settings import DECLARATIONS
from txmon.sinks.notify import Policy
from txmon.thresholds import DetectorConfig
from txmon.verdict import IncidentEvent, Verdict

PACKAGE = Path(__file__).parents[1] / "src" / "txmon"
MODULE = 350  # lines
FUNCTION = 50  # lines, its docstring not counted
# module or module:function -> why it may be longer
REASONS: dict[str, str] = {}


def modules() -> list[str]:
    return sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))


def lengths(module: str, text: str) -> dict[str, int]:
    """Lines of the module, and of each of its functions by `module:function`."""
    found = {module: len(text.splitlines())}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            words = ast.get_docstring(node, clean=False)
            said = 0 if words is None else words.count("\n") + 1
            assert node.end_lineno is not None
            found[f"{module}:{node.name}"] = node.end_lineno - node.lineno + 1 - said
    return found


def too_long(module: str, text: str) -> list[str]:
    return [
        f"{name} has {lines} lines, at most {limit}"
        for name, lines in lengths(module, text).items()
        if name not in REASONS and lines > (limit := FUNCTION if ":" in name else MODULE)
    ]


@pytest.mark.parametrize("module", modules())
def test_modules_and_functions_are_short_or_say_why_not(module: str) -> None:
    assert too_long(module, (PACKAGE / module).read_text()) == []


def test_what_is_too_long_is_seen() -> None:
    long = "def f():\n    '''Said\n\n    in three lines.'''\n" + "    g()\n" * 50
    assert too_long("m.py", long) == ["m.py:f has 51 lines, at most 50"]
    assert too_long("m.py", "x = 1\n" * 351) == ["m.py has 351 lines, at most 350"]
    assert too_long("m.py", "x = 1\n" * 350) == []


def test_every_reason_is_for_something_long() -> None:
    every = {name: lines for m in modules() for name, lines in lengths(m, (PACKAGE / m).read_text()).items()}
    assert all(every[name] > (FUNCTION if ":" in name else MODULE) for name in REASONS)


def test_a_setting_has_one_name_from_the_flag_to_the_core() -> None:
    """But for what holds one value a status, and for what is no setting."""
    own = {DetectorConfig: {"min_counts", "min_ratios", "directions", "rowless"}, Policy: {"group", "silences"}}
    for config in (DetectorConfig, IncidentPolicy, Policy):
        names = {field.name for field in fields(config)}
        assert names - set(DECLARATIONS) == own.get(config, set())


def test_a_line_has_the_names_of_its_value() -> None:
    verdict = Verdict(0, "a", (("merchant", "m"),), 1, 2, 3.0, 0, 4, 5.0, 1, "alert", ("score",), "t", "i", True, True)
    line = json.loads(verdict_line(verdict))
    assert [line.pop("time"), line.pop("key")] == ["1970-01-01T00:00:00Z", {"merchant": "m"}]
    assert {name: value if name != "reasons" else tuple(value) for name, value in line.items()} == {
        name: getattr(verdict, name) for name in line
    }
    assert len(line) == 14
    event = IncidentEvent(0, "opened", "i", ("a",), (("merchant", "m"),), "failures", 0, 0, 1, 2.0, 3.0, "t")
    row = json.loads(event_line(event))
    assert row.pop("event") == "incident"
    assert list(row) == [field.name for field in fields(IncidentEvent)]
    assert set(row) <= {field.name for field in fields(IncidentRow)}
