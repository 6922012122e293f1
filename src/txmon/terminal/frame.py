"""Composes one frame of the live chart as lines of text: the current state, the open incidents, the charts, the keys.

All functions are pure: they map a board and a view to lines. With UTF-8 they draw braille and shades, otherwise ASCII.
Colours only repeat what characters and words show. Below 60 columns, and for series without room for a panel, each
series is one line of bars.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from os.path import basename
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from txmon.model.keys import TOTAL, Key
from txmon.model.outcome import Severity, TrendName
from txmon.model.statuses import shown
from txmon.support.durations import duration_words
from txmon.support.terminal_text import printable
from txmon.terminal.board import Board, State, Track, like
from txmon.terminal.history import Point
from txmon.terminal.incident_book import Followed, number, numbers_of
from txmon.terminal.plots import Cell, axis, bar_line, draw, marks, points_across, top_of
from txmon.terminal.view import KEYS, MORE_KEYS, SPEED_KEYS, View

NARROW: Final = 60  # columns below which panels do not fit
MARGIN: Final = 8  # columns to the left of a drawing, for its scale
PLOT: Final = 3  # lines of the smallest drawing
TALLEST: Final = 8  # lines of the tallest drawing among several
STATED: Final = 80  # columns from which a line of bars includes its state in words
ARROWS: Final[dict[TrendName, tuple[str, str]]] = {
    "rising a lot": ("⇈", "^^"),
    "rising": ("↑", "^"),
    "stable": ("→", "-"),
    "falling": ("↓", "v"),
    "falling a lot": ("⇊", "vv"),
}
COLORS: Final = {
    "denied": "yellow",
    "failed": "dark_orange",
    "reversed": "cyan",
    "backend_reversed": "blue",
    TOTAL: "white",
}
SEVERITY: Final[dict[Severity, str]] = {"critical": "bold white on red", "warning": "bold yellow", "info": "bold cyan"}
BAND: Final = "grey42"
WITHIN: Final = " on grey15"  # style of a line within the band
ALERT: Final = "bold red"
STATE_STYLE: Final[dict[State, str]] = {
    "alert": ALERT, "silence": ALERT, "ending": "yellow", "incident": "yellow", "warming": "dim", "normal": "green",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of the input has been read."""

    name: str
    done: int = 0  # bytes
    size: int | None = None  # None if unknown
    note: str = ""  # rate and time left


@dataclass(frozen=True, slots=True)
class Paper:
    """The surface that a frame is drawn on."""

    width: int
    height: int
    utf8: bool
    clock: Callable[[int], str]  # epoch seconds as 2026-03-02 14:33:00
    zone: str  # the time zone's name
    console: Console  # wraps texts


