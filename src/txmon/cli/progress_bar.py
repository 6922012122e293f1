"""Shows a progress bar on standard error for work that takes longer than a second, if standard error is a terminal."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os.path import basename
from threading import Event, Thread
from typing import TYPE_CHECKING, Final, NamedTuple

from txmon.support.terminal_text import printable

if TYPE_CHECKING:
    from txmon.runtime.reader import Reader  # imports all readers of files, which not every command with a bar needs

DELAY: Final = 1.0  # seconds before anything is shown
EACH: Final = 0.2  # seconds between two updates


class Where(NamedTuple):
    """The progress of some work."""

    name: str
    done: float
    size: float | None  # None if unknown
    unit: str = ""  # of the work, in the plural; empty for bytes


def reading(reader: "Reader") -> Callable[[], Where | None]:
    """Return a function that returns a reader's position in its file."""

    def where() -> Where | None:
        source = reader.source
        return Where(basename(source.name), source.consumed, source.size) if source is not None else None

    return where


@contextmanager
def progress(where: Callable[[], Where | None], wanted: bool = True) -> Iterator[None]:
    """Show a bar with the rate and the remaining time, one second after the work began.

    where: called by another thread, so that the work is not slowed down. It returns None while there is nothing to
    show. wanted: False if the terminal is in use. Nothing is shown if standard error is not a terminal.
    """
    if not (wanted and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"):
        yield
        return
    ended = Event()
    thread = Thread(target=_show, args=(where, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _show(where: Callable[[], Where | None], ended: Event) -> None:
    if ended.wait(DELAY):
        return
    with suppress(Exception):  # the terminal is gone, or a cluster does not answer; the work itself reports that
        _draw(where, ended)


def _draw(where: Callable[[], Where | None], ended: Event) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn

    from txmon.terminal.rate import Rate

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=max(8, min(40, console.width // 4))),
        TextColumn("{task.fields[share]}", markup=False),
        TextColumn("{task.fields[note]}", markup=False),
    )
    rate: Rate | None = None
    task: TaskID | None = None
    # standard output stays unchanged, because it may receive verdict lines
    with Progress(*columns, console=console, transient=True, auto_refresh=False, redirect_stdout=False) as bar:
        while True:
            found = where()
            if found is not None:
                if rate is None or rate.name != found.name:
                    rate = Rate(found.name, time.monotonic, found.unit)
                    if task is not None:
                        bar.remove_task(task)
                    task = bar.add_task(printable(found.name, 40), total=found.size, share="", note="")
                if task is not None:
                    share = f"{int(100 * min(1.0, found.done / found.size)):>3} %" if found.size else ""
                    note = rate.note(int(found.done), None if found.size is None else int(found.size))
                    bar.update(task, completed=found.done, share=share, note=note)
                bar.refresh()
            if ended.wait(EACH):
                return
