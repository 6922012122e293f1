"""Reports the analysis of a day by the hour in plain words, a table, a picture, SQL and data."""

from collections.abc import Sequence
from dataclasses import asdict
from os.path import basename

from txmon.analysis.checkouts import Analysis, Reference, Run
from txmon.analysis.report.manager import checkout_summary, sure
from txmon.analysis.report.report import Grid, Line, Picture, Report, Statement
from txmon.query.load import literal, quoted


def checkout_report(analysis: Analysis) -> Report:
    """Return the report of one checkout file."""
    statements = [
        *_findings(analysis), *_doubtful(analysis), *_alike(analysis), *_about_references(analysis),
        *_notes(analysis), *_limits(analysis),
    ]  # fmt: skip
    title = f"{basename(analysis.source)}: {analysis.observed}"
    grids, pictures = (_grid(analysis), _references(analysis)), (_picture(analysis),)
    data, summary = _data(analysis), checkout_summary(analysis)
    return Report(title, tuple(statements), grids, pictures, sql_of(analysis), data, summary)


def span_text(hours: Sequence[int]) -> str:
    """Return hours as text: `15h`, `15h and 16h`, or `15h to 17h` for adjacent hours, otherwise a list."""
    names = [f"{hour:02d}h" for hour in hours]
    if len(names) > 2 and hours[-1] - hours[0] == len(hours) - 1:
        return f"{names[0]} to {names[-1]}"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def chance(p: float) -> str:
    """Return a probability as text, for example "1 in 30"."""
    if p > 0.4:
        return "every other time"
    return f"1 in {1 / p:,.0f} times" if p > 1e-9 else "less than once in a billion times"


def lost_against(analysis: Analysis, run: Run) -> tuple[str, float]:
    """Return the reference for counting a loss or gain, and the transactions: the latest mean over a week or more.

    A mean over whole weeks contains every weekday, while a single day is only one sample. Without such a mean, the
    reference is the expectation at the day's own level.
    """
    means = [reference for reference in analysis.references if reference.days >= 7]
    if not means:
        return "the day's own pace", run.seen - run.expected
    name = min(means, key=lambda reference: reference.days).name
    return name, run.against[name]


def _findings(analysis: Analysis) -> list[Statement]:
    if not analysis.findings:
        return [Statement("finding", f"No hour of {analysis.observed} is outside what its references allow.")]
    return [Statement("finding", _finding(analysis, run)) for run in analysis.findings]


def _finding(analysis: Analysis, run: Run) -> str:
    values = {h.hour: h for h in analysis.hours}
    what = "an outage" if run.seen <= 0.1 * run.expected else "too few" if run.direction == "below" else "too many"
    seen = ", ".join(f"{values[hour].seen:g}" for hour in run.hours)
    name, difference = lost_against(analysis, run)
    where = [n for n, reference in enumerate(analysis.references) if reference.name == name]
    of = "".join(f" ({', '.join(f'{values[hour].references[n]:.1f}' for hour in run.hours)})" for n in where)
    others = [f"{abs(gap):.0f} against {other}" for other, gap in run.against.items() if other != name]
    one = "One finding" if len(run.hours) > 1 else "A finding"
    return (
        f"{span_text(run.hours)}: {what}. {run.seen:g} seen ({seen}), {run.expected:.0f} expected at the day's own pace"
        f" (95 % interval {run.low:.0f} to {run.high:.0f}): {run.seen / run.expected:.2g} times normal."
        f" About {abs(difference):.0f} sales {'lost' if difference < 0 else 'more'} against {name}{of};"
        f" {'; '.join([*others, f'{abs(run.seen - run.expected):.0f} at the pace of the rest of the day'])}."
        f" {one}, {sure(run.q)} (q {run.q:.1g})."
    )


def _doubtful(analysis: Analysis) -> list[Statement]:
    found = []
    for hour in sorted(analysis.doubtful, key=lambda hour: hour.p):
        side = "below" if hour.z < 0 else "above"
        beside = [run for run in analysis.findings if hour.hour in (run.hours[0] - 1, run.hours[-1] + 1)]
        edge = f" It lies beside {span_text(beside[0].hours)} and may be its edge." if beside else ""
        found.append(
            Statement(
                "doubt",
                f"{hour.hour:02d}h: {hour.seen:g} seen, {hour.expected:.1f} expected ({hour.low:g} to {hour.high:g}):"
                f" {side} normal, as a normal day has this hour {chance(hour.p)}. Of {len(analysis.hours)} hours"
                f" tested, {0.05 * len(analysis.hours):.1g} such is to be expected: no finding.{edge}",
            )
        )
    return found


