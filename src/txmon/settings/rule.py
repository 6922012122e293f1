"""Rules beside the score: expressions over a bucket's values, parsed to a tree and walked, never evaluated as code.

rule       = [ STATUS ":" ] expression [ "for" DURATION ]
expression = and { "or" and }
and        = not { "and" not }
not        = [ "not" ] comparison
comparison = sum [ ("<" | "<=" | ">" | ">=" | "==" | "!=") sum ]
sum        = product { ("+" | "-") product }
product    = factor { ("*" | "/") factor }
factor     = NUMBER [ "%" ] | NAME | "-" factor | "(" expression ")"
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from txmon.support.durations import seconds
from txmon.support.frozen import frozen
from txmon.support.lazy_pattern import LazyPattern
from txmon.support.suggest import nearest

LONGEST: Final = 1000  # characters of a rule
DEEPEST: Final = 50  # nested parentheses and signs
NAMES: Final[Mapping[str, str]] = {
    "count": "transactions of the status in the bucket",
    "total": "transactions of all statuses in the bucket",
    "share": "count / total, 0..1",
    "expected": "transactions expected",
    "ratio": "count / expected",
    "score": "sigmas above (or, negative, below) the expectation",
    "low": "fewest that are normal",
    "high": "most that are normal",
    "slope": "trend of the status, transactions a minute per minute",
}
_TOKEN = LazyPattern(r"\s*(?:(\d+(?:\.\d+)?|\.\d+)|([A-Za-z_]\w*)|(<=|>=|==|!=|[<>()+\-*/%])|(\S))", re.ASCII)
_PREFIX = LazyPattern(r"\s*([^\s:<>=()]+)\s*:", re.ASCII)
_FOR = LazyPattern(r"\bfor\s+(\w+)\s*$", re.ASCII)
Values = Mapping[str, float]
Node = Callable[[Values], float]  # true is 1, false is 0


@frozen
class Rule:
    """A parsed rule."""

    name: str
    status: str  # "" for every status
    text: str  # of the expression
    hold: int  # seconds for which the expression must be true before it alerts
    names: frozenset[str]
    node: Node

    def __str__(self) -> str:
        """Return the rule in one line that `parse_rule` accepts."""
        from txmon.support.durations import duration_text

        status = f"{self.status}: " if self.status else ""
        return f"{status}{self.text}" + (f" for {duration_text(self.hold)}" if self.hold else "")

    def __eq__(self, other: object) -> bool:
        """Return whether the other object is a rule with the same text."""
        return isinstance(other, Rule) and (self.name, str(self)) == (other.name, str(other))

    def __hash__(self) -> int:
        """Return a hash that agrees with __eq__."""
        return hash((self.name, str(self)))


def parse_rules(value: object) -> tuple[Rule, ...]:
    """Return rules from texts, or from TOML's [[rule]] tables. Raise ValueError with the position of an error."""
    items = value if isinstance(value, list | tuple) else [value]
    rules = [item if isinstance(item, Rule) else parse_rule(item, number) for number, item in enumerate(items, 1)]
    names = [rule.name for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two rules are named {name!r}")
    return tuple(rules)


def rules_text(rules: tuple[Rule, ...]) -> str:
    """Return rules in one line for people.

    A flag accepts one rule, so only the text of a single rule can be parsed again.
    """
    return " ; ".join(map(str, rules))


def parse_rule(item: object, number: int = 1) -> Rule:
    """Return a rule from its text or its table {name, status, when, for}. number: names a rule without a name."""
    hold, status, name = 0, "", f"rule{number}"
    if isinstance(item, Mapping):
        for key in item:
            if key not in ("name", "status", "when", "for"):
                raise ValueError(f"unknown key {key!r} in a rule{nearest(str(key), ('name', 'status', 'when', 'for'))}")
        text = item.get("when")
        if not isinstance(text, str):
            raise ValueError("a rule needs `when`, a text")  # noqa: TRY004 - what parsers of settings raise
        hold = seconds(item.get("for", 0))
        status = str(item.get("status", "")).lower()
        name = str(item.get("name", name))
    elif isinstance(item, str):
        text = item
        prefix = _PREFIX.match(text)
        if prefix:
            status = prefix[1].lower()
            text = " " * prefix.end() + text[prefix.end() :]  # keeps the column numbers of error messages
        last = _FOR.search(text)
        if last:
            hold, text = seconds(last[1]), text[: last.start()]
    else:
        raise ValueError(f"{item!r} is not a rule")  # noqa: TRY004
    node, names = _Parser(text).parse()
    return Rule(name, status, text.strip(), hold, names, node)


class _Parser:
    """A recursive descent parser for one expression."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise ValueError(f"a rule of {len(text)} characters, at most {LONGEST} are read")
        self._text = text
        self._tokens: list[tuple[str, str, int]] = []  # kind, text, column
        for match in _TOKEN.finditer(text):
            kind = ("number", "name", "sign", "bad")[match.lastindex - 1] if match.lastindex else "bad"
            self._tokens.append((kind, match[match.lastindex or 0], match.start(match.lastindex or 0) + 1))
        self._tokens.append(("end", "", len(text.rstrip()) + 1))
        self._at = 0
        self._depth = 0
        self._names: set[str] = set()

    def parse(self) -> tuple[Node, frozenset[str]]:
        node = self._or()
        if self._kind() != "end":
            self._fail("an operator or the end")
        return node, frozenset(self._names)

    def _kind(self) -> str:
        return self._tokens[self._at][0]

    def _take(self, *texts: str) -> str:
        """Return the current token's text and move to the next token if it is one of `texts`, otherwise return ""."""
        _, text, _ = self._tokens[self._at]
        if text in texts and self._kind() in ("name", "sign"):
            self._at += 1
            return text
        return ""

    def _fail(self, wanted: str) -> NoReturn:
        _, text, column = self._tokens[self._at]
        raise ValueError(f"{self._text.strip()!r}: column {column}: {wanted} expected, not {text or 'the end'!r}")

    def _or(self) -> Node:
        node = self._and()
        while self._take("or"):
            node = _either(node, self._and())
        return node

    def _and(self) -> Node:
        node = self._not()
        while self._take("and"):
            node = _both(node, self._not())
        return node

    def _not(self) -> Node:
        if self._take("not"):
            with_not = self._deeper(self._not)
            return lambda values: float(not with_not(values))
        return self._comparison()

    def _comparison(self) -> Node:
        left = self._sum()
        sign = self._take("<", "<=", ">", ">=", "==", "!=")
        return _compare(sign, left, self._sum()) if sign else left

    def _sum(self) -> Node:
        node = self._product()
        while sign := self._take("+", "-"):
            node = _combine(sign, node, self._product())
        return node

    def _product(self) -> Node:
        node = self._factor()
        while sign := self._take("*", "/"):
            node = _combine(sign, node, self._factor())
        return node

    def _factor(self) -> Node:
        kind, text, column = self._tokens[self._at]
        if kind == "number":
            self._at += 1
            number = float(text) / (100.0 if self._take("%") else 1.0)
            return lambda values: number
        if kind == "name" and text not in ("and", "or", "not"):
            if text not in NAMES:
                raise ValueError(
                    f"{self._text.strip()!r}: column {column}: unknown name {text!r}{nearest(text, NAMES)}"
                )
            self._at += 1
            self._names.add(text)
            return lambda values: values[text]
        if self._take("-"):
            inner = self._deeper(self._factor)
            return lambda values: -inner(values)
        if self._take("("):
            inner = self._deeper(self._or)
            if not self._take(")"):
                self._fail("')'")
            return inner
        return self._fail("a number, a name or '('")

    def _deeper(self, part: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(f"{self._text.strip()[:60]!r}: nested deeper than {DEEPEST}")
        node = part()
        self._depth -= 1
        return node


def _either(left: Node, right: Node) -> Node:
    return lambda values: float(bool(left(values)) or bool(right(values)))


def _both(left: Node, right: Node) -> Node:
    return lambda values: float(bool(left(values)) and bool(right(values)))


def _compare(sign: str, left: Node, right: Node) -> Node:
    compare: Callable[[float, float], bool] = {
        "<": float.__lt__, "<=": float.__le__, ">": float.__gt__, ">=": float.__ge__, "==": float.__eq__,
        "!=": float.__ne__,
    }[sign]  # fmt: skip
    return lambda values: float(compare(left(values), right(values)))


def _combine(sign: str, left: Node, right: Node) -> Node:
    if sign == "+":
        return lambda values: left(values) + right(values)
    if sign == "-":
        return lambda values: left(values) - right(values)
    if sign == "*":
        return lambda values: left(values) * right(values)
    # 0/0 counts as 0, so a share of an empty minute does not alert
    return lambda values: left(values) / divisor if (divisor := right(values)) else 0.0
