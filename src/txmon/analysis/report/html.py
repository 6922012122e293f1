"""Writes a report as one self-contained HTML file: style, script and data are inside, and it may fetch nothing."""

import base64
import hashlib
import json
from dataclasses import asdict
from html import escape
from importlib.resources import files
from typing import TextIO

from txmon.analysis.report.report import HEADINGS, Grid, Picture, Report
from txmon.support.terminal_text import printable


def write_html(reports: list[Report], stream: TextIO) -> None:
    """Write all reports on one page. Its content policy allows the script by its hash, so no other script can run."""
    folder = files(__package__) / "page"
    script, style = (folder / "chart.js").read_text("utf-8"), (folder / "style.css").read_text("utf-8")
    pictures = [picture for report in reports for picture in report.pictures]
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'"
    title = ", ".join(report.title for report in reports)
    body, number = "", 0
    for report in reports:
        body += _section(report, number)
        number += len(report.pictures)
    stream.write(
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{_text(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy, quote=False)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<style>{style}</style>\n</head>\n<body>\n{body}'
        f'<script type="application/json" id="pictures">{_json(pictures)}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _text(text: str) -> str:
    return escape(printable(text, None))


def _json(pictures: list[Picture]) -> str:
    """Return JSON that cannot close its script element."""
    clean = [
        {
            **asdict(picture),
            "title": printable(picture.title, None),
            "places": [printable(place, None) for place in picture.places],
            "lines": [{**asdict(line), "name": printable(line.name, None)} for line in picture.lines],
        }
        for picture in pictures
    ]
    return json.dumps(clean).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _section(report: Report, number: int) -> str:
    parts = [f"<h1>{_text(report.title)}</h1>\n"]
    if report.summary:
        rows = "".join(f"<dt>{_text(name)}</dt><dd>{_text(text)}</dd>\n" for name, text in report.summary)
        parts.append(f'<dl class="summary">\n{rows}</dl>\n')
    for kind, heading in HEADINGS.items():
        texts = report.of(kind)
        if texts:
            items = "".join(f"<li>{_text(text)}</li>" for text in texts)
            parts.append(f'<h2>{heading}</h2>\n<ul class="{kind}">{items}</ul>\n')
        if kind == "finding":
            parts += [_figure(picture, number + n) for n, picture in enumerate(report.pictures)]
    parts += [_table(grid) for grid in report.grids]
    parts.append(f"<h2>SQL</h2>\n<pre>{_text_lines(report.sql)}</pre>\n")
    return "".join(parts)


def _figure(picture: Picture, number: int) -> str:
    caption = f"{_text(picture.title)} ({_text(picture.unit)})"
    return f'<figure data-picture="{number}"><figcaption>{caption}</figcaption></figure>\n'


def _text_lines(text: str) -> str:
    return "\n".join(map(_text, text.rstrip().split("\n")))


def _table(grid: Grid) -> str:
    def cells(texts: tuple[str, ...], tag: str) -> str:
        aligned = zip(texts, grid.right, strict=True)
        return "".join(f"<{tag}{' class=right' if right else ''}>{_text(text)}</{tag}>" for text, right in aligned)

    rows = "".join(
        f"<tr{' class=marked' if n in grid.marked else ''}>{cells(row, 'td')}</tr>\n" for n, row in enumerate(grid.rows)
    )
    head = f"<tr>{cells(grid.columns, 'th')}</tr>"
    return f'<h2>{_text(grid.title)}</h2>\n<div class="scroll"><table>\n{head}\n{rows}</table></div>\n'
