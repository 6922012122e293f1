"""Defines a report as values: conclusions, tables and charts, independent of how they are drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["finding", "reference", "doubt", "alike", "note", "limit"]
Role = Literal["seen", "expected", "other"]

HEADINGS: Mapping[Kind, str] = {
    "finding": "Findings",
    "doubt": "Not enough for a finding",
    "alike": "Above or below the averages, and normal",
    "reference": "About the references",
    "note": "Also",
    "limit": "What this cannot know",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """A conclusion in plain words."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[bool, ...]  # whether each column is aligned at the right
    marked: frozenset[int] = frozenset()  # rows that belong to a finding


@dataclass(frozen=True, slots=True)
class Line:
    """One value for each place of a chart; None for a missing value."""

    name: str
    values: tuple[float | None, ...]
    role: Role = "other"


@dataclass(frozen=True, slots=True)
class Picture:
    """Lines over common places, with a band of normal values, and spans for findings."""

    title: str
    places: tuple[str, ...]  # labels along the bottom
    lines: tuple[Line, ...]
    unit: str
    low: tuple[float, ...] = ()  # of the band, one value for each place; () without a band
    high: tuple[float, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()  # first and last place of each finding


@dataclass(frozen=True, slots=True)
class Report:
    """The report of one file, or of several files that belong together."""

    title: str
    statements: tuple[Statement, ...]  # worst first within a kind
    grids: tuple[Grid, ...]
    pictures: tuple[Picture, ...]
    sql: str  # shows the finding; runs unchanged in `txmon query` on the same file
    data: Mapping[str, object]  # the data that --json prints
    summary: tuple[tuple[str, str], ...] = ()  # for a manager: a heading and one or two sentences for each line

    def of(self, kind: Kind) -> Sequence[str]:
        """Return the texts of one kind."""
        return [statement.text for statement in self.statements if statement.kind == kind]
