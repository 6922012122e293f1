"""Writes a report as Markdown and as JSON."""

import json
import re
from typing import TextIO

from txmon.analysis.report.report import HEADINGS, Grid, Report
from txmon.support.terminal_text import printable


def write_markdown(report: Report, stream: TextIO) -> None:
    """Write the report as Markdown: headings, lists, tables, the SQL."""
    parts = [f"# {escaped(report.title)}"]
    if report.summary:
        parts.append("## Summary\n\n" + "\n".join(f"- **{name}**: {escaped(text)}" for name, text in report.summary))
    for kind, heading in HEADINGS.items():
        texts = report.of(kind)
        if texts:
            parts.append(f"## {heading}\n\n" + "\n".join(f"- {escaped(text)}" for text in texts))
    parts += [_table(grid) for grid in report.grids]
    parts.append(f"## SQL\n\n```sql\n{report.sql.rstrip()}\n```")
    stream.write("\n\n".join(parts) + "\n")


def escaped(text: str) -> str:
    """Return `text` with the special characters of Markdown and HTML escaped."""
    return re.sub(r"([\\`*_\[\]|<>])", r"\\\1", printable(text, None))


def _table(grid: Grid) -> str:
    head = "| " + " | ".join(map(escaped, grid.columns)) + " |"
    rule = "| " + " | ".join("---:" if right else "---" for right in grid.right) + " |"
    rows = []
    for n, row in enumerate(grid.rows):
        cells = [f"**{escaped(cell)}**" if n in grid.marked and cell else escaped(cell) for cell in row]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join([f"## {escaped(grid.title)}\n", head, rule, *rows])


def write_json(reports: list[Report], stream: TextIO) -> None:
    """Write one JSON document: a list with one report per file."""
    rows = [
        {
            **report.data,
            "summary": dict(report.summary),
            "conclusions": [{"kind": s.kind, "text": s.text} for s in report.statements],
            "sql": report.sql,
        }
        for report in reports
    ]
    json.dump(rows, stream, ensure_ascii=False, indent=1)
    stream.write("\n")
