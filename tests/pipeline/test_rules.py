"""Rules: what they mean, where they point when they are wrong, and how they join the score."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txmon.model.keys import Key
from txmon.model.outcome import Trend
from txmon.model.verdict import Recommendation, Stated, Verdict
from txmon.pipeline.rules import RuleBook
from txmon.settings.rule import NAMES, parse_rule, parse_rules

Bucket = dict[Key, dict[str, int]]


def verdict(count: int, minute: int = 0, status: str = "failed", recommendation: Recommendation = "ok") -> Verdict:
    reasons = ("score",) if recommendation == "alert" else ()
    return Verdict(minute * 60, status, (), count, 200, 4.0, 1.5, 1, recommendation, reasons, Stated(0, 9, "seen"))


def ask(text: str, count: int = 20) -> bool:
    book = RuleBook(parse_rules(text), "both", 60)
    [judged] = book.apply([verdict(count)], {(): {"failed": count}}, {"failed": Trend(0.5, "rising a lot")})
    return judged.recommendation == "alert"


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("count >= 20", True),
        ("count > 20", False),
        ("failed: count >= 20 or share > 0.05", True),
        ("denied: count >= 20", False),
        ("share > 5%", True),
        ("share == 10%", True),
        ("not count < 20 and total == 200", True),
        ("count > 1 or count > 2 and count > 99", True),
        ("(count > 1 or count > 2) and count > 99", False),
        ("count - 2 * 5 == 10", True),
        ("(count - 2) * 5 == 90", True),
        ("count / expected >= ratio", True),
        ("-count < -19", True),
        ("slope > 0.4 and score >= 1.5 and high == 9 and low == 0", True),
        ("count / (total - 200) > 0", False),
    ],
)
def test_what_expressions_mean(text: str, holds: bool) -> None:
    assert ask(text) is holds


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("count >= ", "column 9: a number, a name or '(' expected, not 'the end'"),
        ("cuont > 3", "column 1: unknown name 'cuont'; did you mean 'count'?"),
        ("count > 3 3", "column 11: an operator or the end expected, not '3'"),
        ("(count > 3", "column 11: ')' expected"),
        ("count > 3; import os", "column 10: an operator or the end expected, not ';'"),
        ("__import__('os')", "column 1: unknown name '__import__'"),
        ("count.real > 1", "column 6: an operator or the end expected"),
        ("(" * 60 + "count", "nested deeper than 50"),
        ("1 + " * 400 + "1", "at most 1000 are read"),
        ("failed: count >", "column 16"),
    ],
)
def test_an_error_points_at_its_column(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_rule(text)
    assert reason in str(caught.value)


def test_tables_of_toml() -> None:
    rules = parse_rules([{"status": "Failed", "when": "count > 3", "for": "3m", "name": "many"}, "share > 1%"])
    assert [str(rule) for rule in rules] == ["failed: count > 3 for 3m", "share > 1%"]
    assert [rule.name for rule in rules] == ["many", "rule2"]
    for table, reason in [
        ({"wehn": "1"}, "did you mean 'when'"),
        ({"status": "x"}, "needs `when`"),
        (3, "is not a rule"),
    ]:
        with pytest.raises(ValueError, match=reason):
            parse_rule(table)
    with pytest.raises(ValueError, match="two rules are named"):
        parse_rules([{"name": "a", "when": "count > 1"}, {"name": "a", "when": "count > 2"}])


def test_for_waits_and_starts_anew() -> None:
    book = RuleBook(parse_rules("failed: count > 5 for 3m"), "both", 60)
    seen = []
    for minute, count in enumerate([9, 9, 1, 9, 9, 9, 9]):
        [judged] = book.apply([verdict(count, minute)], {(): {"failed": count}}, {})
        seen.append(judged.recommendation)
        state = book.snapshot()
        book = RuleBook(book.rules, "both", 60)
        book.restore(state)
    assert seen == ["ok", "ok", "ok", "ok", "ok", "alert", "alert"]


def test_modes() -> None:
    alert = verdict(3, recommendation="alert")
    counts: Bucket = {(): {"failed": 3}}
    for mode, expected in (("score", "alert"), ("rules", "ok"), ("both", "alert")):
        [judged] = RuleBook(parse_rules("count > 5"), mode, 60).apply([alert], counts, {})
        assert judged.recommendation == expected
    [judged] = RuleBook(parse_rules("count > 2"), "rules", 60).apply([alert], counts, {})
    assert judged.reasons == ("rule:rule1",)
    [judged] = RuleBook(parse_rules("count > 2"), "both", 60).apply([alert], counts, {})
    assert judged.reasons == ("score", "rule:rule1")
    assert "rule rule1: count > 2" in judged.text


def test_warm_up_knows_counts_but_no_expectation() -> None:
    warming = verdict(30, recommendation="warming")
    for text, expected in (("count > 5", "alert"), ("count > 5 and expected > 0", "warming")):
        [judged] = RuleBook(parse_rules(text), "both", 60).apply([warming], {(): {"failed": 30}}, {})
        assert judged.recommendation == expected


def test_a_status_without_a_row_is_heard_only_when_it_alerts() -> None:
    book = RuleBook(parse_rules("failed: count < 1"), "both", 60)
    assert [v.status for v in book.apply([verdict(0), verdict(0, status="denied")], {}, {})] == ["failed"]


@given(st.text(alphabet="count share>=<()+-*/%! 0123456789.andornot", max_size=60))
def test_any_text_is_a_rule_or_a_value_error(text: str) -> None:
    try:
        rule = parse_rule(text)
    except ValueError:
        return
    values = dict.fromkeys(NAMES, 1.0)
    assert isinstance(float(rule.node(values)), float)
    assert str(parse_rule(str(rule))) == str(rule)
