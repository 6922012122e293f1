"""A file or standard input read beside the requests: what it holds, and what is appended to it."""

import threading
from math import inf
from typing import Final

from txmon.errors import TxmonError
from txmon.ingest.follow import Chunk, PipeSource
from txmon.server.engine import Engine
from txmon.server.intake import Intake

EACH: Final = 0.2  # seconds between two looks for more
TROUBLE: Final = "tail"


class Tail(threading.Thread):
    """Feeds the lines of one source, as `watch` reads it, to the engine, from where the state says it was."""

    def __init__(self, path: str, engine: Engine, intake: Intake) -> None:
        """NoInput when `path` is no file that can be read, ConfigError when the state has no place in it.

        path: `-` is standard input. A file that is not there yet is waited for, which is a trouble of the engine's.
        """
        super().__init__(name="tail", daemon=True)
        self._engine = engine
        self._intake = intake
        self._ending = threading.Event()
        self._piped = path == "-"
        session, kind = engine.session, engine.settings.format
        self._troubles = session.troubles
        if self._piped:
            source = PipeSource(0)
            self._feed = session.read_from(source, intake.parser(source.name, kind))
        else:
            self._feed = session.follow(path, intake.parser(path, kind))
        self._note_absence()

    def run(self) -> None:
        """Read until told to stop, or until standard input ends."""
        try:
            while not self._ending.is_set() and not self._feed.source.ended:
                chunk = self._feed.read()
                if TROUBLE in self._troubles:
                    self._note_absence()
                if chunk is not None:
                    self._take(chunk)
                elif not self._piped:
                    self._ending.wait(EACH)
        except (TxmonError, OSError) as bad:
            self._troubles.add(TROUBLE, str(bad))

    def _note_absence(self) -> None:
        awaited = self._feed.awaits()
        if awaited:
            self._troubles.add(TROUBLE, awaited[0])
        else:
            self._troubles.clear(TROUBLE)

    def stop(self) -> None:
        """End, once what was read is fed; standard input is not waited for."""
        self._ending.set()
        if not self._piped:
            self.join(5)

    def _take(self, chunk: Chunk) -> None:
        engine, feed = self._engine, self._feed
        with engine.turn(inf):
            # the source has them still: after a crash they are read again
            items = self._intake.timely(feed.parser, feed.parser.parse(chunk.lines), engine.latest())
            engine.take(items, journaled=self._piped)
            feed.take(feed.place(chunk.end()))  # in the same turn, or a state between them would count twice