def frame(
    board: Board, view: View, paper: Paper, progress: Progress, keyed: bool, said: Sequence[str] = ()
) -> list[Text]:
    """Return the current frame, at most `paper.height` lines.

    keyed: keys are read, so a footer shows them. said: messages, of which the newest is shown.
    """
    head = [_header(board, view, paper)]
    foot = _foot(view, paper, progress, said, keyed)
    room = max(1, paper.height - len(head) - len(foot))
    if view.help:
        body = _help(view, paper)
    elif not board.time:
        body = [Text("waiting for transactions", style="dim")]
    elif view.mode == "incidents":
        body = _incident_list(board, view, paper, room)
    else:
        if view.mode == "charts":
            listed = _incidents(board, paper, max(2, room // 4))
            head += listed
            room -= len(listed)
        start, end = board.time + board.bucket - view.seconds, board.time + board.bucket
        body = _one(board, view, paper, room, start, end) if view.mode == "one" else []
        body = body or _charts(board, view, paper, room, start, end)
    body = body[:room]
    if keyed:  # the footer stays at the bottom
        body += [Text("")] * (room - len(body))
    return [*head, *body, *foot]


def final_frame(board: Board, paper: Paper) -> list[Text]:
    """Return a frame of the whole run, for its end."""
    view = View(False)
    head = [_header(board, view, paper), *_incidents(board, paper, paper.height // 3)]
    if not board.time:
        return [*head, Text("no bucket closed", style="dim")]
    room = max(PLOT + 3, paper.height - 1 - len(head))
    return [*head, *_charts(board, view, paper, room, board.first, board.time + board.bucket, by_past=True)]


def fitted(text: Text, width: int, utf8: bool) -> Text:
    """Return `text` on one line of at most `width` columns."""
    text.no_wrap = True
    if text.cell_len > width:
        text.truncate(max(0, width - 1), overflow="crop")
        text.append("…" if utf8 else "~")
    return text


def _joined(parts: Iterable[Text | None], gap: str = "  ") -> Text:
    found = Text(no_wrap=True)
    for part in parts:
        if part is not None and part.plain:
            found.append(gap if found.plain else "")
            found.append_text(part)
    return found


# the first line


def _header(board: Board, view: View, paper: Paper) -> Text:
    if not board.time:
        return Text("txmon", style="bold")
    moment, volume = paper.clock(board.time), board.volume
    seconds = 19 if board.bucket % 60 else 16
    count = len(board.incidents.open)
    state = Text("paused", style="reverse") if view.paused else None
    words = Text(f"filter: {printable(view.words)}", style="reverse") if view.words and not view.typing else None
    incidents = Text(f"{count or 'no'} open incident{'' if count == 1 else 's'}", style=ALERT if count else "green")
    seen = f"{volume.count:,} in {_width(board.bucket)}"
    normal = f"{number(volume.low)} to {number(volume.high)} is normal"
    tail = [incidents, state, words]
    short = seen.replace(" in a minute", "/min")
    variants = [
        ["txmon", f"{moment[:seconds]} {paper.zone}", f"{seen}, {number(volume.expected)} expected, {normal}"],
        [f"{moment[:seconds]} {paper.zone}", f"{seen}, {normal}"],
        [f"{moment[11:seconds]} {paper.zone}", f"{seen}, {normal}"],
        [moment[11:seconds], f"{short}, normal {number(volume.low)}-{number(volume.high)}"],
        [moment[11:seconds], short],
    ]
    if volume.warming:
        variants = [[*v[:-1], f"{seen}, warming up"] for v in variants[:3]]
    for variant in variants:
        text = _joined([*(Text(part, style="bold" if n == 0 else "") for n, part in enumerate(variant)), *tail])
        if text.cell_len <= paper.width:
            return text
    return fitted(text, paper.width, paper.utf8)


def _width(seconds: int) -> str:
    return "a minute" if seconds == 60 else f"{seconds} s" if seconds % 60 else f"{seconds // 60} min"


# incidents


def _incidents(board: Board, paper: Paper, room: int) -> list[Text]:
    """Return the open incidents, wrapped, in at most `room` lines."""
    newest = board.newest()
    lines: list[Text] = []
    ranked = board.incidents.ranked()
    for n, incident in enumerate(ranked):
        wrapped = _incident(
            incident, board, paper, numbers_of(incident, newest, _short(paper, incident.event.peak), board.time)
        )
        left = len(ranked) - n
        spare = room - len(lines) - (1 if left > 1 else 0)
        if len(wrapped) > spare and n:
            lines.append(Text(f"and {left} more open incident{'' if left == 1 else 's'} (i lists them)", style=ALERT))
            break
        lines += wrapped[: max(1, spare)]
    return lines


def _incident(incident: Followed, board: Board, paper: Paper, numbers: str) -> list[Text]:
    event = incident.event
    style = SEVERITY[event.severity]
    text = Text()
    text.append(f"{'▲' if paper.utf8 else '!'} {event.severity}", style=style)
    text.append(f"  {printable(event.label)}{key_text(event.key)}", style=ALERT)
    again = f", on and off {event.times} times" if event.times > 1 else ""
    lasted = duration_words(board.time + board.bucket - event.start)
    text.append(f"  since {_short(paper, event.start, board.time)} ({lasted}{again}): ")
    text.append(numbers)
    return hanging(text, paper)


def hanging(text: Text, paper: Paper, indent: int = 2) -> list[Text]:
    """Return `text` wrapped at the paper's width. Lines after the first are indented by `indent` columns."""
    first = text.wrap(paper.console, paper.width)[:1]
    if not first or first[0].cell_len >= text.cell_len:
        return [*first]
    rest = text[len(first[0].plain) :]
    while rest.plain[:1] == " ":
        rest = rest[1:]
    lines = [Text(" " * indent).append_text(line) for line in rest.wrap(paper.console, paper.width - indent)]
    for line in (first[0], *lines):
        line.rstrip()
    return [first[0], *lines]


def _short(paper: Paper, time: int, now: int = 0) -> str:
    """Return the time of day, preceded by the date if it differs from that of `now`."""
    moment = paper.clock(time)
    return moment[11:16] if not now or paper.clock(now)[:10] == moment[:10] else moment[5:16]


def incident_cells(incident: Followed, paper: Paper, dated: bool) -> list[str]:
    """Return an incident as the cells of a table: state, what, from, to, peak, expected, excess."""
    event = incident.event
    begin = 5 if dated else 11
    end = paper.clock(incident.end)[begin:16] if incident.end else "open"
    what = f"{printable(event.label)}{key_text(event.key)}"
    excess = round(incident.excess)
    return [
        event.severity, what, paper.clock(event.start)[begin:16], end, f"{event.observed:,}", number(event.expected),
        f"{excess:+,}",
    ]  # fmt: skip


INCIDENT_COLUMNS: Final = ("severity", "incident", "from", "to", "peak", "expected", "excess")


def _incident_list(board: Board, view: View, paper: Paper, room: int) -> list[Text]:
    incidents = board.incidents.all()
    if not incidents:
        return [Text("no incident so far", style="green")]
    dated = any(paper.clock(one.event.start)[:10] != paper.clock(board.time)[:10] for one in incidents)
    rows = [incident_cells(one, paper, dated) for one in incidents]
    view.top = min(view.top, max(0, len(rows) - room + 2))
    lines = table_lines(INCIDENT_COLUMNS, rows, paper)
    for one, line in zip(incidents, lines[1:], strict=True):
        line.stylize("" if one.end else ALERT)
    shown_rows = lines[1 + view.top : view.top + room - 1]
    rest = len(rows) - view.top - len(shown_rows)
    more = [Text(f"{rest} more below", style="dim")] if rest > 0 else []
    over = len(rows) - len(board.incidents.open)
    title = Text(f"{len(board.incidents.open)} open, {over} over", style="bold")
    return [title, lines[0], *shown_rows[: room - 2 - len(more)], *more]


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], paper: Paper) -> list[Text]:
    """Return a table of incidents as lines, the header first. The second column is shortened if necessary."""
    widths = [max(cell_len(row[n]) for row in (columns, *rows)) for n in range(len(columns))]
    fixed = sum(widths) - widths[1] + 2 * (len(widths) - 1)
    widths[1] = max(8, min(widths[1], paper.width - fixed))
    lines = []
    for row in (columns, *rows):
        cells = []
        for n, cell in enumerate(row):
            pad = " " * (widths[n] - cell_len(cell))
            cells.append(pad + cell if n > 3 else _cell(cell, widths[n], paper))
        lines.append(fitted(Text("  ".join(cells).rstrip()), paper.width, paper.utf8))
    lines[0].stylize("dim")
    return lines


# charts


def _charts(
    board: Board, view: View, paper: Paper, room: int, start: int, end: int, by_past: bool = False
) -> list[Text]:
    tracks = board.ranked(view.words, by_past)
    if not tracks:
        return [Text(f"no series contains {printable(view.words)!r}. Esc clears the filter.", style="yellow")]
    panels, lines, first = _layout(len(tracks), room, paper.width, _index(tracks, view))
    drawn = [_drawing(board, track, paper, start, end) for track in tracks[first : first + panels]]
    body: list[Text] = []
    if panels:
        body.append(_legend(paper))
        marked = sum(1 for points in drawn if _marks(points, paper))
        spare = room - 2 - lines - (1 if first + panels + lines < len(tracks) else 0) - marked
        height = max(PLOT, min(TALLEST, spare // panels - 1))
        for track, points in zip(tracks[first : first + panels], drawn, strict=True):
            body += _panel(board, track, paper, points, height, start, track.series == view.chosen)
        body.append(_axis(paper, start, end))
    shown_lines = tracks[first + panels : first + panels + lines]
    body += _lines(board, shown_lines, view, paper, start, end)
    more = len(tracks) - panels - lines
    if more > 0:
        body.append(
            fitted(Text(f"and {more} more series: arrows move, / filters", style="dim"), paper.width, paper.utf8)
        )
    return body


def _index(tracks: Sequence[Track], view: View) -> int:
    return next((n for n, track in enumerate(tracks) if track.series == view.chosen), 0)


def _layout(count: int, room: int, width: int, chosen: int) -> tuple[int, int, int]:
    """Return how many series get a panel, how many get a line, and the index of the first one shown."""
    if width < NARROW or room < PLOT + 4:
        lines = min(count, max(1, room - 1))
        return 0, lines, max(0, min(chosen - lines + 1, count - lines))
    each = PLOT + 2  # a title, a drawing, marks
    panels = min(count, max(1, (room - 2) // each))
    if panels < count:  # leaves some room for the other series
        few = min(count - panels, max(2, room // 5))
        panels = max(1, (room - 3 - few) // each)
    lines = max(0, min(count - panels, room - 3 - panels * each))
    if count - panels - lines == 1:  # a line that counts one hidden series needs as much room as the series
        lines += 1
    first = max(0, min(chosen - panels - lines + 1, count - panels - lines)) if chosen >= panels + lines else 0
    return panels, lines, first


def _drawing(board: Board, track: Track, paper: Paper, start: int, end: int) -> list[Point | None]:
    return board.points(track, start, end, points_across(paper.width - MARGIN, paper.utf8))


def _marks(points: Sequence[Point | None], paper: Paper) -> str:
    return marks(points, paper.width - MARGIN, paper.utf8)


def _panel(
    board: Board,
    track: Track,
    paper: Paper,
    points: Sequence[Point | None],
    height: int,
    start: int,
    chosen: bool,
) -> list[Text]:
    parts = [_title(board, track, paper, start, chosen)]
    drawing = draw(points, paper.width - MARGIN, height, paper.utf8)
    color = COLORS.get(like(track.newest.status), "green")
    labels = {0: number(top_of(points)), height - 1: "0"}
    if height >= TALLEST + 2:
        labels[height // 2] = number(round(top_of(points) * (height - height // 2 - 0.5) / height))
    for n, line in enumerate(drawing):
        label = labels.get(n, "")
        parts.append(Text.assemble((f"{label:>{MARGIN - 1}.{MARGIN - 1}} ", "dim"), *_cells(line, color), no_wrap=True))
    under = _marks(points, paper)
    if under:
        parts.append(Text.assemble(" " * MARGIN, (under, ALERT), no_wrap=True))
    return parts


def _title(board: Board, track: Track, paper: Paper, start: int, chosen: bool) -> Text:
    newest, state = track.newest, board.state(track)
    style = "bold " + COLORS.get(like(newest.status), "green")
    trend = board.trends.get(newest.status, "stable")
    arrow = ARROWS[trend][0 if paper.utf8 else 1]
    sofar = " so far" if newest.partial else ""
    now = f"{board.count(track):,} now{sofar}"
    low, high = f"{newest.low:,}", f"{newest.high:,}"
    long, short = ("", "") if state == "warming" else (f", {low} to {high} is normal", f", normal {low}-{high}")
    name = Text(
        f"{_pointer(paper) if chosen else ''}{_name(board, track)}", style=style + (" reverse" if chosen else "")
    )
    words = Text(state_text(board, track, paper, start), style=STATE_STYLE[state])
    moving = Text(f"{arrow} {trend}", style="dim") if trend != "stable" else None
    for rest in ([Text(now + long), moving], [Text(now + long)], [Text(now + short)]):
        text = _joined([name, words, *rest])
        if text.cell_len <= paper.width:
            break
    return fitted(text, paper.width, paper.utf8)


def _pointer(paper: Paper) -> str:
    return "› " if paper.utf8 else "> "


def _name(board: Board, track: Track) -> str:
    key, status = track.series
    together = " (all keys)" if board.keyed and not key else ""
    return ("all statuses" if status == TOTAL else printable(shown(status), 40)) + key_text(key) + together


def state_text(board: Board, track: Track, paper: Paper, start: int) -> str:
    """Return the state of a series in words. start: of the time range on screen, epoch seconds."""
    state = board.state(track)
    since = _short(paper, track.began or board.time, board.time)
    incident = board.incidents.of(track.series)
    if state == "silence":
        return f"SILENT since {since}"
    if state == "alert":
        return f"ALERT since {since}"
    if state == "ending":
        return f"not back to normal, alert since {since}"
    if state == "incident" and incident is not None:
        return f"normal now, incident since {_short(paper, incident.event.start, board.time)}"
    if state == "warming":
        return "warming up"
    return (
        f"normal since {_short(paper, track.ended, board.time)}" if track.ended >= start and track.ended else "normal"
    )


def key_text(key: Key) -> str:
    """Return ` merchant=m1`, or "" without --group-by."""
    return "".join(f" {printable(name, 20)}={printable(value, 30)}" for name, value in key)


def _lines(board: Board, tracks: Sequence[Track], view: View, paper: Paper, start: int, end: int) -> list[Text]:
    """Return each series as one line: name, bars, newest count, state."""
    names = [(_pointer(paper) if track.series == view.chosen else "") + _name(board, track) for track in tracks]
    states = [state_text(board, track, paper, start) if paper.width >= STATED else "" for track in tracks]
    longest = paper.width // 3 if paper.width >= NARROW else 14
    name_width = min(longest, max(map(cell_len, names), default=0)) + 1
    columns = max(4, paper.width - name_width - max(map(len, states), default=0) - 10)
    lines = []
    for track, name, words in zip(tracks, names, states, strict=True):
        state = board.state(track)
        text = Text.assemble(
            (_cell(name, name_width - 1, paper) + " ", "reverse" if track.series == view.chosen else ""),
            *_cells(
                bar_line(board.points(track, start, end, columns), paper.utf8),
                COLORS.get(like(track.newest.status), "green"),
            ),
            no_wrap=True,
        )
        text.append(
            f" {board.count(track):>6,} {MARK[state][0 if paper.utf8 else 1]} {words}", style=STATE_STYLE[state]
        )
        text.rstrip()
        lines.append(fitted(text, paper.width, paper.utf8))
    return lines


def _cell(text: str, width: int, paper: Paper) -> str:
    """Return `text` cut or padded to `width` columns."""
    return set_cell_size(text if cell_len(text) <= width else set_cell_size(text, width - 1) + _dots(paper), width)


def _dots(paper: Paper) -> str:
    return "…" if paper.utf8 else "~"


MARK: Final[dict[State, tuple[str, str]]] = {
    "alert": ("▲", "^"), "silence": ("▲", "^"), "ending": ("·", "!"), "incident": ("·", "!"), "warming": (" ", " "),
    "normal": (" ", " "),
}  # fmt: skip


def _legend(paper: Paper) -> Text:
    seen, band, alert, ending = ("⠒⠒", "░░", "▲", "·") if paper.utf8 else ("**", "::", "^", "!")
    text = Text.assemble(
        " " * MARGIN, (seen, "bold"), (" seen  ", "dim"), (band, BAND), (" normal  ", "dim"), (alert, ALERT),
        (" alert  ", "dim"), (ending, ALERT), (" not back to normal", "dim"),
    )  # fmt: skip
    return fitted(text, paper.width, paper.utf8)


def _axis(paper: Paper, start: int, end: int) -> Text:
    columns = paper.width - MARGIN
    return Text(
        f"{paper.zone[: MARGIN - 1]:>{MARGIN - 1}} " + axis(start, end, columns, paper.clock, paper.utf8), style="dim"
    )


def _one(board: Board, view: View, paper: Paper, room: int, start: int, end: int) -> list[Text]:
    """Return the chosen series in full height, or no lines if no series is chosen."""
    track = board.tracks.get(view.chosen) if view.chosen is not None else None
    if track is None:
        return []
    incident = board.incidents.of(track.series)
    told: list[Text] = []
    if incident is not None:
        numbers = numbers_of(incident, board.newest(), _short(paper, incident.event.peak), board.time)
        told = _incident(incident, board, paper, numbers)[: room // 3]
    told.append(
        fitted(
            Text(printable(f"{_short(paper, track.newest.time)}: {track.newest.text}", None)), paper.width, paper.utf8
        )
    )
    points = _drawing(board, track, paper, start, end)
    height = room - len(told) - 3 - (1 if _marks(points, paper) else 0)
    if height < PLOT or paper.width < NARROW:
        return [*_lines(board, [track], view, paper, start, end), *told]
    return [*told, _legend(paper), *_panel(board, track, paper, points, height, start, True), _axis(paper, start, end)]


# the end of the screen


def _help(view: View, paper: Paper) -> list[Text]:
    rows = [*KEYS, *(SPEED_KEYS if view.paced else ()), *MORE_KEYS]
    lines = [Text("Keys", style="bold")]
    for keys, meaning, _ in rows:
        lines += hanging(Text.assemble((f"  {keys:<11}", "bold"), meaning), paper, 13)
    lines.append(Text(""))
    for line in (
        "The shaded band is what is normal. A mark below a chart is a bucket that alerted.",
        "Each title shows the current state. Alerting series come first.",
    ):
        lines += hanging(Text(line, style="dim"), paper)
    return lines


def _foot(view: View, paper: Paper, progress: Progress, said: Sequence[str], keyed: bool) -> list[Text]:
    lines = []
    if said:
        lines.append(fitted(Text(printable(said[-1], None), style="yellow"), paper.width, paper.utf8))
    if progress.name or view.speed:
        lines.append(_progress(progress, view, paper))
    if view.typing:
        lines.append(
            fitted(Text(f"/{printable(view.words)}{'█' if paper.utf8 else '_'}", style="bold"), paper.width, paper.utf8)
        )
    elif keyed:
        lines.append(_footer(view, paper))
    return lines


def _footer(view: View, paper: Paper) -> Text:
    hours = view.seconds // 3600
    shown_keys = {"up down": "↑↓" if paper.utf8 else "arrows", "space": "space"}
    words = {
        "range": f"{hours} h",
        "pause": "go on" if view.paused else "pause",
        "look": "back" if view.mode == "one" else "look",
    }
    text = Text(no_wrap=True)
    for keys, _, word in (*KEYS[:2], *(SPEED_KEYS if view.paced else ()), *KEYS[2:]):
        part = Text.assemble((shown_keys.get(keys, keys), "bold"), f" {words.get(word, word)}")
        gap = "  " if text.plain else ""
        if text.cell_len + len(gap) + part.cell_len <= paper.width:
            text.append(gap)
            text.append_text(part)
    return text


def _progress(progress: Progress, view: View, paper: Paper) -> Text:
    parts = [Text(printable(basename(progress.name), 30), style="dim")]
    if progress.size and progress.done < progress.size:
        share = progress.done / progress.size
        length = max(8, min(40, paper.width // 4))
        full = round(share * length)
        bar = ("━" if paper.utf8 else "=") * full
        parts.append(Text.assemble((bar, "cyan"), (("─" if paper.utf8 else "-") * (length - full), "dim")))
        parts.append(Text(f"{int(100 * share):>3} %"))
    parts.append(Text(view.speed))
    parts.append(Text(progress.note, style="dim"))
    return fitted(_joined(parts), paper.width, paper.utf8)


def _cells(cells: Sequence[Cell], color: str) -> list[tuple[str, str]]:
    """Return cells as runs of one style, because printing a style for each character takes ten times as long."""
    runs: list[tuple[str, str]] = []
    for cell in cells:
        shade = cell.glyph in "░:" and cell.band
        style = BAND if shade else (ALERT if cell.mark == 2 else color) + (WITHIN if cell.band else "")
        if runs and (runs[-1][1] == style or cell.glyph == " "):
            runs[-1] = (runs[-1][0] + cell.glyph, runs[-1][1])
        else:
            runs.append((cell.glyph, style))
    return runs
