"""Whatever a rule, a flag, a variable or a file of settings holds: a setting, or one clear refusal."""

import tomllib
from math import isfinite
from pathlib import Path
from typing import Any

from fuzz_tools import ODD_TEXT, moderate, mutated
from hypothesis import given
from hypothesis import strategies as st

from txmon.errors import ConfigError, UsageError
from txmon.settings.declarations import DECLARATIONS, variable
from txmon.settings.load import as_toml, load
from txmon.settings.rule import NAMES, Rule, parse_rule, parse_rules

WORDS = st.sampled_from(
    [
        *NAMES,
        "and",
        "or",
        "not",
        "for",
        "(",
        ")",
        "<",
        ">=",
        "==",
        "+",
        "-",
        "*",
        "/",
        "%",
        "5",
        "0",
        ".5",
        "3m",
        "denied:",
        "x",
    ]
)
VALUES = {name: float(n) for n, name in enumerate(NAMES)}
TOML = b"""bucket = "1m"
budget = "2/day"
by = ["merchant"]
min_count = {default = 3, failed = 5}
direction = {approved = "below"}
silence = ["status=denied;time=02:00-04:00"]
[[rule]]
status = "failed"
when = "count >= 20 or share > 0.05"
for = "3m"
"""
TOML_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(ODD_TEXT, st.integers(), st.floats(), st.booleans(), st.dates(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(ODD_TEXT, inner, max_size=3)),
    max_leaves=5,
)


@moderate(500)
@given(
    st.one_of(st.lists(WORDS, max_size=14).map(" ".join), ODD_TEXT, st.text(alphabet="()+-*/<>=!%. 0a", max_size=200))
)
def test_any_rule(text: str) -> None:
    try:
        rule = parse_rule(text)
    except ValueError as bad:
        assert 0 < len(str(bad)) < 3000
        return
    assert parse_rule(str(rule)) == rule
    for values in (VALUES, dict.fromkeys(VALUES, 0.0), dict.fromkeys(VALUES, 1e300)):
        found = rule.node(values)
        assert isinstance(found, (float, int, bool))
        assert isfinite(found) or abs(found) == float("inf") or found != found


@moderate(150)
@given(TOML_VALUES)
def test_any_value_for_a_rule(value: Any) -> None:
    try:
        assert all(isinstance(rule, Rule) for rule in parse_rules(value))
    except ValueError as bad:
        assert str(bad)


@moderate(40)
@given(TOML_VALUES)
def test_any_value_for_any_setting(value: Any) -> None:
    for name, declaration in DECLARATIONS.items():
        try:
            declaration.parse(value)
        except ValueError as bad:
            assert str(bad), name


@moderate(300)
@given(st.one_of(st.binary(max_size=120), mutated(TOML)))
def test_any_file(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "txmon.toml").write_bytes(raw)
    try:
        config = load({}, {}, tmp_path, tmp_path)
    except ConfigError as bad:
        assert "txmon.toml" in str(bad)
        return
    tomllib.loads(as_toml(config, {}))


@moderate(200)
@given(st.sampled_from(sorted(DECLARATIONS)), ODD_TEXT)
def test_any_variable_and_flag(tmp_path: Path, name: str, text: str) -> None:
    try:
        load({}, {variable(name): text}, tmp_path, tmp_path)
    except ConfigError as bad:
        assert variable(name) in str(bad)
    try:
        load({name: text}, {}, tmp_path, tmp_path)
    except UsageError as bad:
        assert "--" in str(bad)
