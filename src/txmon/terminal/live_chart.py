"""The live chart: panels of counts over their normal band, open incidents and progress, drawn by rich.

Braille and colours where the terminal has them, ASCII where it has no UTF-8, one line of bars a series below 60
columns; what alerts has a glyph besides its colour.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from txmon.model.clock import iso
from txmon.model.keys import TOTAL, Key
from txmon.model.outcome import IncidentEvent, Outcome, TrendName
from txmon.support.terminal_text import printable
from txmon.terminal.board import Board, Track, like
from txmon.terminal.plots import Cell, bar_line, draw, marks, points_across, top_of

FRAME: Final = 1 / 6  # seconds between frames
NARROW: Final = 60  # columns below which there is no room for panels
PANEL: Final = 5  # lines of the smallest panel: title, three of drawing, marks
INCIDENTS: Final = 3  # listed
ARROWS: Final[dict[TrendName, tuple[str, str]]] = {
    "rising a lot": ("⇈", "^^"),
    "rising": ("↑", "^"),
    "stable": ("→", "-"),
    "falling": ("↓", "v"),
    "falling a lot": ("⇊", "vv"),
}
LINE: Final = {
    "denied": "yellow",
    "failed": "dark_orange",
    "reversed": "cyan",
    "backend_reversed": "blue",
    TOTAL: "white",
}
BAND: Final = "on grey19"
ALERT: Final = "bold red"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the input is read."""

    name: str
    done: int = 0  # bytes
    size: int | None = None  # None: not known
    note: str = ""


