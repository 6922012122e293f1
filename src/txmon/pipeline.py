"""The whole story in one loop: records in, one outcome a closed bucket out."""

from collections.abc import Iterable, Iterator

from .buckets import Bucketer, OpenBucket
from .detector import Detector
from .incidents import IncidentTracker
from .records import Record
from .trend import Trend, TrendTracker
from .verdict import TOTAL, Outcome


class Pipeline:
    """Gathers records into buckets, judges each as it closes, and keeps the incidents."""

    def __init__(self, bucketer: Bucketer, detector: Detector, tracker: IncidentTracker) -> None:
        self.bucketer = bucketer
        self.detector = detector
        self.tracker = tracker
        self._trends = TrendTracker(bucketer.width)
        self._statuses: set[str] = set()

    def run(self, records: Iterable[Record]) -> Iterator[Outcome]:
        """All outcomes of a stream that ends."""
        yield from self.feed(records)
        yield from self.finish()

    def feed(self, records: Iterable[Record]) -> Iterator[Outcome]:
        """Take `records` in order of arrival; yield an outcome for each bucket that they close."""
        return map(self._conclude, self.bucketer.add(records))

    def finish(self) -> Iterator[Outcome]:
        """Close what is still open: the stream has ended."""
        return map(self._conclude, self.bucketer.flush())

    def _conclude(self, bucket: OpenBucket) -> Outcome:
        judged = self.detector.judge(bucket.start, bucket.counts)
        verdicts, events = self.tracker.observe(bucket.start, judged)
        return Outcome(bucket.start, verdicts, events, self._trend(bucket))

    def _trend(self, bucket: OpenBucket) -> dict[str, Trend]:
        """The trend of every status seen so far and of all together, summed over the keys."""
        counts = dict.fromkeys(self._statuses, 0)
        counts[TOTAL] = 0
        for statuses in bucket.counts.values():
            for status, count in statuses.items():
                counts[status] = counts.get(status, 0) + count
                counts[TOTAL] += count
        self._statuses.update(counts)
        return {status: self._trends.update(bucket.start, status, count) for status, count in counts.items()}
