"""Runs `replay --inject`: it adds the incident to the stream, and reports the result at the end."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date

from txmon.cli.messages import tell
from txmon.evaluation.incident_spec import parse_incident
from txmon.evaluation.inject import Injector, Watch, report
from txmon.ingest.order import in_time_order
from txmon.ingest.records import Record
from txmon.ingest.rejects import RejectLog
from txmon.model.outcome import Outcome
from txmon.pipeline.pipeline import Pipeline
from txmon.runtime.factory import pipeline_of
from txmon.runtime.reader import reader_of
from txmon.settings.declarations import Settings
from txmon.support.terminal_text import printable

Judge = Callable[[Pipeline, Iterable[Record]], Iterator[Outcome]]
LONGEST_LINE = 500  # characters


class Experiment:
    """A replay of the input with added incidents, or without any."""

    def __init__(self, specs: Sequence[str], settings: Settings, files: Sequence[str], today: date) -> None:
        """Create it. today: the date of times without one. Raise UsageError if a spec is not valid."""
        self._injector = Injector([parse_incident(text) for text in specs], settings.bucket)
        self._watch = Watch(self._injector)
        self._settings = settings
        self._files = files
        self._today = today
        self._finished = False

    def run(self, pipeline: Pipeline, records: Iterable[Record], judge: Judge = Pipeline.run) -> Iterator[Outcome]:
        """Yield the outcomes of the changed stream. judge: runs records through the pipeline."""
        if not self._injector.specs:
            yield from judge(pipeline, records)
            return
        for outcome in judge(pipeline, self._injector.apply(records)):
            self._watch.accept(outcome)
            yield outcome
        self._finished = True

    def report(self) -> None:
        """Print on standard error how the incidents were detected. Print nothing if the run did not finish."""
        if self._finished:
            for line in report(self._injector, self._watch, self._without()):
                tell([printable(line, LONGEST_LINE)])

    def _without(self) -> Watch | None:
        """Return the same watch over the unchanged input, if it can be read again."""
        if not all(os.path.isfile(path) for path in self._files):
            return None
        watch = Watch(self._injector)
        # the first reading already reported bad records, and refused them under --strict
        reader = reader_of(self._settings, RejectLog(None, False), self._today)
        for outcome in pipeline_of(self._settings, live=False).run(in_time_order(reader.records(self._files))):
            if watch.past(outcome.time):
                break
            watch.accept(outcome)
        return watch
