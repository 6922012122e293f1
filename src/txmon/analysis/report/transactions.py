"""Reports the analysis of transactions in plain words, tables, pictures, SQL and data."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from os.path import basename
from typing import Final

from txmon.analysis.report.manager import main_numbers, number_text, transaction_summary
from txmon.analysis.report.report import Grid, Line, Picture, Report, Statement
from txmon.analysis.transactions import HOUR, Episode, IncidentSummary, TransactionAnalysis
from txmon.model.clock import iso
from txmon.model.statuses import DENIED, FAILED, REVERSED, SUCCESS, role_of
from txmon.query.load import literal
from txmon.support.durations import DAY, duration_text

TOLD: Final = 8  # episodes described in sentences; the table has all
MOST_PLACES: Final = 300  # points of a picture
WIDTHS: Final = (60, 300, 600, 900, 1800, 3600, 4 * 3600, 86400)  # seconds per point
# in this order, followed by other statuses with their roles
PROBLEMS: Final = ("failed", "reversed", "backend_reversed", "denied")
MOST_HOURS: Final = 72  # hours in the table; a longer file gets a row per day
CORRELATED: Final = 0.2
MOST_PICTURES: Final = 8
GAP: Final = 3  # spaces between two columns of a table in a terminal


def transaction_report(analysis: TransactionAnalysis) -> Report:
    """Return the report of one stream of transactions."""
    title = f"{', '.join(map(basename, analysis.sources))}: {analysis.total:,} transactions"
    statements = (*_findings(analysis), *_notes(analysis), *_limits(analysis))
    grids = (
        _incidents(analysis), _changes(analysis), _by_hour(analysis), _shares(analysis), _moments(analysis),
        _together(analysis),
    )  # fmt: skip
    kept = tuple(grid for grid in grids if grid.rows)
    times = {time: clock(analysis, time) for e in analysis.episodes for time in (e.start, e.end) if time is not None}
    summary = transaction_summary(analysis, times)
    return Report(title, statements, kept, _pictures(analysis), _sql(analysis), _data(analysis), summary)


def clock(analysis: TransactionAnalysis, time: int) -> str:
    """Return a time of day, with its date if the file has several."""
    text = iso(time)
    return text[11:16] if analysis.first // 86400 == analysis.last // 86400 else f"{text[5:10]} {text[11:16]}"


def _findings(analysis: TransactionAnalysis) -> list[Statement]:
    if not analysis.episodes:
        return [Statement("finding", "No incident: nothing is above or below what the file itself teaches.")]
    found = [Statement("finding", _episode_text(analysis, episode)) for episode in analysis.episodes[:TOLD]]
    rest = analysis.episodes[TOLD:]
    if rest:
        moved = sum(episode.above + episode.below for episode in rest)
        found.append(Statement("finding", f"{len(rest)} smaller ones, {moved:,.0f} transactions in all."))
    return found


def _episode_text(analysis: TransactionAnalysis, episode: Episode) -> str:
    end = clock(analysis, episode.end) if episode.end is not None else "the file's end"
    labels = Counter(_named(incident) for incident in episode.incidents)
    what = ", ".join(f"{label} ({count} times)" if count > 1 else label for label, count in labels.most_common())
    worst = max(episode.incidents, key=lambda incident: abs(incident.observed - incident.expected))
    parts = [f"{episode.above:,.0f} above"] if episode.above >= 1 else []
    parts += [f"{episode.below:,.0f} below"] if episode.below >= 1 else []
    numbers = "; ".join(number_text(one) for one in main_numbers(analysis, episode))
    text = (
        f"{clock(analysis, episode.start)} to {end}: {what}. {numbers}. In the minutes that alerted:"
        f" {' and '.join(parts) or 'few'} normal; at the peak, {clock(analysis, worst.peak)}, {worst.observed:,} seen"
        f" where {worst.expected:,.1f} were expected."
    )
    moved = [c for c in episode.changes if abs(c.during - c.before) >= 0.01][:2]
    if moved:
        shares = ", ".join(f"{c.status} from {c.before:.1%} to {c.during:.1%}" for c in moved)
        text += f" Share of the volume, against the hour before: {shares}."
    return text


def _named(incident: IncidentSummary) -> str:
    where = ", ".join(f"{name} {value}" for name, value in incident.key.items())
    return f"{incident.label} at {where}" if where else incident.label


def _notes(analysis: TransactionAnalysis) -> list[Statement]:
    parts = ", ".join(f"{item.status} {item.share:.2%}" for item in analysis.statuses[:8])
    found = [Statement("note", f"{analysis.total:,} transactions: {parts}.")]
    hours = _sums(analysis)
    busiest = max(hours, key=lambda hour: sum(hours[hour].values()))
    found.append(
        Statement("note", f"Busiest hour: {clock(analysis, busiest)}, {sum(hours[busiest].values()):,} transactions.")
    )
    if analysis.silent:
        found.append(Statement("note", f"{analysis.silent} buckets of {_width(analysis)} without any transaction."))
    pairs = [f"{a} and {b} ({value:+.2f})" for a, b, value in analysis.correlations[:3] if abs(value) >= CORRELATED]
    if pairs:
        found.append(Statement("note", f"Rise and fall together beyond the hour's level: {'; '.join(pairs)}."))
    return found


def _limits(analysis: TransactionAnalysis) -> list[Statement]:
    texts = ["The detector learns from this file alone: what is wrong from its first minute on, it takes for normal."]
    if analysis.last - analysis.first < 2 * 86400:
        texts.append("It holds less than two days, so a time of day that is always like this cannot be told from news.")
    texts.append("Statuses that move together need not have one cause, and a count does not say whose money it was.")
    return [Statement("limit", text) for text in texts]


def _width(analysis: TransactionAnalysis) -> str:
    return duration_text(analysis.bucket)


def _incidents(analysis: TransactionAnalysis) -> Grid:
    rows = []
    for incident in analysis.incidents:
        end = clock(analysis, incident.end) if incident.end is not None else ""
        rows.append(
            (clock(analysis, incident.start), end, _named(incident), f"{incident.observed:,}",
             f"{incident.expected:,.1f}", f"{incident.excess:+,.0f}")
        )  # fmt: skip
    columns = ("from", "to", "what", "peak", "expected", "excess")
    return Grid("Incidents", columns, tuple(rows), (False, False, False, True, True, True))


def _changes(analysis: TransactionAnalysis) -> Grid:
    """Return the table of the shares that each incident changed most."""
    rows = [
        (
            clock(analysis, incident.start),
            _named(incident),
            c.status,
            f"{c.before:.1%}",
            f"{c.during:.1%}",
            f"{c.count:,}",
        )
        for incident in analysis.incidents
        for c in incident.changes[:2]
    ]
    columns = ("from", "what", "status", "share before", "during", "count")
    return Grid("Shares of the volume", columns, tuple(rows), (False, False, False, True, True, True))


def _sums(analysis: TransactionAnalysis, width: int = HOUR) -> dict[int, dict[str, int]]:
    """Return the transactions of each status in steps of `width` seconds, in order of time."""
    hours: dict[int, dict[str, int]] = {}
    for time, statuses in analysis.counts.items():
        sums = hours.setdefault(time - time % width, {})
        for status, count in statuses.items():
            sums[status] = sums.get(status, 0) + count
    return dict(sorted(hours.items()))


def _by_hour(analysis: TransactionAnalysis) -> Grid:
    names = _columns(analysis)
    rest = len(analysis.statuses) > len(names)
    many = analysis.last - analysis.first > MOST_HOURS * HOUR
    rows = tuple(
        (iso(start)[:10] if many else clock(analysis, start), f"{sum(sums.values()):,}",
         *(f"{sums.get(name, 0):,}" for name in names),
         *([f"{sum(sums.values()) - sum(sums.get(name, 0) for name in names):,}"] if rest else []))
        for start, sums in _sums(analysis, DAY if many else HOUR).items()
    )  # fmt: skip
    step = "day" if many else "hour"
    columns = (step, "total", *names, *(["others"] if rest else []))
    return Grid(f"By {step} and status", columns, rows, (False, *(True for _ in columns[1:])))


def _columns(analysis: TransactionAnalysis) -> list[str]:
    """Return the largest statuses that fit into a table of 80 columns."""
    room = 80 - 2 * (GAP + 10) - (GAP + 6)  # hour or day, total, others
    names: list[str] = []
    for item in analysis.statuses:
        room -= GAP + max(len(item.status), len(f"{item.count:,}"))
        if room < 0:
            break
        names.append(item.status)
    return names


def _shares(analysis: TransactionAnalysis) -> Grid:
    rows = tuple(
        (item.status, f"{item.count:,}", f"{item.share:.2%}", f"{item.most:,}", clock(analysis, item.busiest))
        for item in analysis.statuses
    )
    return Grid("Statuses", ("status", "count", "share", "most", "at"), rows, (False, True, True, True, False))


def _moments(analysis: TransactionAnalysis) -> Grid:
    rows = tuple(
        (
            clock(analysis, v.time),
            v.status,
            f"{v.count}",
            f"{v.expected:.1f}",
            f"{v.low} to {v.high}",
            f"{v.score:+.1f}",
        )
        for v in analysis.moments
    )
    columns = ("time", "status", "seen", "expected", "normal", "score")
    return Grid("Top moments", columns, rows, (False, False, True, True, True, True))


def _together(analysis: TransactionAnalysis) -> Grid:
    rows = tuple((a, b, f"{value:+.2f}") for a, b, value in analysis.correlations[:10])
    title = "Correlation of statuses (ranks, a running median taken out)"
    return Grid(title, ("status", "and", "correlation"), rows, (False, False, True))


def _pictures(analysis: TransactionAnalysis) -> tuple[Picture, ...]:
    span = analysis.last - analysis.first + analysis.bucket
    width = next((w for w in WIDTHS if w >= analysis.bucket and span / w <= MOST_PLACES), WIDTHS[-1])
    start = analysis.first - analysis.first % width
    places = range(start, analysis.last + 1, width)
    sums: dict[str, list[float]] = {item.status: [0.0] * len(places) for item in analysis.statuses}
    for time, statuses in analysis.counts.items():
        for status, count in statuses.items():
            sums[status][(time - start) // width] += count
    names = tuple(clock(analysis, place) for place in places)
    sums = {"*": list(map(sum, zip(*sums.values(), strict=True))), **sums}
    spans = tuple(
        ((i.start - start) // width, ((i.end if i.end is not None else analysis.last) - start) // width)
        for i in analysis.episodes
    )
    unit = f"transactions in {duration_text(width)}"
    known: list[str] = [status for status in PROBLEMS if status in sums]
    troubles = (FAILED, REVERSED, DENIED)
    known += [s for s in sums if s not in PROBLEMS and role_of(s, analysis.roles) in troubles]
    alerted = {one.status for episode in analysis.episodes for one in episode.numbers}
    # problem statuses first, then the volume
    shown = [*sorted(known, key=lambda status: status not in alerted), "*"]
    shown += [s for s in sums if s not in shown and role_of(s, analysis.roles) == SUCCESS]
    return tuple(
        _picture(analysis, status, sums[status], places, width, names, unit, spans) for status in shown[:MOST_PICTURES]
    )


def _picture(
    analysis: TransactionAnalysis,
    status: str,
    values: Sequence[float],
    places: range,
    width: int,
    names: tuple[str, ...],
    unit: str,
    spans: tuple[tuple[int, int], ...],
) -> Picture:
    """Return the picture of one status over time, with its expected count and the band of normal counts."""
    normal = analysis.normal.get(status)
    known = [None if normal is None else normal.over(place, place + width) for place in places]
    lines = [Line("seen", tuple(values), "seen")]
    expected = tuple(None if one is None else round(one[0], 2) for one in known)
    if any(one is not None for one in known):
        lines.append(Line("expected", expected, "expected"))
        low = tuple(0.0 if one is None else round(one[1], 2) for one in known)
        high = tuple(0.0 if one is None else round(one[2], 2) for one in known)
    else:
        low = high = ()
    return Picture("all statuses" if status == "*" else status, names, tuple(lines), unit, low, high, spans)


def _sql(analysis: TransactionAnalysis) -> str:
    """Return SQL for the minutes of the worst episode and the half hour before it."""
    if not analysis.episodes:
        return "-- No incident was found: transactions by hour\nSELECT * FROM per_hour ORDER BY hour;\n"
    worst = analysis.episodes[0]
    until = worst.end if worst.end is not None else analysis.last
    first, last = (literal(iso(time)[:19].replace("T", " ")) for time in (worst.start - 1800, until))
    return f"""-- The minutes of the worst incidents, and the half hour before (--date as in the analysis)
