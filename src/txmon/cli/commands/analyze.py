"""`txmon analyze`: a report on a file of checkouts or of transactions."""

import os
import sys
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from txmon.analysis.report.report import Report
from txmon.cli.completing import a_file
from txmon.cli.help_page import Command, option
from txmon.cli.incident_page import write_page
from txmon.cli.messages import tell
from txmon.cli.options import UNDERSTANDING, load_config, options
from txmon.cli.own_inputs import spare_inputs
from txmon.cli.progress_bar import progress, reading
from txmon.cli.understanding import understood
from txmon.errors import BadData, ExitCode, UsageError
from txmon.ingest.checkouts import HOUR_NAMES
from txmon.settings.declarations import Settings
from txmon.settings.load import Config
from txmon.support.safe_open import create
from txmon.support.terminal_text import for_people


@click.command(
    cls=Command,
    short_help="Explain a day: findings, SQL, charts.",
    common=("observed", "references", "html", "pdf", "plot", "sql", "as_json", "markdown", "map", "tz", "group_by"),
)
@click.argument("files", nargs=-1, metavar="FILE...", shell_complete=a_file)
@options(*UNDERSTANDING, "role", "budget", "log")
@option("--incident", metavar="ID", help="Explain this incident from the folder of --log instead (`last`: the newest).")
@option("--observed", metavar="COLUMN", help="Checkouts: the column to judge.  [default: today, or the first]")
@option(
    "--reference", "references", multiple=True, metavar="COLUMN[:DAYS]", help="Column to compare with (repeatable)."
)
@option("--false-rate", type=click.FloatRange(1e-6, 0.5), help="Share of findings that may be false.  [default: 0.03]")
@option("--sql", is_flag=True, help="Print only the SQL that shows the findings.")
@option("--json", "as_json", is_flag=True, help="Print JSON.")
@option("--markdown", is_flag=True, help="Print Markdown.")
@option("--html", metavar="FILE", help="Also write one self-contained page with interactive charts.")
@option("--pdf", metavar="FILE", help="Also print that page as PDF (needs Chromium or Chrome).")
@option("--plot", metavar="FILE", help="Also draw the charts: .png or .svg (txmon[plot]).")
@option("--png", metavar="FILE", help="Also draw the charts as PNG (txmon[plot]).")
@option("--svg", metavar="FILE", help="Also draw the charts as SVG.")
def analyze(
    files: tuple[str, ...],
    incident: str | None,
    observed: str | None,
    references: tuple[str, ...],
    false_rate: float | None,
    sql: bool,
    as_json: bool,
    markdown: bool,
    html: str | None,
    pdf: str | None,
    plot: str | None,
    png: str | None,
    svg: str | None,
    **flags: object,
) -> ExitCode:
    """Report what is not normal in FILE...: checkouts by the hour (today and other days), or transactions by status.

    The report begins with five lines for a manager: what happened and when, how sure that is, what it cost compared
    with yesterday, last week and last month, the likely cause, and the next step.

    \b
    Examples:
      txmon analyze checkouts.csv --html checkouts.html
      txmon analyze checkouts.csv --observed today --reference avg_last_week:7 --reference yesterday
      txmon analyze checkouts.csv --sql | txmon query - checkouts.csv
      txmon analyze transactions.csv --markdown
    """
    if sql + as_json + markdown > 1:
        raise UsageError("--sql, --json and --markdown exclude each other. Give one of them.")
    png, svg = _plots(plot, png, svg)
    config = load_config(flags)
    if incident is not None:
        refused = (files, observed, references, false_rate, html, pdf, png, svg)
        return _incident(incident, refused, config.settings, "json" if as_json else "sql" if sql else "markdown")
    spare_inputs(files, {"--html": html, "--pdf": pdf, "--png": png, "--svg": svg}, config.settings)
    reports, unread = _reports(files, observed, references, false_rate, config)
    _to_files(reports, html, pdf, png, svg)
    if "-" in (html, pdf, png, svg):
        pass  # standard output receives the page or the picture
    elif as_json:
        from txmon.analysis.report.markdown import write_json

        write_json(reports, for_people(sys.stdout, json=True))
    elif sql:
        for_people(sys.stdout).write("\n".join(report.sql for report in reports))
    else:
        for n, report in enumerate(reports):
            if n:
                click.echo()
            _print(report, markdown)
    if unread is not None:
        raise unread
    return ExitCode.OK


def _incident(incident: str, refused: Sequence[object], settings: Settings, form: str) -> ExitCode:
    """Write the page about an incident. refused: what was given for the other reports."""
    if any(refused):
        raise UsageError("--incident reads the folder of --log. Give it only --log, --tz, --json, --sql or --markdown.")
    write_page(incident, settings, form)
    return ExitCode.OK