def _alike(analysis: Analysis) -> list[Statement]:
    found = []
    for item in analysis.alike:
        like = " and ".join(f"{name} ({value:g})" for name, value in item.like.items())
        side = "above" if item.seen > item.average else "below"
        found.append(
            Statement(
                "alike",
                f"{item.hour:02d}h: {item.seen:g} seen is {side} the averages ({item.average:.1f}) but like {like}; at"
                f" the day's pace a normal hour is as far out {chance(item.p)}. No finding.",
            )
        )
    return found


def _about_references(analysis: Analysis) -> list[Statement]:
    found = []
    base = max(analysis.references, key=lambda reference: reference.days)
    for reference in analysis.references:
        for run in reference.odd:
            side = "low" if run.direction == "below" else "high"
            found.append(
                Statement(
                    "reference",
                    f"{reference.name} is the odd one at {span_text(run.hours)}: {run.seen:g} where its own pace asks"
                    f" {run.expected:.0f} ({run.low:.0f} to {run.high:.0f}), {side} ({sure(run.q)}). These hours"
                    f" of it are left out of what is expected of {analysis.observed}.",
                )
            )
        if reference is not base and not 0.8 <= reference.level <= 1.25:
            found.append(Statement("reference", _level_text(analysis, reference, base)))
    return found


def _level_text(analysis: Analysis, reference: Reference, base: Reference) -> str:
    hours = [h.hour for h in analysis.hours]
    column = [r.name for r in analysis.references].index(reference.name)
    peaks = ", ".join(
        f"{hour:02d}h {analysis.hours[hours.index(hour)].references[column]:g}" for hour in reference.peaks
    )
    busy = "busier" if reference.level > 1 else "quieter"
    return (
        f"{reference.name} is {busy} all day: {reference.level:.2g} times {base.name} (its peaks: {peaks}). Held"
        " against it alone, an ordinary day would look wrong; levels are adjusted for that."
    )


def _notes(analysis: Analysis) -> list[Statement]:
    base = max(analysis.references, key=lambda reference: reference.days)
    seen = sum(hour.seen for hour in analysis.hours)
    totals = [
        f"{sum(hour.references[n] for hour in analysis.hours):.0f} {reference.name}"
        for n, reference in enumerate(analysis.references)
    ]
    found = [Statement("note", f"The whole day: {seen:.0f} sales; {', '.join(totals)}.")]
    pace = f"Outside the findings the day runs at {analysis.pace:.2f} times {base.name}"
    if analysis.pace_is_bounded:
        pace += ", beyond every reference: the whole day is unusual, and its hours are judged by the nearest of them"
    found.append(Statement("note", pace + "."))
    return found


def _limits(analysis: Analysis) -> list[Statement]:
    count = len(analysis.hours)
    texts = [
        f"A day is {count} numbers here. When within an hour something began, why, at which merchant or issuer, and"
        " whether sales were lost or only made later, they do not say."
    ]
    if analysis.blind:
        texts.append(
            f"At {_ranges(analysis.blind)} so few sales are normal that not even a single hour without any would be a"
            " finding."
        )
    if analysis.evidence:
        texts.append(
            f"Ordinary days scatter by about {100 * analysis.dispersion**0.5:.0f} % an hour beyond chance; that is"
            f" estimated from {analysis.evidence} hours of references alone, which partly share their days."
        )
    else:
        texts.append(
            f"The references are too few to say how much ordinary days scatter; {100 * analysis.dispersion**0.5:.0f} %"
            " an hour beyond chance is assumed, from other checkouts."
        )
    means = [f"{reference.name} of {reference.days} days" for reference in analysis.references if reference.days > 1]
    if means:
        texts.append(
            f"Taken as means: {', '.join(means)}. They mix weekdays and weekends, and their hours need not have the"
            " shape of this weekday."
        )
    return [Statement("limit", text) for text in texts]


def _ranges(hours: Sequence[int]) -> str:
    groups: list[list[int]] = []
    for hour in hours:
        if groups and hour == groups[-1][-1] + 1:
            groups[-1].append(hour)
        else:
            groups.append([hour])
    return ", ".join(span_text(group) for group in groups)


