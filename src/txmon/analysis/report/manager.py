"""Writes the first five lines of a report, for a manager: what happened, how sure, what it cost, why, what next."""

from collections.abc import Mapping, Sequence
from typing import Final

from txmon.analysis.checkouts import Analysis, Run
from txmon.analysis.transactions import Comparison, Episode, IncidentSummary, StatusNumbers, TransactionAnalysis
from txmon.model.keys import TOTAL
from txmon.model.statuses import DENIED, FAILED, REVERSED, role_of
from txmon.support.durations import DAY, duration_text

Lines = tuple[tuple[str, str], ...]  # (heading, text)
WHAT: Final = "What happened"
SURE: Final = "How sure"
COST: Final = "What it cost"
CAUSE: Final = "Likely cause"
NEXT: Final = "Next step"
STOPPED: Final = 0.1  # share of the expected count below which sales stopped
# names of the columns of a checkout file in words
NAMES: Final = {
    "yesterday": "yesterday", "same_day_last_week": "the same day last week",
    "avg_last_week": "an average day of last week", "avg_last_month": "an average day of last month",
}  # fmt: skip
# label -> the role of its statuses
MEANT: Final = {"failures": FAILED, "issuer declines": DENIED, "reversal wave": REVERSED}
CAUSES: Final = {
    "silence": (
        "No transaction of any status came. The feed or the whole platform stopped, not a single bank or status.",
        "Compare with the acquirer's report of that time: payments may have gone on without being recorded. Then look"
        " at the feed, the network and deployments at its start.",
    ),
    "volume loss": (
        "All statuses fell together. Requests did not reach the payment system: shop front, network or feed.",
        "Look at the shop front, the load balancer and deployments at its start. Compare with the number of visits.",
    ),
    "failures": (
        "More payments failed for technical reasons. That points to the gateway, a timeout or the acquirer's line.",
        "Look at the error codes and response times of the gateway at its start, and ask the acquirer for its status.",
    ),
    "issuer declines": (
        "Banks or risk rules refused more payments. That points to an issuer's outage, a new rule or stolen cards.",
        "Split the denied payments by issuer, response code and rule. If one stands out, call its owner.",
    ),
    "reversal wave": (
        "Payments were approved and then reversed. That points to timeouts after approval, or to a back office job.",
        "Find out what sent the reversals, and whether customers were charged for orders that do not exist.",
    ),
}  # fmt: skip


def words(text: str) -> str:
    """Return the name of a column in words."""
    return NAMES.get(text, text.replace("_", " "))


def sure(q: float) -> str:
    """Return how sure a finding is, in words. q: the share of such findings that are false."""
    if q < 1e-6:
        return "practically certain"
    if q < 1e-3:
        return "very sure"
    return "sure" if q < 0.01 else "probable"


