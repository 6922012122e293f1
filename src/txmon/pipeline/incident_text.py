"""Writes the sentence of an incident: what is wrong, since when, how much, where."""

from dataclasses import replace

from txmon.model.clock import iso
from txmon.model.drivers import drivers_text
from txmon.model.keys import TOTAL
from txmon.model.money import money_text
from txmon.model.outcome import IncidentEvent
from txmon.model.statuses import shown


def with_text(e: IncidentEvent) -> IncidentEvent:
    """Return the event with its sentence: what is wrong, since when, how much, where."""
    parts = [f"{e.label}: {', '.join('total volume' if s == TOTAL else shown(s) for s in e.statuses)}"]
    if e.parent:
        parts.append(f"part of the platform's incident {e.parent} from now on")
    if e.times > 1:
        parts.append(f"on and off since {iso(e.start)[11:16]}, {e.times} times")
    if e.no_data_since and e.state != "resolved":
        parts.append(f"no data since {iso(e.no_data_since)[11:16]}")
    if e.usual and e.state != "resolved":
        parts.append(f"still {times_usual(e.usual)}; open until the old level is back or somebody accepts the new one")
    parts.append(seen_text(e) + f" at {iso(e.peak)[11:16]}")
    parts.append(f"{e.excess:+.0f} transactions against normal")
    if e.drivers is not None:
        parts.append(drivers_text(e.drivers))
    if e.money:
        parts.append(money_text(e.money))
    if e.key_count:
        names = ["/".join(value for _, value in key) for key, _ in e.keys[:5]]
        more = f" and {e.key_count - len(names)} more" if e.key_count > len(names) else ""
        parts.append(f"{e.key_count} keys: {', '.join(names)}{more}")
    if e.note:
        parts.append(e.note)
    return replace(e, text="; ".join(parts))


def times_usual(usual: float) -> str:
    """Return a ratio to the usual level in words: `4 times the usual`, `40% of the usual`."""
    if usual >= 9.5:
        return f"{usual:.0f} times the usual"
    return f"{usual:.2g} times the usual" if usual >= 1.0 else f"{100.0 * usual:.0f}% of the usual"


def seen_text(e: IncidentEvent) -> str:
    """Return what was seen at the peak beside what is normal: `122 reversed, normal is 0 to 6 (57% of all)`."""
    root = e.root or e.statuses[0]
    name = "transactions" if root == TOTAL else shown(root)
    if e.low == 0 and e.high == 0:  # an event of an earlier version, which had no range
        normal = f"{e.expected:.1f} expected" if e.expected >= 0.05 else "usually none"
    else:
        normal = f"normal is {e.low} to {e.high}"
    share = ""
    if root != TOTAL and e.total > 0 and e.observed:
        part = 100.0 * e.observed / e.total
        share = f" ({part:.0f}% of all)" if part >= 1 else f" ({part:.1g}% of all)"
    return f"{e.observed} {name}, {normal}{share}"