def _grid(analysis: Analysis) -> Grid:
    columns = ("hour", analysis.observed, "expected", "normal", "times", "p", "")
    rows, marked = [], set()
    doubted = {hour.hour for hour in analysis.doubtful}
    for n, hour in enumerate(analysis.hours):
        word = ("low" if hour.z < 0 else "high") if hour.finding else "?" if hour.hour in doubted else ""
        if hour.finding:
            marked.add(n)
        rows.append(
            (
                f"{hour.hour:02d}h", f"{hour.seen:g}", f"{hour.expected:.1f}", f"{hour.low:g} to {hour.high:g}",
                f"{hour.seen / hour.expected:.1f}", f"{hour.p:.2g}", word,
            )
        )  # fmt: skip
    right = (False, True, True, True, True, True, False)
    return Grid("Hour by hour", columns, tuple(rows), right, frozenset(marked))


def _references(analysis: Analysis) -> Grid:
    """Return the table of the day next to each reference, with the values of the file."""
    names = [reference.name.replace("_", " ") for reference in analysis.references]
    rows = tuple(
        (f"{hour.hour:02d}h", f"{hour.seen:g}", *(f"{value:g}" for value in hour.references)) for hour in analysis.hours
    )
    marked = frozenset(n for n, hour in enumerate(analysis.hours) if hour.finding)
    columns = ("hour", analysis.observed, *names)
    return Grid("Beside the references", columns, rows, (False, *(True for _ in columns[1:])), marked)


def _picture(analysis: Analysis) -> Picture:
    hours = analysis.hours
    lines = [
        Line(analysis.observed, tuple(hour.seen for hour in hours), "seen"),
        Line("expected", tuple(round(hour.expected, 2) for hour in hours), "expected"),
    ]
    for n, reference in enumerate(analysis.references):
        lines.append(Line(reference.name, tuple(hour.references[n] for hour in hours)))
    index = {hour.hour: n for n, hour in enumerate(hours)}
    return Picture(
        "by the hour, against what is normal", tuple(f"{hour.hour:02d}h" for hour in hours),
        tuple(lines), "sales an hour", tuple(hour.low for hour in hours), tuple(hour.high for hour in hours),
        tuple((index[run.hours[0]], index[run.hours[-1]]) for run in analysis.findings),
    )  # fmt: skip


def sql_of(analysis: Analysis) -> str:
    """Return SQL over `checkouts` that shows the findings: each hour against the means, oddest first."""
    means = [reference for reference in analysis.references if reference.days > 1] or list(analysis.references)
    days = sum(reference.days for reference in means)
    usual = " + ".join(f"{reference.days} * {quoted(reference.name)}" for reference in means)
    names = ", ".join(quoted(reference.name) for reference in analysis.references)
    file = literal(basename(analysis.source))
    where = f"\n    WHERE file = {file}" if analysis.source != "<stdin>" else ""
    return f"""-- {analysis.observed} against its references at its own pace, oddest first; finding: 3 sigmas or more
WITH usual AS (
    SELECT hour, {quoted(analysis.observed)} AS seen, {names},
           ({usual}) / {days} AS usual
    FROM checkouts{where}
), paced AS (
    SELECT *, usual * median(seen / usual) FILTER (WHERE usual >= 5) OVER () AS expected
    FROM usual
), judged AS (
    SELECT *, (seen - expected) / sqrt(expected * (1 + {analysis.dispersion:.3f} * expected)) AS sigmas
    FROM paced
)
SELECT hour, seen, round(expected, 1) AS expected, round(sigmas, 1) AS sigmas,
       CASE WHEN sigmas <= -3 THEN 'low' WHEN sigmas >= 3 THEN 'high' ELSE '' END AS finding, {names}
FROM judged
ORDER BY abs(judged.sigmas) DESC NULLS LAST, hour;
"""


def _data(analysis: Analysis) -> dict[str, object]:
    """Return the analysis as data, with the transactions lost or gained for each finding."""
    data = asdict(analysis)
    for run, row in zip(analysis.findings, data["findings"], strict=True):
        name, difference = lost_against(analysis, run)
        row |= {"difference": round(difference, 1), "difference_against": name, "confidence": sure(run.q)}
    return {"kind": "checkouts", **data}