class Chart:
    """Shows a board on a console, at most six frames a second."""

    def __init__(self, console: Console, bucket: int, clock: Callable[[], float]) -> None:
        """bucket: seconds. clock: seconds, monotonic."""
        self.board = Board(bucket)
        self.final = False  # show all of the past instead of the newest
        self.chosen: str | None = None  # a status shown alone
        self.paused = False  # the picture holds still; what comes is still taken
        self._console = console
        self._clock = clock
        self._progress = Progress("")
        self._drawn = -1e9
        self._live: Live | None = None

    def __enter__(self) -> "Chart":
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=False, redirect_stdout=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.update(self.render(), refresh=True)
            self._live.stop()
        else:
            self._console.print(self.render())

    def accept(self, outcome: Outcome) -> None:
        """Take one bucket's outcome."""
        self.board.accept(outcome)

    def tick(self, progress: Callable[[], Progress]) -> None:
        """Draw a frame if it is time for one."""
        now = self._clock()
        if self.paused and self._drawn > 0:
            return
        if self._live is not None and now - self._drawn >= FRAME:
            self._drawn = now
            self._progress = progress()
            self._live.update(self.render(), refresh=True)

    def press(self, key: str) -> None:
        """space: hold the picture still, or go on. up, down: show one status alone, and at the ends all of them."""
        if key == "space":
            self.paused = not self.paused
        else:
            names = [None, *sorted({status for _, status in self.board.tracks})]
            step = 1 if key == "down" else -1
            self.chosen = names[(names.index(self.chosen if self.chosen in names else None) + step) % len(names)]
        self._drawn = -1e9

    def finish(self, progress: Progress) -> None:
        """The input has ended: the last frame shows all of it."""
        self.final = True
        self._progress = progress

    def render(self) -> RenderableType:
        """The present frame."""
        width, height = self._console.size
        utf8 = self._console.encoding.lower().startswith("utf")
        parts: list[RenderableType] = [self._header(width)]
        foot = self._foot(width, utf8)
        room = height - 1 - len(parts) - len(foot)
        if self.board.time == 0:
            parts.append(Text("waiting for transactions", style="dim"))
        elif width < NARROW:
            parts += self._lines(width, room, utf8)
        else:
            parts += self._panels(width, room, utf8)
        return Group(*parts, *foot)

    def _header(self, width: int) -> Text:
        board = self.board
        text = Text("txmon", style="bold", no_wrap=True, overflow="crop")
        if board.time:
            moment = iso(board.time)
            text.append(f"  {moment[:10]} {moment[11:16]}", style="not bold")
            text.append(f"  {board.volume} in {_width(board.bucket)}", style="not bold")
            if self.paused:
                text.append("  paused", style="not bold reverse")
            if board.warming:
                text.append("  warming up", style="not bold yellow")
        text.truncate(width)
        return text

    def _panels(self, width: int, room: int, utf8: bool) -> list[RenderableType]:
        tracks = self._tracks(max(1, min(6, room // PANEL)))
        each = max(PANEL, min(8, room // max(1, len(tracks))))
        columns = width - 7
        parts: list[RenderableType] = []
        for track in tracks:
            points = self.board.points(track, points_across(columns, utf8), self.final)
            parts.append(_title(track, self._trend(track), utf8, width))
            drawing = draw(points, columns, each - 2, utf8)
            color = LINE.get(like(track.newest.status), "green")
            top = str(top_of(points))
            for i, line in enumerate(drawing):
                label = top if i == 0 else "0" if i == len(drawing) - 1 else ""
                parts.append(Text.assemble((f"{label:>6} ", "dim"), *_cells(line, color), no_wrap=True))
            under = marks(points, columns, utf8)
            parts.append(Text.assemble(" " * 7, (under, ALERT), no_wrap=True))
        return parts

    def _lines(self, width: int, room: int, utf8: bool) -> list[RenderableType]:
        parts: list[RenderableType] = []
        columns = max(8, width - 24)
        for track in self._tracks(max(1, room)):
            points = self.board.points(track, columns, self.final)
            mark = f" {'▲' if utf8 else '^'}{track.alerts}" if track.alerts else ""
            name = printable(track.newest.status, 14)
            seen = Text.assemble(
                f"{name:<14.14} ", *_cells(bar_line(points, utf8), LINE.get(like(name), "green")), no_wrap=True
            )
            seen.append(f" {track.newest.count}{mark}", style=ALERT if points[-1].mark == 2 else "")
            seen.truncate(width)
            parts.append(seen)
        return parts

    def _tracks(self, most: int) -> list[Track]:
        if self.chosen is not None:
            return [track for track in self.board.panels(10**6, self.final) if track.newest.status == self.chosen][
                :most
            ]
        return self.board.panels(most, self.final)

    def _trend(self, track: Track) -> TrendName:
        return self.board.trends.get(track.newest.status, "stable")

    def _foot(self, width: int, utf8: bool) -> list[RenderableType]:
        incidents = sorted(self.board.incidents.values(), key=lambda event: -event.start)
        parts: list[RenderableType] = [
            _incident(event, self.board.time, utf8, width) for event in incidents[:INCIDENTS]
        ]
        if len(incidents) > INCIDENTS:
            parts.append(Text(f"and {len(incidents) - INCIDENTS} more open incidents", style=ALERT))
        progress = self._progress
        if progress.name and not self.final:
            parts.append(_progress(progress, width))
        return parts


def _title(track: Track, trend: TrendName, utf8: bool, width: int) -> Text:
    newest = track.newest
    status = "all statuses" if newest.status == TOTAL else printable(newest.status)
    text = Text(no_wrap=True, overflow="crop")
    text.append(status + key_text(newest.key), style="bold " + LINE.get(like(newest.status), "green"))
    text.append(f"  {newest.count} now, {newest.low} to {newest.high} is normal  ")
    text.append(f"{ARROWS[trend][0 if utf8 else 1]} {trend}", style="red" if trend == "rising a lot" else "dim")
    if track.alerts:
        glyph = "▲" if utf8 else "^"
        text.append(f"  {glyph} {track.alerts} buckets alerted", style=ALERT)
    text.truncate(width)
    return text


def _incident(event: IncidentEvent, now: int, utf8: bool, width: int) -> Text:
    glyph = "▲" if utf8 else "!"
    minutes = max(0, now - event.start) // 60
    text = Text(no_wrap=True, overflow="crop", style=ALERT)
    text.append(f"{glyph} {printable(event.label)}{key_text(event.key)}")
    text.append(f"  since {iso(event.start)[11:16]} ({minutes} min)  {printable(event.text, 200)}", style="not bold")
    text.truncate(width)
    return text


def key_text(key: Key) -> str:
    """` merchant=m1`, or nothing without --group-by."""
    return "".join(f" {printable(name, 20)}={printable(value, 30)}" for name, value in key)


def _progress(progress: Progress, width: int) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    name = Text(printable(progress.name, 30), style="dim")
    note = Text(progress.note, style="dim")
    if progress.size:
        bar = ProgressBar(total=progress.size, completed=min(progress.done, progress.size), width=max(10, width // 3))
        share = Text(f"{min(100, 100 * progress.done // progress.size):>3}%")
        grid.add_row(name, bar, share, note)
    else:
        grid.add_row(name, note)
    return grid


def _cells(cells: Sequence[Cell], color: str) -> list[tuple[str, str]]:
    """Cells as runs of one style, since a style a character costs ten times as much to print."""
    runs: list[tuple[str, str]] = []
    for cell in cells:
        style = f"{ALERT if cell.mark == 2 else color} {BAND if cell.band else ''}"
        if runs and runs[-1][1] == style:
            runs[-1] = (runs[-1][0] + cell.glyph, style)
        else:
            runs.append((cell.glyph, style))
    return runs


def _width(seconds: int) -> str:
    return "a minute" if seconds == 60 else f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"