SELECT minute, total, approved, denied, failed, reversed, backend_reversed, denied_share, failed_share, reversed_share
FROM per_minute
WHERE minute BETWEEN TIMESTAMP {first} AND TIMESTAMP {last}
ORDER BY minute;
"""


def _data(analysis: TransactionAnalysis) -> dict[str, object]:
    incidents = [
        {**asdict(i), "start": iso(i.start), "end": None if i.end is None else iso(i.end), "peak": iso(i.peak)}
        for i in analysis.incidents
    ]
    episodes = [
        {"start": iso(e.start), "end": None if e.end is None else iso(e.end), "above": round(e.above, 1),
         "below": round(e.below, 1), "incidents": [i.id for i in e.incidents],
         "changes": [asdict(change) for change in e.changes], "numbers": [asdict(one) for one in e.numbers],
         "approved": asdict(e.approved), "problems": e.problems, "compared": [asdict(one) for one in e.compared]}
        for e in analysis.episodes
    ]  # fmt: skip
    statuses = [{**asdict(item), "busiest": iso(item.busiest)} for item in analysis.statuses]
    moments = [
        {"time": iso(v.time), "status": v.status, "count": v.count, "expected": v.expected, "score": v.score}
        for v in analysis.moments
    ]
    hours = [{"hour": iso(hour), **sums} for hour, sums in _sums(analysis).items()]
    correlation = [{"a": a, "b": b, "value": value} for a, b, value in analysis.correlations]
    return {
        "kind": "transactions", "sources": list(analysis.sources), "first": iso(analysis.first),
        "last": iso(analysis.last), "total": analysis.total, "silent_buckets": analysis.silent,
        "episodes": episodes, "statuses": statuses,
        "hours": hours, "incidents": incidents, "moments": moments, "correlations": correlation,
    }  # fmt: skip
