"""`txmon analyze`: the analyst's half hour with a file of checkouts or of transactions."""

import sys

import click

from ..errors import ExitCode, UsageError
from ..report import Report
from .options import options
from .output import create


@click.command(short_help="Find what is not normal in a day, with statistics, SQL and charts.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@options("map", "date", "tz", "budget", "by")
@click.option("--observed", metavar="COLUMN", help="Checkouts: the column to judge.  [default: today, or the first]")
@click.option("--reference", "references", multiple=True, metavar="COLUMN[:DAYS]", help="Held against (repeatable).")
@click.option(
    "--false-rate", type=click.FloatRange(1e-6, 0.5), help="Share of findings that may be false.  [default: 0.03]"
)
@click.option("--sql", is_flag=True, help="Print only the SQL that shows the findings.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--markdown", is_flag=True, help="As Markdown.")
@click.option("--html", metavar="FILE", help="Also write one self-contained page with interactive charts.")
@click.option("--png", metavar="FILE", help="Also draw the charts there (needs txmon[plot]).")
@click.option("--svg", metavar="FILE", help="The same as SVG.")
def analyze(
    files: tuple[str, ...],
    observed: str | None,
    references: tuple[str, ...],
    false_rate: float | None,
    sql: bool,
    as_json: bool,
    markdown: bool,
    html: str | None,
    png: str | None,
    svg: str | None,
    **flags: object,
) -> ExitCode:
    """Say what is not normal in FILE...: checkouts by the hour (today against other days), or transactions by status.

    \b
    txmon analyze checkout.csv --html checkout.html
    txmon analyze checkout.csv --observed today --reference avg_last_week:7 --reference yesterday
    txmon analyze checkout.csv --sql | txmon query - checkout.csv
    txmon analyze transactions.csv --markdown
    """
    if sql + as_json + markdown > 1:
        raise UsageError("--sql, --json and --markdown exclude each other")
    reports = [_report(path, observed, references, false_rate, flags) for path in files]
    _to_files(reports, html, png, svg)
    if as_json:
        from ..report_markdown import write_json

        write_json(reports, sys.stdout)
    elif sql:
        click.echo("\n".join(report.sql for report in reports), nl=False)
    else:
        for n, report in enumerate(reports):
            if n:
                click.echo()
            _print(report, markdown)
    return ExitCode.OK


def _report(
    path: str, observed: str | None, references: tuple[str, ...], rate: float | None, flags: dict[str, object]
) -> Report:
    from ..analyze import FALSE_RATE, analyze_checkouts
    from ..checkout_report import checkout_report
    from ..checkouts import read_checkouts

    table = read_checkouts(path)
    return checkout_report(analyze_checkouts(table, observed, references, FALSE_RATE if rate is None else rate))


def _to_files(reports: list[Report], html: str | None, png: str | None, svg: str | None) -> None:
    if html:
        from ..report_html import write_html

        with create(html) as file:
            write_html(reports, file)
    for path, kind in ((png, "png"), (svg, "svg")):
        if path:
            from ..report_plot import write_plot

            write_plot(reports, path, kind)


def _print(report: Report, markdown: bool) -> None:
    if markdown:
        from ..report_markdown import write_markdown

        write_markdown(report, sys.stdout)
    else:
        from ..report_text import print_report

        print_report(report, sys.stdout)
