#!/usr/bin/env python3
"""How many notifications people get: cards and pages of each true incident, on every scenario with its incidents.

usage: .venv/bin/python benchmarks/notifications.py [--seeds 0:3] [--scenarios shop,cron] [--json FILE]

txmon runs with its defaults, and its policy of notifications decides who hears what. A page is a notification that asks
for attention: an incident that opened or opened again. The cards are all notifications of incidents, the steps and the
ends too. An incident is true when a label excuses one of its statuses at the time. Labels that overlap are one true
incident, because people should hear of them once. `merchants` is judged by merchant, with one seed.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from detectors import settings_of
from feeds import Stream, chosen, scenario, seeds_of

from txmon.evaluation.evaluate import Labels
from txmon.model.outcome import IncidentEvent
from txmon.notify.notification import Notification
from txmon.notify.policy import Notifier
from txmon.notify.setup import policy_of
from txmon.runtime.factory import pipeline_of

PAGES = ("opened", "reopened")
GRACE = timedelta(minutes=10)


@dataclass
class Told:
    """What people heard of some streams."""

    days: float = 0.0
    true: int = 0  # incidents that happened
    heard: int = 0  # of those, people heard of
    pages: int = 0  # of true incidents
    false_pages: int = 0
    cards: int = 0

    def add(self, other: "Told") -> None:
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


def listen(stream: Stream) -> Told:
    """Run the stream and count what is told after its warm-up."""
    settings = settings_of(stream)
    told: list[Notification] = []
    notifier = Notifier(policy_of(settings), told.append)
    last = stream.start
    for outcome in pipeline_of(settings, live=False).run(stream.records()):
        notifier.accept(outcome)
        last = outcome.time
    notifier.close()
    labels = stream.labels
    found = Told((last - labels.warmup.timestamp()) / 86400)
    spans = stories(labels)
    found.true = len(spans)
    heard: set[int] = set()
    for notification in told:
        if notification.time < labels.warmup.timestamp() or not notification.events:
            continue
        found.cards += 1
        if notification.kind in PAGES:
            stories_of = [story_of(event, labels, spans) for event in notification.events]
            heard.update(one for one in stories_of if one is not None)
            found.pages += any(one is not None for one in stories_of)
            found.false_pages += all(one is None for one in stories_of)
    found.heard = len(heard)
    return found


def stories(labels: Labels) -> list[tuple[datetime, datetime]]:
    """The times of true incidents, those that overlap as one."""
    found: list[tuple[datetime, datetime]] = []
    for label in sorted(labels.incidents, key=lambda one: one.start):
        if found and label.start <= found[-1][1] + GRACE:
            found[-1] = found[-1][0], max(found[-1][1], label.end)
        else:
            found.append((label.start, label.end))
    return found


def story_of(event: IncidentEvent, labels: Labels, spans: Sequence[tuple[datetime, datetime]]) -> int | None:
    """The number of the true incident that an event tells of; None where it is false."""
    moment = datetime.fromtimestamp(event.time, UTC)
    if not any(labels.excused(status, moment, frozenset(event.key)) for status in event.statuses):
        return None
    return next((n for n, (start, end) in enumerate(spans) if start <= moment <= end + GRACE), None)


def main() -> None:
    cli = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    cli.add_argument("--scenarios", default="all", help="names with commas between, or all")
    cli.add_argument("--seeds", default="0:3", help="FIRST:END of the scenarios' seeds")
    cli.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = cli.parse_args()
    rows: dict[str, Told] = {}
    whole = Told()
    print("| scenario | heard | pages per incident heard | cards per incident heard | false pages a day |")
    print("| --- | ---: | ---: | ---: | ---: |", flush=True)
    for name in chosen(args.scenarios):
        rows[name] = one = Told()
        for seed in seeds_of(name, args.seeds):
            one.add(listen(scenario(name, seed)))
        whole.add(one)
        print(line(name, one), flush=True)
    print(line("all", whole))
    if args.json:
        args.json.write_text(json.dumps({name: asdict(one) for name, one in rows.items()}, indent=1) + "\n")


def line(name: str, one: Told) -> str:
    heard = max(1, one.heard)
    figures = f"{one.pages / heard:.2f} | {one.cards / heard:.1f} | {one.false_pages / max(one.days, 1e-9):.2f}"
    return f"| {name} | {one.heard} of {one.true} | {figures} |"


if __name__ == "__main__":
    main()
