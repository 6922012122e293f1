"""Reads files or standard input beside the requests, as `watch` does: their content, and what is appended."""

import select
import threading
from typing import Final

from txmon.errors import TxmonError
from txmon.ingest.follow import PipeSource
from txmon.server.engine import Engine

EACH: Final = 0.2  # seconds between two checks for more data
TROUBLE: Final = "tail"


class Tail(threading.Thread):
    """Feeds the engine from one file, from the files that match a pattern, or from standard input."""

    def __init__(self, path: str, engine: Engine, pattern: bool) -> None:
        """Open it. Raise NoInput if `path` cannot be read, ConfigError if the state has no valid position for it.

        path: `-` is standard input. A missing file is awaited, and reported as a trouble of the engine.
        """
        super().__init__(name="tail", daemon=True)
        self._path = path
        self._engine = engine
        self._ending = threading.Event()
        self._piped = path == "-"
        session = engine.session
        if self._piped:
            session.read_from(PipeSource(0))
        elif pattern:
            session.follow_pattern(path)
        else:
            session.follow(path)
        self._note_absence()

    def run(self) -> None:
        """Read until `stop` is called, or until standard input ends."""
        feeds = self._engine.session.feeds
        try:
            while not self._ending.is_set() and not feeds.ended():
                came = self._engine.poll(self._ready(), self._piped)
                self._note_absence()
                if not came and not self._piped:
                    self._ending.wait(EACH)
        except (TxmonError, OSError) as bad:
            self._engine.session.troubles.add(TROUBLE, str(bad))

    def _ready(self) -> set[int]:
        """Return the descriptor of standard input when it has data, or nothing after some time."""
        return set(select.select([0], [], [], EACH)[0]) if self._piped else set()

    def _note_absence(self) -> None:
        feeds = self._engine.session.feeds.all
        awaited = [line for feed in feeds for line in feed.awaits()]
        if not feeds:
            awaited = [f"{self._path}: no file matches yet; waiting for one"]
        self._engine.session.troubles.put(TROUBLE, "; ".join(awaited))

    def stop(self) -> None:
        """End after the data read so far was fed."""
        self._ending.set()
        self.join(5)
