"""Finds the order of day and month in numeric dates if the first rows of a source do not decide it."""

import json
from collections.abc import Iterable
from dataclasses import replace

from txmon.errors import BadData
from txmon.ingest import calendar_texts
from txmon.ingest.reading import Reading
from txmon.ingest.records import with_paths
from txmon.ingest.sample import cells_of


def decide_order(reading: Reading, orders: Iterable[str]) -> Reading:
    """Return `reading` with the order of day and month that `orders` prove.

    Raise BadData if they prove none, or both.
    """
    found = {order for order in orders if order in (calendar_texts.DAY_FIRST, calendar_texts.MONTH_FIRST)}
    column = reading.columns.get("date", reading.columns["time"])
    if len(found) == 2:
        raise BadData(
            f"{reading.source}: the dates in {column!r} are day-first in some rows and month-first in others;"
            " use --day-first or --month-first"
        )
    if not found:
        raise BadData(
            f"{reading.source}: no row decides whether the dates in {column!r} are day-first or month-first:"
            f" {_both(reading)}"
        )
    order = found.pop()
    return replace(reading, order=order, time_kind=order_text(order))


def row_orders(reading: Reading, lines: Iterable[bytes]) -> Iterable[str]:
    """Yield what each row's date proves about the order of day and month, for `decide_order`."""
    column = reading.columns.get("date", reading.columns["time"])
    at = -1
    for number, raw in enumerate(lines, 1):
        text = raw.decode("utf-8", "replace").strip()
        if reading.container.format == "jsonl":
            try:
                row = json.loads(text)
            except (ValueError, RecursionError):
                continue
            value = with_paths(row, [column]).get(column) if isinstance(row, dict) else None
            if isinstance(value, str):
                yield calendar_texts.order_of(value)
            continue
        if number <= reading.skip or not text:
            continue
        cells = cells_of(text, reading.delimiter or ",")
        if at < 0:
            at = next((i for i, cell in enumerate(cells) if cell.strip().lower() == column.lower()), -2)
        elif at < len(cells):
            yield calendar_texts.order_of(cells[at])


def _both(reading: Reading) -> str:
    """Return the two readings of a date, each with its flag."""
    example = reading.example
    day = calendar_texts.read(example, calendar_texts.DAY_FIRST)
    month = calendar_texts.read(example, calendar_texts.MONTH_FIRST)
    if day is None or month is None:
        return "use --day-first or --month-first"
    first, second = (f"{moment.day} {moment:%B %Y}" for moment, _ in (day, month))
    return f"{example!r} is {first} with --day-first, and {second} with --month-first"


def order_text(order: str) -> str:
    """Return an order of day and month in words, or "" for none."""
    return {"dmy": "day-first", "mdy": "month-first"}.get(order, "")
