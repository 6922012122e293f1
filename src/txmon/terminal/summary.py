"""Prints the end of a run: the incidents, and the totals of every series, worst first."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from txmon.model.keys import TOTAL, Key
from txmon.model.outcome import Outcome
from txmon.model.verdict import Verdict
from txmon.support.terminal_text import printable
from txmon.terminal.frame import INCIDENT_COLUMNS, Paper, incident_cells, table_lines
from txmon.terminal.incident_book import IncidentBook, number
from txmon.terminal.plots import clock_of

ROWS: Final = 20
NARROW: Final = 72  # columns below which only the main table columns are shown
MOST_SERIES: Final = 100_000  # series that are counted, in order of appearance


@dataclass(slots=True)
class SeriesTotals:
    """The totals of one series."""

    minutes: int = 0  # buckets judged, without warm-up
    alerts: int = 0  # buckets that alerted
    worst: Verdict | None = None


class Summary:
    """Counts a run's verdicts by series, and follows its incidents."""

    def __init__(self, tz: tzinfo = UTC) -> None:
        """Create it. tz: of the times shown."""
        self.buckets = 0
        self.incidents = IncidentBook()
        self.lines: dict[tuple[Key, str], SeriesTotals] = {}
        self._clock: Callable[[int], str] = clock_of(tz)
        self._zone = tz.tzname(None) or str(tz)
        self._days: set[str] = set()

    def accept(self, outcome: Outcome) -> None:
        """Update the summary with one bucket's outcome."""
        self.buckets += 1
        self.incidents.accept(outcome)
        for verdict in outcome.verdicts:
            if verdict.partial or verdict.revises:
                continue
            series = (verdict.key, verdict.status)
            line = self.lines.get(series)
            if line is None:
                if len(self.lines) >= MOST_SERIES:
                    continue
                line = self.lines[series] = SeriesTotals()
            if verdict.recommendation == "warming":
                continue
            line.minutes += 1
            alerted = verdict.recommendation == "alert"
            line.alerts += alerted
            worst = line.worst
            if worst is None or (alerted, abs(verdict.score)) > (worst.recommendation == "alert", abs(worst.score)):
                line.worst = verdict

    def print(self, console: Console) -> None:
        """Print the incidents in order of time, and for each series its alerts and its strongest moment."""
        utf8 = console.encoding.lower().startswith("utf")
        paper = Paper(console.width, 0, utf8, self._clock, self._zone, console)
        count = self.incidents.count
        console.print()
        console.print(
            Text(f"{count or 'no'} incident{'' if count == 1 else 's'} in {self.buckets:,} buckets", style="bold")
        )
        if count:
            self._print_incidents(console, paper)
        self._print_series(console, paper)

    def _print_incidents(self, console: Console, paper: Paper) -> None:
        """Print the largest incidents, in order of time."""
        found = sorted(self.incidents.all(), key=lambda one: -abs(one.excess))
        listed = sorted(found[:ROWS], key=lambda one: (one.event.start, one.event.id))
        dated = len({self._clock(time)[:10] for one in listed for time in (one.event.start, one.end) if time}) > 1
        for line in table_lines(INCIDENT_COLUMNS, [incident_cells(one, paper, dated) for one in listed], paper):
            console.print(line, soft_wrap=True)
        if self.incidents.count > len(listed):
            console.print(f"and {self.incidents.count - len(listed):,} smaller ones")
        day = "" if dated else f"{self._clock(listed[0].event.start)[:10]}, " if listed else ""
        note = "peak: transactions in the worst bucket; excess: transactions above normal, or missing"
        for line in Text(f"Times: {day}{self._zone}; {note}", style="dim").wrap(console, console.width):
            console.print(line, soft_wrap=True)

    def _print_series(self, console: Console, paper: Paper) -> None:
        narrow = console.width < NARROW
        box_of = box.SIMPLE_HEAD if paper.utf8 else box.ASCII
        table = Table(box=box_of, pad_edge=False, show_edge=False)
        by = any(key for key, _ in self.lines)
        dated = len({self._clock(line.worst.time)[:10] for line in self.lines.values() if line.worst is not None}) > 1
        columns = ["status", *(["series"] if by else []), *([] if narrow else ["buckets"]), "alerts", "worst", "seen"]
        columns += [] if narrow else ["expected", "sigmas"]
        for name in columns:
            texts = name in ("status", "series", "worst")
            table.add_column(name, justify="left" if texts else "right", no_wrap=name == "worst", overflow="fold")
        ranked = sorted(self.lines.items(), key=lambda item: (-item[1].alerts, item[0][1] == TOTAL, item[0][1]))
        for (key, status), line in ranked[:ROWS]:
            worst = line.worst
            series = [", ".join(f"{printable(n)}={printable(v)}" for n, v in key)] if by else []
            moment = ["warming up", "", "", ""]
            if worst is not None:
                at = self._clock(worst.time)[5 if dated else 11 : 16]
                moment = [at, f"{worst.count:,}", number(worst.expected), f"{worst.score:+.1f}"]
            buckets = [f"{line.minutes:,}"]
            if narrow:
                buckets, moment = [], moment[:2]
            name = "all statuses" if status == TOTAL else printable(status)
            table.add_row(name, *series, *buckets, f"{line.alerts:,}", *moment, style="bold red" if line.alerts else "")
        console.print()
        console.print(table)
        if len(ranked) > ROWS:
            console.print(f"and {len(ranked) - ROWS:,} more series")
