"""The table at the end: what every series did, worst first."""

from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table

from txmon.model.clock import iso
from txmon.model.keys import TOTAL, Key
from txmon.model.outcome import Outcome
from txmon.model.verdict import Verdict
from txmon.support.terminal_text import printable

ROWS: Final = 20
NARROW: Final = 72  # columns below which only the main ones are shown
MOST_SERIES: Final = 100_000  # followed; those seen first


@dataclass(slots=True)
class SeriesTotals:
    """What one series did."""

    minutes: int = 0  # buckets judged, warm-up left out
    alerts: int = 0  # buckets that alerted
    worst: Verdict | None = None


class Summary:
    """Counts a run's verdicts by series, and its incidents."""

    def __init__(self) -> None:
        self.buckets = 0
        self.incidents = 0
        self.lines: dict[tuple[Key, str], SeriesTotals] = {}

    def accept(self, outcome: Outcome) -> None:
        """Take one bucket's outcome."""
        self.buckets += 1
        self.incidents += sum(event.state == "opened" for event in outcome.events)
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
        """Show the table: by series the buckets, the alerts, and the worst moment with what was seen and expected."""
        narrow = console.width < NARROW
        table = Table(title=f"{self.buckets} buckets, {self.incidents} incidents", title_justify="left")
        by = any(key for key, _ in self.lines)
        columns = [
            "status",
            *(["series"] if by else []),
            "buckets",
            "alerts",
            "worst moment",
            "seen",
            "expected",
            "sigmas",
        ]
        for name in columns:
            table.add_column(name, justify="left" if name in ("status", "series", "worst moment") else "right")
        ranked = sorted(self.lines.items(), key=lambda item: (-item[1].alerts, item[0][1] == TOTAL, item[0][1]))
        for (key, status), line in ranked[:ROWS]:
            worst = line.worst
            series = [", ".join(f"{printable(n)}={printable(v)}" for n, v in key)] if by else []
            moment = ["warming up", "", "", ""]
            if worst is not None:
                at = iso(worst.time)
                moment = [f"{at[:10]} {at[11:16]}", str(worst.count), f"{worst.expected:.1f}", f"{worst.score:+.1f}"]
            buckets = [str(line.minutes)]
            if narrow:
                buckets, moment = [], [moment[0][-11:], moment[1]]
            style = "bold red" if line.alerts else ""
            table.add_row(printable(status), *series, *buckets, str(line.alerts), *moment, style=style)
        console.print(table)
        if len(ranked) > ROWS:
            console.print(f"and {len(ranked) - ROWS} more series")
