"""Every regular expression of the sources against the inputs that make bad ones slow."""

import ast
import importlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from re import _parser as sre  # the one parser of patterns there is
from typing import Any

import pytest

from txmon.ingest import calendar_texts
from txmon.support.lazy_pattern import LazyPattern

SOURCES = Path(__file__).parents[2] / "src" / "txmon"
CALLS = ("compile", "match", "search", "sub", "fullmatch", "findall", "split", "finditer")
# modules that put patterns together, and what gives them
COMPUTED = {"ingest/calendar_texts.py": calendar_texts._patterns}
LAZY = "lazy_pattern.py"  # compiles what other modules give it
SIZE = 40_000  # characters: what is linear takes a millisecond, what is quadratic seconds
SLOW = 0.5  # seconds


def patterns() -> Iterator[tuple[str, str | bytes]]:
    """Where each pattern stands, and the pattern."""
    for path in sorted(SOURCES.rglob("*.py")):
        if path.name == LAZY:
            continue
        tree = ast.parse(path.read_text())
        named = {id(node.value): target for node in tree.body for target in targets(node) if hasattr(node, "value")}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (called := _called(node)):
                place = f"{path.relative_to(SOURCES)}:{node.lineno} {called}"
                module = ".".join(path.relative_to(SOURCES.parent).with_suffix("").parts)
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    pattern = first.value
                elif isinstance(first, ast.Name) and hasattr(importlib.import_module(module), first.id):
                    pattern = getattr(importlib.import_module(module), first.id)
                elif id(node) in named:  # put together from texts: the module has the result
                    made = getattr(importlib.import_module(module), named[id(node)])
                    pattern = made.compiled().pattern if isinstance(made, LazyPattern) else made.pattern
                else:
                    assert str(path.relative_to(SOURCES)) in COMPUTED, f"{place}: a pattern that is computed"
                    continue
                assert isinstance(pattern, str | bytes)
                yield place, pattern
    for name, made in COMPUTED.items():
        for kind, compiled in made():
            yield f"{name} {kind} {compiled.pattern[:20]}", compiled.pattern


def _called(node: ast.Call) -> str:
    """The name of the call where it makes or uses a pattern; else empty."""
    called = node.func
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        return called.attr if called.value.id == "re" and called.attr in CALLS else ""
    return called.id if isinstance(called, ast.Name) and called.id == "LazyPattern" else ""


def targets(node: ast.stmt) -> list[str]:
    """The name that a statement of a module gives to one value."""
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return [node.targets[0].id]
    return []


FOUND = dict(patterns())


def repeats(tree: Any, inside: bool = False) -> Iterator[bool]:
    """For each repetition without an upper bound: whether it stands within another."""
    for kind, value in tree:
        if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            _, high, inner = value
            unbounded = high == sre.MAXREPEAT
            if unbounded:
                yield inside
            yield from repeats(inner, inside or unbounded)
        elif kind is sre.SUBPATTERN:
            yield from repeats(value[-1], inside)
        elif kind is sre.BRANCH:
            for branch in value[1]:
                yield from repeats(branch, inside)
        elif kind in (sre.ASSERT, sre.ASSERT_NOT):
            yield from repeats(value[1], inside)


def literals(tree: Any) -> Iterator[str]:
    """Characters that a pattern names, and one of each class that it takes."""
    for kind, value in tree:
        if kind is sre.LITERAL:
            yield chr(value)
        elif kind is sre.IN:
            yield from literals([item for item in value if item[0] is not sre.NEGATE])
        elif kind is sre.RANGE:
            yield chr(value[0])
        elif kind is sre.CATEGORY:
            yield {"CATEGORY_DIGIT": "1", "CATEGORY_SPACE": " ", "CATEGORY_WORD": "a"}.get(str(value), "!")
        elif kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            yield from literals(value[2])
        elif kind is sre.SUBPATTERN:
            yield from literals(value[-1])
        elif kind is sre.BRANCH:
            for branch in value[1]:
                yield from literals(branch)


def attacks(pattern: str | bytes) -> set[str]:
    """What is repeated to attack it: each of its characters, pairs of them, and its first characters before them."""
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    known = list(dict.fromkeys([*literals(sre.parse(text)), "a", "1", " "]))[:14]
    return {*known, *(a + b for a in known[:7] for b in known[:7])}


def took(pattern: str | bytes, unit: str, size: int, search: bool) -> float:
    """Seconds to match, and to search where the sources do, a text of `unit` that fails at its end."""
    text: Any = (unit * (size // len(unit))) + "\x01"
    if isinstance(pattern, bytes):
        text = text.encode("latin-1", "replace")
    ready = re.compile(pattern, 0 if isinstance(pattern, bytes) else re.ASCII)
    began = time.process_time()
    ready.fullmatch(text)
    if search:
        ready.search(text)
    return time.process_time() - began


def test_there_are_patterns() -> None:
    assert len(FOUND) >= 25


@pytest.mark.parametrize("where", FOUND)
def test_no_repetition_within_a_repetition(where: str) -> None:
    pattern = FOUND[where]
    tree = sre.parse(pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern)
    nested = list(repeats(tree))
    # each turn of the outer one begins with a character that the inner one cannot take
    harmless = (
        r"^(?:\w+\.)*(\w*(?:Error|Exception): .*)$",
        r"(?:\.(?:\$\w+|S|N|value))+$",
        r"\[[A-Za-z_]+(?:/[A-Za-z_+-]+\d*)*\]$",
        r"-+(?:\s+-+)+\s*",
        r"'[^']*'(?:([,;\t|])'[^']*')+\s*",
    )
    assert True not in nested or pattern in harmless


@pytest.mark.parametrize("where", FOUND)
def test_long_input_takes_no_longer_than_it_is(where: str) -> None:
    pattern = FOUND[where]
    for unit in attacks(pattern):
        assert took(pattern, unit, SIZE, where.endswith("search")) < SLOW, (where, unit)


@pytest.mark.parametrize("bad", [r"(a+)+$", r"(?:a|a)*b", r"(\w+\s?)*x"])
def test_a_bad_pattern_is_seen(bad: str) -> None:
    nested = True in list(repeats(sre.parse(bad)))
    slow = any(took(bad, unit, 24, True) > 0.05 for unit in attacks(bad))
    assert nested or slow
