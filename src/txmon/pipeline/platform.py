"""Makes the platform's incident of the same failure at many keys, or of what only the sum over all keys shows.

`incidents` keeps the incidents of the keys and of the platform; the platform's has the key (). A step is the change of
an incident in a bucket. What is a part of the platform's incident has no steps of its own.
"""

from collections.abc import Callable, Mapping
from typing import Final

from txmon.model.keys import TOTAL, Key
from txmon.model.outcome import IncidentState
from txmon.model.verdict import Verdict
from txmon.pipeline.incident import Incident
from txmon.pipeline.member import AGAIN, Member, label_of

MOST: Final = 2.0 / 3.0  # of what is wrong in all keys together, from which on it is the incident of a few keys
MANY: Final = 3  # keys that fail in the same way at once: the platform's failure, and not theirs

Steps = list[tuple[IncidentState, Incident]]
Known = Mapping[Key, Incident]  # by key: open, about to open, or lately resolved


def attribute(whole: Incident, known: Known, steps: Steps, time: int) -> Steps:
    """Leave what all keys together show to the few keys that explain it, or make the failing keys a part of it.

    whole: the open incident of all keys together. Once people know of it, it stays what it is.

    Returns the steps to tell.
    """
    if not any(one is whole for _, one in steps) and (not whole.parent or whole.last != time):
        return steps
    same = [one for one in known.values() if one.key and one.opened and one.label == whole.label]
    largest = sorted(same, key=lambda one: (-one.size(), one.id))[: MANY - 1]
    if largest and sum([one.size() for one in largest]) >= MOST * whole.size():
        whole.parent = largest[0].id
        return [pair for pair in steps if pair[1] is not whole]
    kept = list(steps)
    if whole.parent:
        whole.parent = ""
        kept.append(("opened", whole))
    _join(whole, same, kept)
    return _told(kept)


def gather(
    known: Known, steps: Steps, time: int, reach: int, begin: Callable[[list[Incident], str], Incident]
) -> Steps:
    """Make one incident of the platform of those of keys that opened lately under the same label.

    reach: seconds between the first and the last of them. begin: makes the platform's incident of them and their label.
    Returns the steps to tell.
    """
    kept = list(steps)
    opening = {one.label for state, one in steps if state in ("opened", "reopened") and one.key}
    for label in sorted(opening):
        whole = known.get(())
        same = [
            one
            for one in known.values()
            if one.key and one.opened and not one.parent and one.label == label and time - one.start <= reach
        ]
        if whole is not None and whole.opened:
            if whole.parent or (label != whole.label and whole.last != time):
                continue
        elif len(same) < MANY or (whole is not None and whole.closed):
            continue
        else:
            whole = whole or begin(same, label)
            whole.opened = True
            kept.append(("opened", whole))
        for one in same:
            _merge(whole, one)
        _join(whole, same, kept)
        for member in whole.members.values():
            member.confirmed = True
        whole.choose_root(time)
    return _told(kept)


def add_up(
    whole: Incident,
    known: Known,
    taken: Mapping[int, Incident],
    verdicts: list[Verdict],
    time: int,
    roles: Mapping[str, str],
) -> None:
    """Let the platform's incident take what the verdicts on its keys come to in the bucket at `time`.

    taken: the incident that took a verdict, by the verdict's identity. roles: by status, before the vocabulary's.
    """
    judged = any(not verdict.key for verdict in verdicts)  # all keys together have verdicts of their own
    if not judged:
        for verdict in verdicts:
            if verdict.status == TOTAL:
                whole.total += verdict.total
                whole.due_total += verdict.expected
    for child in known.values():
        if child.parent == whole.id:
            whole.children[child.id] = (child.key, child.excess)
    sums = _sums(whole, taken, verdicts, time, roles)
    for status, found in sums.items():
        mine = whole.members.setdefault(status, Member(status, time))
        if not judged or mine.last != time or not mine.buckets:  # a verdict on all keys says it better
            mine.absorb(found, time)
            mine.confirmed = True
    if sums and whole.alerts[-1:] != [time]:
        whole.alerts = [*whole.alerts[1 - AGAIN :], time]


def _sums(
    whole: Incident, taken: Mapping[int, Incident], verdicts: list[Verdict], time: int, roles: Mapping[str, str]
) -> dict[str, Member]:
    """Return what the alerting verdicts of the platform's keys come to, by status."""
    sums: dict[str, Member] = {}
    for verdict in verdicts:
        one = taken.get(id(verdict))
        if one is not None and one.parent == whole.id:
            if verdict.status not in sums:
                sums[verdict.status] = Member(verdict.status, time)
                sums[verdict.status].label = label_of(verdict, roles)
            sums[verdict.status].add(verdict)
    return sums


def _join(whole: Incident, same: list[Incident], kept: Steps) -> None:
    """Make the incidents of keys a part of the platform's. kept: the steps of this bucket."""
    new = [one for state, one in kept if state in ("opened", "reopened")]
    for one in sorted(same, key=lambda i: (-abs(i.excess), i.id)):
        one.parent = whole.id
        whole.children[one.id] = (one.key, one.excess)
        if not any(other is one for other in new):  # people heard of it before: say where it has gone
            kept.append(("resolved", one))


def _told(steps: Steps) -> Steps:
    """Return the steps without those of parts, but for the one that says where a part has gone."""
    return [(state, one) for state, one in steps if not one.parent or state == "resolved"]


def _merge(whole: Incident, part: Incident) -> None:
    """Add what is known of a key's incident to the platform's.

    Where all keys together have verdicts of their own on a status, those say more than the sum over these keys.
    """
    whole.start = min(whole.start, part.start)
    whole.last = max(whole.last, part.last)
    for status, member in part.members.items():
        mine = whole.members.get(status)
        if mine is None:
            mine = whole.members[status] = Member(status, member.first)
        if not mine.buckets:
            mine.join(member)
