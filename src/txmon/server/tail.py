"""A file or standard input read beside the requests: what it holds, and what is appended to it."""

import threading
from math import inf
from typing import Final

from txmon.errors import TxmonError
from txmon.ingest.follow import Chunk, FollowSource, PipeSource
from txmon.runtime.live import go_on, place
from txmon.server.engine import Engine
from txmon.server.intake import Intake

EACH: Final = 0.2  # seconds between two looks for more


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
        found = None if self._piped else engine.positions.get(path)
        self._source: PipeSource | FollowSource = PipeSource(0) if self._piped else FollowSource(path, found)
        self._note_absence()
        self._parser = intake.parser(self._source.name, engine.settings.format)
        if found is not None:
            go_on(self._parser, found, engine.settings.state)

    def run(self) -> None:
        """Read until told to stop, or until standard input ends."""
        try:
            while not self._ending.is_set() and not self._source.ended:
                chunk = self._source.read()
                if "tail" in self._engine.troubles:
                    self._note_absence()
                if chunk is not None:
                    self._feed(chunk)
                elif not self._piped:
                    self._ending.wait(EACH)
        except (TxmonError, OSError) as bad:
            self._engine.troubles["tail"] = str(bad)

    def _note_absence(self) -> None:
        awaited = self._source.awaits() if isinstance(self._source, FollowSource) else ""
        if awaited:
            self._engine.troubles["tail"] = awaited
        else:
            self._engine.troubles.pop("tail", None)

    def stop(self) -> None:
        """End, once what was read is fed; standard input is not waited for."""
        self._ending.set()
        if not self._piped:
            self.join(5)

    def _feed(self, chunk: Chunk) -> None:
        if chunk.begins:
            self._parser.begin()
        engine = self._engine
        with engine.turn(inf):
            engine.take(self._intake.timely(self._parser, self._parser.parse(chunk.lines), engine.latest()))
            after = place(self._source, self._parser, chunk.end())
            if after is not None:  # together with what it stands for, or a state between them would count twice
                engine.positions[self._source.name] = after