def listed(parts: Sequence[str]) -> str:
    """Return a list as part of a sentence: a, b and c."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]])) if parts else ""


# checkouts


def checkout_summary(analysis: Analysis) -> Lines:
    """Return the five lines for a day of checkouts."""
    if not analysis.findings:
        return _quiet_day(analysis)
    run, rest = analysis.findings[0], analysis.findings[1:]
    first, last = run.hours[0], run.hours[-1] + 1
    when = f"from {first:02d}:00 to {last:02d}:00"
    count = len(run.hours)
    hours = f"{count} hour{'s' if count > 1 else ''}"
    if run.seen <= STOPPED * run.expected:
        what = f"Sales stopped {when} ({hours}): {run.seen:g} where {run.expected:.0f} were expected."
    elif run.direction == "below":
        what = f"Sales were low {when} ({hours}): {run.seen:g} where {run.expected:.0f} were expected."
    else:
        what = f"Sales were high {when} ({hours}): {run.seen:g} where {run.expected:.0f} were expected."
    if rest:
        what += f" There {'is 1 more finding' if len(rest) == 1 else f'are {len(rest)} more findings'} below."
    edges = [hour for hour in analysis.doubtful if hour.hour in (run.hours[0] - 1, run.hours[-1] + 1)]
    how = f"{sure(run.q).capitalize()}: a normal day is this far out {_chance(run.q)}."
    if edges:
        how += (
            f" It may also have touched {listed([f'{hour.hour:02d}h' for hour in edges])}, which nobody can be sure of."
        )
    return (
        (WHAT, what), (SURE, how), (COST, _checkout_cost(run)), (CAUSE, _checkout_cause(run)),
        (NEXT, _checkout_step(analysis, run)),
    )  # fmt: skip


def _quiet_day(analysis: Analysis) -> Lines:
    seen = sum(hour.seen for hour in analysis.hours)
    totals = [
        f"{_difference(seen - sum(hour.references[n] for hour in analysis.hours))} than {words(reference.name)}"
        for n, reference in enumerate(analysis.references)
    ]
    blind = " Hours with very few sales cannot be judged." if analysis.blind else ""
    return (
        (WHAT, f"Nothing unusual: each hour of {words(analysis.observed)} is within normal."),
        (SURE, f"An outage of an hour by day would have been found.{blind}"),
        (COST, f"Nothing. The day has {seen:.0f} sales: {listed(totals)}."),
        (CAUSE, "None is needed."),
        (NEXT, "Nothing to do."),
    )


def _chance(q: float) -> str:
    return "less than once in a million times" if q < 1e-6 else f"about once in {1 / q:,.0f} times"


def _difference(gap: float) -> str:
    return f"{abs(gap):.0f} {'fewer' if gap < 0 else 'more'}"


def _checkout_cost(run: Run) -> str:
    parts = [f"{_difference(gap)} than {words(name)}" for name, gap in run.against.items()]
    return f"Sales in that time: {listed(parts)}. At the day's own pace: {_difference(run.seen - run.expected)}."


def _checkout_cause(run: Run) -> str:
    if run.direction == "above":
        return "More demand, as in a campaign, or sales that were recorded twice or late."
    if run.seen <= STOPPED * run.expected:
        return (
            "Sales stopped and came back to the usual pace. An outage looks like that: of the checkout, the payment"
            " gateway or the recording of sales. Demand does not fall so suddenly."
        )
    return (
        f"{run.seen / run.expected:.0%} of the usual sales went on. Either a part of the payments failed (a method, an"
        " acquirer, a region), or demand was lower. The file cannot tell these apart."
    )


def _checkout_step(analysis: Analysis, run: Run) -> str:
    first, last = max(0, run.hours[0] - 1), min(23, run.hours[-1] + 1)
    if run.direction == "above":
        return "Compare with the orders and the marketing calendar, and look for sales that were recorded twice."
    after = [h for h in analysis.hours if run.hours[-1] < h.hour <= run.hours[-1] + 3]
    made_up = sum(h.seen - h.expected for h in after)
    time = f"from {first:02d}:00 to {last:02d}:59"
    text = f"Look at deployments and errors of checkout and gateway {time}, and ask the acquirer."
    if after and made_up > 0:
        return (
            text
            + f" The {len(after)} hours after it have {made_up:.0f} sales more than expected: some came back later."
        )
    return text + " The sales were not made up later that day."


# transactions


def transaction_summary(analysis: TransactionAnalysis, clock: Mapping[int, str]) -> Lines:
    """Return the five lines for a stream of transactions. clock: a function from epoch seconds to text."""
    if not analysis.episodes:
        return (
            (WHAT, "Nothing unusual: no status is above or below what the file itself teaches."),
            (SURE, "What is wrong from the first minute on, or too small to alert, would not have been found."),
            (COST, "Nothing."), (CAUSE, "None is needed."), (NEXT, "Nothing to do."),
        )  # fmt: skip
    worst = analysis.episodes[0]
    main = main_incident(worst)
    cause, step = CAUSES.get(main.label, ("The statuses do not say more.", "Look at the charts and the minutes below."))
    where = listed([f"{name} {value}" for name, value in main.key.items()])
    if where:
        cause += f" It is at {where}."
    rose = [n.status for n in main_numbers(analysis, worst)[1:] if n.seen > 1.1 * n.expected]
    if rose:
        cause += f" {listed(rose).capitalize()} rose too."
    others = {i.label for i in worst.incidents if i.label != main.label and i.label in CAUSES}
    if others:
        cause += f" At the same time: {listed(sorted(others))}."
    return (
        (WHAT, _what(analysis, worst, main.label, clock)), (SURE, _how_sure(worst)), (COST, _cost(analysis, worst)),
        (CAUSE, cause), (NEXT, step),
    )  # fmt: skip


def _what(analysis: TransactionAnalysis, worst: Episode, label: str, clock: Mapping[int, str]) -> str:
    end = clock[worst.end] if worst.end is not None else "the file's end"
    lasted = duration_text((worst.end if worst.end is not None else analysis.last + analysis.bucket) - worst.start)
    numbers = listed([number_text(one) for one in main_numbers(analysis, worst)])
    text = f"{label.capitalize()} from {clock[worst.start]} to {end} ({lasted}): {numbers}."
    rest = len(analysis.episodes) - 1
    if rest:
        text += f" There {'is 1 smaller episode' if rest == 1 else f'are {rest} smaller episodes'} below."
    return text


def main_incident(episode: Episode) -> IncidentSummary:
    """Return the incident that gives an episode its name: the one with the most transactions above or below normal."""
    return max(episode.incidents, key=lambda incident: abs(incident.excess))


def main_numbers(analysis: TransactionAnalysis, episode: Episode) -> list[StatusNumbers]:
    """Return the numbers that describe an episode: of the problem statuses, or of the volume if the volume fell."""
    problems = [n for n in episode.numbers if role_of(n.status, analysis.roles) in (FAILED, REVERSED, DENIED)]
    if problems and episode.above >= episode.below / 4:
        label = main_incident(episode).label
        return sorted(
            problems, key=lambda n: (role_of(n.status, analysis.roles) != MEANT.get(label), n.expected - n.seen)
        )[:3]
    total = [n for n in episode.numbers if n.status == TOTAL]
    return total or list(episode.numbers[:3])


def number_text(numbers: StatusNumbers) -> str:
    """Return the observed and the expected count of a status as text."""
    name = "transactions" if numbers.status == TOTAL else numbers.status
    expected = f"{numbers.expected:,.0f}" if numbers.expected >= 10 else f"{numbers.expected:.1f}"
    return f"{numbers.seen:,} {name} where {expected} were expected"


def _how_sure(worst: Episode) -> str:
    score = abs(worst.score)
    word = "Practically certain" if score >= 8 else "Very sure" if score >= 6 else "Sure" if score >= 5 else "Probable"
    return (
        f"{word}: its worst minute is {score:.0f} standard deviations from normal. What was normal is learned from this"
        " file alone."
    )


def _cost(analysis: TransactionAnalysis, worst: Episode) -> str:
    approved, problems = worst.approved, [n for n in main_numbers(analysis, worst) if n.status != TOTAL]
    more = [f"{n.seen - n.expected:,.0f} {n.status} too many" for n in problems if n.seen - n.expected >= 1]
    gap = approved.seen - approved.expected
    if approved.expected:
        more.append(f"{abs(gap):,.0f} {approved.status} {'too few' if gap < 0 else 'more than expected'}")
    text = f"Against normal: {listed(more)}." if more else "Against normal: little."
    told = [_compared(one, worst) for one in worst.compared if one.days]
    if told:
        text += f" At the same time of day: {listed(told)}."
    absent = [one.name for one in worst.compared if not one.days]
    if absent:
        days = (analysis.last - analysis.first) / DAY
        held = "less than a day" if days < 0.99 else f"{round(days)} day{'s' if round(days) > 1 else ''}"
        text += f" The file holds {held}, and no {' or '.join(absent)} to compare with."
    return text


def _compared(one: Comparison, worst: Episode) -> str:
    approved = worst.approved.seen - one.approved
    problems = worst.problems - one.problems
    days = f" (mean of {one.days} days)" if one.days > 1 else ""
    return (
        f"{_large(approved)} {worst.approved.status} and {_large(problems)} failed, reversed or denied than"
        f" {one.name}{days}"
    )


def _large(gap: float) -> str:
    return f"{abs(gap):,.0f} {'fewer' if gap < 0 else 'more'}"
