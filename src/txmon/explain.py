"""Verdicts in words: what was seen, what was expected, and which gate decided."""

from .decimals import fixed, significant
from .judgement import Judgement
from .verdict import TOTAL, Recommendation


def number(value: float) -> str:
    """`value` as an analyst would write it: 0.04, 1.4, 320."""
    if value >= 99.5:
        return fixed(value, 0)
    return fixed(value, 1) if value >= 0.95 else significant(value, 2)


def explain(
    status: str,
    count: int,
    expected: float,
    low: int,
    high: int,
    seen: Judgement,
    recommendation: Recommendation,
    reasons: tuple[str, ...],
) -> str:
    """One line on why the verdict is what it is."""
    name = status if status != TOTAL else "transaction" if count == 1 else "transactions"
    if "silence" in reasons:
        return f"nothing arrived, {number(expected)} transactions expected"
    if recommendation == "warming":
        return f"warming up: {count} {name}"
    bound = f"at least {low}" if seen.score < 0 else f"at most {high}"
    text = f"{count} {name}, {number(expected)} expected ({bound})"
    if "level shift" in reasons:
        return f"{text}; it has lasted long enough to be the new normal"
    if seen.together:
        return text
    if recommendation == "alert" and seen.window > 1:
        text += f"; {fixed(seen.seen, 0)} in {seen.window} buckets, {number(seen.window_mean)} expected"
    elif recommendation == "pending":
        text += "; not back to normal yet"
    elif seen.gate == "count":
        text += "; unusual, but too few to alert"
    elif seen.gate == "ratio":
        text += "; significant, but too near the expectation to alert"
    return text
