"""`txmon evaluate`: scores verdicts against labels."""

import json
from os.path import basename
from statistics import median

import click

from txmon.cli.completing import a_file
from txmon.cli.help_page import Command, option
from txmon.cli.messages import tell
from txmon.cli.progress_bar import Where, progress
from txmon.errors import UsageError
from txmon.evaluation.evaluate import Labels, Score, read_alerts, read_labels, score, stamp, total
from txmon.ingest.files import FileSource
from txmon.support.terminal_text import printable
from txmon.terminal.tables import aligned, decimal

SHOWN = 10  # missed incidents, and false episodes, that the text lists


@click.command(cls=Command, short_help="Score verdicts against labels.")
@click.argument("verdicts", nargs=-1, required=True, metavar="VERDICTS...", shell_complete=a_file)
@option(
    "--labels",
    "labels",
    multiple=True,
    required=True,
    metavar="FILE",
    help="Labels of what happened, one file for each verdict file.",
)
@option("--json", "machine", is_flag=True, help="Print a JSON object.")
def evaluate(verdicts: tuple[str, ...], labels: tuple[str, ...], machine: bool) -> None:
    """Score the verdict lines of VERDICTS... (- is standard input) against --labels, one for each, in order.

    \b
    caught   an alert on one of an incident's statuses between its start and its end
    delay    minutes from an incident's start to its first such alert
    false    an alert that is not within an incident of its status, or in the 10 minutes after it.
             False alerts of one status at most 5 minutes apart count once. The warm-up has none.
    pages    incidents that txmon opened after the warm-up
    key      if a label names a key ({"merchant": "m1"}), alerts count by key

    \b
    Examples:
      txmon simulate --incident denied:x3@14:00/20m --labels truth.json --out day.csv
      txmon replay day.csv | txmon evaluate - --labels truth.json
    """
    if len(verdicts) != len(labels):
        raise UsageError(f"{len(verdicts)} files of verdicts need as many --labels, not {len(labels)}")
    if [*verdicts, *labels].count("-") > 1:
        raise UsageError("standard input (-) can be read only once. Name a file instead.")
    scores = []
    for path, truth in zip(verdicts, labels, strict=True):
        # first, because the labels are small, and their errors should not wait for the verdicts
        known = load_labels(truth)
        with FileSource(path) as source, progress(lambda: Where(basename(source.name), source.consumed, source.size)):
            alerts = read_alerts((line for lines in source for line in lines), source.name)
        tell([alerts.lines.statement(source.name, alerts)])
        scores.append(score(alerts, known))
    result = total(scores)
    click.echo(json.dumps(result.as_json()) if machine else "\n".join(as_text(result)))


def load_labels(path: str) -> Labels:
    """Return the labels in the file `path`. Raise NoInput or BadData with the reason."""
    with FileSource(path) as source:
        return read_labels(b"\n".join(line for lines in source for line in lines), source.name)


def as_text(result: Score) -> list[str]:
    """Return the score for people: a table by kind of incident, the totals, and a list of the mistakes."""
    rows = [("kind", "incidents", "caught", "median delay (min)")]
    for kind, delays in result.kinds.items():
        hit = [delay for delay in delays if delay is not None]
        rows.append((printable(kind), str(len(delays)), str(len(hit)), decimal(median(hit) if hit else None)))
    rows.append(("all", str(len(result.catches)), str(result.caught), decimal(result.delay_median)))
    by_status = ", ".join(f"{printable(s)} {n}" for s, n in sorted(_false_by_status(result).items()))
    figures = [
        f"delay: median {decimal(result.delay_median)} min, 90th percentile {decimal(result.delay_p90)} min",
        f"false episodes: {len(result.false)} in {result.days:.2f} days, {decimal(result.false_per_day, 3)} a day"
        + (f" ({by_status})" if by_status else ""),
        "pages: the verdicts contain no incident lines"
        if result.pages is None
        else f"pages: {result.pages}, of which {result.false_pages} on no labelled incident",
    ]
    return [*aligned(rows), "", *figures, *_named(result)]


def _false_by_status(result: Score) -> dict[str, int]:
    found: dict[str, int] = {}
    for episode in result.false:
        found[episode.status] = found.get(episode.status, 0) + 1
    return found


def _named(result: Score) -> list[str]:
    missed = [f"missed: {printable(c.label.kind)} from {stamp(c.label.start)} to {stamp(c.label.end)}"
              for c in result.catches if c.delay is None]  # fmt: skip
    false = [f"false: {printable(e.status)} from {stamp(e.start)} to {stamp(e.end)}"
             for e in sorted(result.false, key=lambda e: e.start)]  # fmt: skip
    return _capped(missed, "missed") + _capped(false, "false")


def _capped(lines: list[str], word: str) -> list[str]:
    more = len(lines) - SHOWN
    return lines[:SHOWN] + ([f"{word}: {more} more (--json names all)"] if more > 0 else [])