def _reports(
    paths: Sequence[str], observed: str | None, references: tuple[str, ...], rate: float | None, config: Config
) -> tuple[list[Report], BadData | None]:
    """Return one report per file of checkouts, and one for all files of transactions, because they are one stream.

    The second value is an error to raise after printing, if less than half of the transactions could be read.
    """
    from txmon.analysis.checkouts import FALSE_RATE, analyze_checkouts
    from txmon.analysis.report.checkouts import checkout_report
    from txmon.ingest.checkouts import read_checkouts

    if not paths:
        raise UsageError("Missing argument 'FILE...'. Name a file, or an incident with --incident ID --log DIR.")
    if "-" in paths:
        raise UsageError(
            "`txmon analyze` cannot read standard input, because it reads a file twice. Write the data to a file first."
        )
    streams = [path for path in paths if _is_stream(path, config.settings)]
    if streams and (observed or references or rate is not None):
        raise UsageError(
            "--observed, --reference and --false-rate are for files of checkouts. Leave them out for transactions."
        )
    if len(streams) < len(paths) and config.origin["group_by"] == "--group-by":
        raise UsageError("--group-by is for transactions. A file of checkouts has no such columns. Leave it out.")
    reports, unread = list[Report](), None
    if streams:
        report, unread = _transactions(streams, config)
        reports.append(report)
    for path in paths:
        if path not in streams:
            found = analyze_checkouts(read_checkouts(path), observed, references, FALSE_RATE if rate is None else rate)
            reports.append(checkout_report(found))
    return reports, unread


def _is_stream(path: str, settings: Settings) -> bool:
    """Return whether `path` contains transactions rather than checkouts by the hour. Raise NoInput or BadData."""
    from txmon.ingest.formats.opened import OpenedSource
    from txmon.query.files import look
    from txmon.runtime.reader import hints_of

    try:
        found = look(path, {})
    except BadData:
        found = None
    if found is not None and found.table == "checkouts":
        return False
    try:
        with OpenedSource(path, hints_of(settings)):
            return True
    except BadData as bad:
        columns = {name.lower() for name in found.columns} if found is not None else set()
        if columns & set(HOUR_NAMES) and len(columns) > 1 and "no column for 'status'" in str(bad):
            return False  # a table of hours whose columns have unknown names
        raise


def _transactions(paths: Sequence[str], config: Config) -> tuple[Report, BadData | None]:
    from txmon.analysis.report.transactions import transaction_report
    from txmon.analysis.transactions import analyze_transactions
    from txmon.ingest.rejects import RejectLog
    from txmon.runtime.factory import pipeline_of
    from txmon.runtime.reader import reader_of

    log = RejectLog()
    reader = reader_of(config.settings, log, datetime.now(ZoneInfo(config.settings.tz)).date())
    settings = understood(config, reader, paths)
    try:
        tallies = reader.tallies(paths, settings.bucket)
        with progress(reading(reader)):
            found = analyze_transactions(tallies, pipeline_of(settings, live=False), settings.bucket, paths)
    except BadData:
        reader.check(paths)  # its error message is more precise
        raise
    finally:
        for line in [*log.summary(), *reader.summary()]:
            tell([line])
    try:
        reader.check(paths)
    except BadData as unread:
        return transaction_report(found), unread
    return transaction_report(found), None


def _plots(plot: str | None, png: str | None, svg: str | None) -> tuple[str | None, str | None]:
    """Return the files for --png and --svg. --plot is one of them, by its extension."""
    if plot is None:
        return png, svg
    kind = os.path.splitext(plot)[1].lower()
    if kind not in (".png", ".svg"):
        raise UsageError(f"--plot {plot!r} is neither a .png nor an .svg file. Name it so.")
    if (png if kind == ".png" else svg) is not None:
        raise UsageError(f"--plot {plot!r} and --{kind[1:]} are the same kind of picture. Leave one out.")
    return (plot, svg) if kind == ".png" else (png, plot)


def _to_files(reports: list[Report], html: str | None, pdf: str | None, png: str | None, svg: str | None) -> None:
    if pdf:
        from txmon.analysis.report.pdf import write_pdf

        write_pdf(reports, pdf)
    if html:
        from txmon.analysis.report.html import write_html

        with create(html) as file:
            write_html(reports, file)
    for path, kind in ((png, "png"), (svg, "svg")):
        if path:
            from txmon.analysis.report.plot import write_plot

            write_plot(reports, path, kind)


def _print(report: Report, markdown: bool) -> None:
    if markdown:
        from txmon.analysis.report.markdown import write_markdown

        write_markdown(report, for_people(sys.stdout))
    else:
        from txmon.analysis.report.text import print_report

        print_report(report, sys.stdout)
