"""Asks the rules of every verdict, and remembers since when each one has held."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from txmon.model.keys import TOTAL, Key, pack_key, unpack_key
from txmon.model.outcome import Trend, deviates
from txmon.model.verdict import Recommendation, Verdict
from txmon.settings.rule import Rule, Values

LEARNED: Final = frozenset(("expected", "ratio", "score", "low", "high"))  # not known during warm-up


class RuleBook:
    """Asks the rules of every verdict, and remembers since when each has held."""

    def __init__(self, rules: Sequence[Rule], mode: str, bucket: int) -> None:
        """mode: `score` (rules are not asked), `rules` (scores do not alert) or `both`. bucket: seconds."""
        self.rules = tuple(rules) if mode != "score" else ()
        self.only = mode == "rules"  # scores do not alert
        self._bucket = bucket
        self._since: dict[tuple[str, Key, str], int] = {}  # rule, key, status -> start of the first bucket it held in

    def apply(
        self, verdicts: Sequence[Verdict], counts: Mapping[Key, Mapping[str, int]], trends: Mapping[str, Trend]
    ) -> list[Verdict]:
        """`verdicts` with what the rules say of them; those without a row, where nothing is to be said, left out."""
        found = []
        for verdict in verdicts:
            judged = self._judge(verdict, trends)
            present = verdict.status == TOTAL or verdict.status in counts.get(verdict.key, ())
            if present or judged.recommendation not in ("ok", "warming"):
                found.append(judged)
        return found

    def _judge(self, verdict: Verdict, trends: Mapping[str, Trend]) -> Verdict:
        held = [rule for rule in self.rules if self._holds(rule, verdict, trends)]
        silenced = self.only and deviates(verdict)
        if not held and not silenced:
            return verdict
        recommendation: Recommendation = "ok" if silenced else verdict.recommendation
        reasons = () if silenced else verdict.reasons
        if not held:
            return verdict.changed(recommendation=recommendation, reasons=reasons)
        said = "; ".join(f"rule {rule.name}: {rule}" for rule in held)
        reasons = (*reasons, *(f"rule:{rule.name}" for rule in held))
        return verdict.changed(recommendation="alert", reasons=reasons, text=f"{verdict.text}; {said}")

    def _holds(self, rule: Rule, verdict: Verdict, trends: Mapping[str, Trend]) -> bool:
        if rule.status and rule.status != verdict.status:
            return False
        if not rule.status and verdict.status == TOTAL:
            return False
        place = (rule.name, verdict.key, verdict.status)
        if verdict.recommendation == "warming" and rule.names & LEARNED:
            return False
        if not rule.node(_values(verdict, trends)):
            self._since.pop(place, None)
            return False
        since = self._since.setdefault(place, verdict.time)
        return verdict.time - since + self._bucket >= rule.hold

    def snapshot(self) -> list[object]:
        """Return since when each rule has been true, as values of JSON."""
        return [[name, pack_key(key), status, time] for (name, key, status), time in self._since.items()]

    def restore(self, state: Sequence[Any]) -> None:
        """Take over what `snapshot` gave."""
        self._since = {}
        for name, key, status, time in state:
            self._since[str(name), unpack_key(key), str(status)] = int(time)


def _values(verdict: Verdict, trends: Mapping[str, Trend]) -> Values:
    count, total = float(verdict.count), float(verdict.total)
    trend = trends.get(verdict.status)
    return {
        "count": count,
        "total": total,
        "share": count / total if total else 0.0,
        "expected": verdict.expected,
        "ratio": count / verdict.expected if verdict.expected else 0.0,
        "score": verdict.score,
        "low": float(verdict.low),
        "high": float(verdict.high),
        "slope": trend.slope if trend is not None else 0.0,
    }
