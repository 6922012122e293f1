"""A report: conclusions, tables and charts as values, whatever they are drawn with."""

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
    right: tuple[bool, ...]  # which columns are aligned at the right
    marked: frozenset[int] = frozenset()  # rows that belong to a finding


@dataclass(frozen=True, slots=True)
class Line:
    """A value at each place of a chart; None where there is none."""

    name: str
    values: tuple[float | None, ...]
    role: Role = "other"


@dataclass(frozen=True, slots=True)
class Picture:
    """Lines over common places, with a band of what is normal and spans that are findings."""

    title: str
    places: tuple[str, ...]  # names along the bottom
    lines: tuple[Line, ...]
    unit: str
    low: tuple[float, ...] = ()  # of the band, a value a place; () without a band
    high: tuple[float, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()  # first and last place of each finding


@dataclass(frozen=True, slots=True)
class Report:
    """All of it, for one file or several that belong together."""

    title: str
    statements: tuple[Statement, ...]  # worst first within a kind
    grids: tuple[Grid, ...]
    pictures: tuple[Picture, ...]
    sql: str  # shows the finding; runs as it stands in `txmon query` on the same file
    data: Mapping[str, object]  # for programs: what --json prints
    summary: tuple[tuple[str, str], ...] = ()  # for a person who decides: headings and a sentence or two each

    def of(self, kind: Kind) -> Sequence[str]:
        """The texts of one kind."""
        return [statement.text for statement in self.statements if statement.kind == kind]
