"""`txmon silence`: suppresses notifications of a status for a time."""

import time

import click

from txmon.cli.commands.ack import user
from txmon.cli.completing import a_status
from txmon.cli.help_page import Command, option
from txmon.cli.options import load_config, options
from txmon.errors import NoInput, UsageError
from txmon.model.clock import iso
from txmon.model.keys import TOTAL, Key
from txmon.pipeline.incidents import IncidentTracker, SilenceOrder
from txmon.runtime.acknowledgements import Word, leave_word, words_left
from txmon.runtime.factory import pipeline_of_state
from txmon.runtime.state_file import load
from txmon.support.durations import DAY, duration_text, seconds
from txmon.support.terminal_text import printable

LONGEST = 30 * DAY


@click.command(cls=Command, short_help="Stop notifications of a status for a time.")
@click.argument("status", metavar="STATUS|all", required=False, shell_complete=a_status)
@option("--for", "span", metavar="TIME", help="How long: 30m, 2h, 1d; at most 30d.")
@option("--key", "pairs", multiple=True, metavar="COLUMN=VALUE", help="Only of this key (repeatable).")
@option("--note", default="", metavar="TEXT", help="Reason. The page shows it.")
@option("--author", default="", metavar="NAME", help="Your name. [default: the user who runs the command]")
@option("--end", is_flag=True, help="End a silence before its time.")
@options("state")
def silence(
    status: str | None, span: str | None, pairs: tuple[str, ...], note: str, author: str, end: bool, **flags: object
) -> None:
    """Stop notifications of STATUS for a time. Without STATUS, list the silences.

    txmon continues to detect. When the silence ends, it notifies you of an incident that is still open. It
    always notifies you of an incident that also has another status.

    \b
    Examples:
      txmon silence denied --for 2h --note "load test" --state txmon.state
      txmon silence all --for 30m --key merchant=m1 --state txmon.state
      txmon silence denied --end --state txmon.state
      txmon silence --state txmon.state
    """
    settings = load_config(flags).settings
    if settings.state is None:
        raise UsageError("--state FILE is missing. Name the state file of the run that sends the notifications.")
    found = load(settings.state)
    if found is None:
        raise NoInput(f"{settings.state}: no such file")
    now = int(time.time())
    known = _known(pipeline_of_state(found, settings.state).tracker, settings.state, now)
    if status is None:
        if span or end or pairs:
            raise UsageError("STATUS is missing. Name a status, or all.")
        _list(known)
        return
    name, key = "*" if status == "all" else status.lower(), _key(pairs)
    same = next((order for order in known if (order.status, order.key) == (name, key)), None)
    if end:
        _end(settings.state, status, name, key, span, known)
        return
    if same is not None:
        raise UsageError(
            f"{_name(same)} is silenced until {iso(same.until)} already. End that silence first, with --end."
        )
    length = _span(span)
    wider = next((order for order in known if order.until >= now + length and _includes(order, name, key)), None)
    if wider is not None:
        raise UsageError(
            f"{status} is silenced until {iso(wider.until)} already, by the silence of {_name(wider)}. End that first."
        )
    word = Word("silence", author=author or user(), note=note, status=name, key=key, until=now + length)
    leave_word(settings.state, word)
    click.echo(f"{status}: silenced for {duration_text(length)}, until {iso(word.until)}; taken over within 10 seconds")


def _includes(order: SilenceOrder, status: str, key: Key) -> bool:
    """Return whether a silence holds for all that is meant by a status and a key."""
    return order.status in (TOTAL, status) and set(order.key) <= set(key)


def _list(known: list[SilenceOrder]) -> None:
    for order in known:
        click.echo(_line(order))
    if not known:
        click.echo("nothing is silenced")


def _end(state: str, status: str, name: str, key: Key, span: str | None, known: list[SilenceOrder]) -> None:
    if span is not None:
        raise UsageError("--end and --for exclude each other. Give one of them.")
    if all((order.status, order.key) != (name, key) for order in known):
        some = f"; silenced: {', '.join(_name(order) for order in known)}" if known else "; nothing is"
        raise UsageError(f"{status} is not silenced{some}")
    leave_word(state, Word("unsilence", status=name, key=key))
    click.echo(f"{status}: the silence ends within 10 seconds")


def _known(tracker: IncidentTracker, state: str, now: int) -> list[SilenceOrder]:
    """Return the silences that hold by the wall clock, those that the run has not heard of yet among them."""
    for word in words_left(state):
        if word.action == "silence":
            tracker.silence(SilenceOrder(word.status, word.key, word.until, word.author, word.note))
        elif word.action == "unsilence":
            tracker.end_silence(word.status, word.key)
    return [order for order in tracker.silences() if order.until > now]


def _span(text: str | None) -> int:
    if text is None:
        raise UsageError("--for TIME is missing. A silence needs an end, for example --for 2h.")
    try:
        found = seconds(text)
    except ValueError as bad:
        raise UsageError(f"--for: {bad}") from None
    if not 0 < found <= LONGEST:
        raise UsageError(f"--for {text}: a silence lasts from 1s to {duration_text(LONGEST)}")
    return found


def _key(pairs: tuple[str, ...]) -> Key:
    found = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise UsageError(f"--key {pair!r} is not COLUMN=VALUE. Use for example merchant=m1.")
        found.append((name, value))
    return tuple(found)


def _name(order: SilenceOrder) -> str:
    key = "".join(f" {name}={value}" for name, value in order.key)
    return printable(("all" if order.status == "*" else order.status) + key)


def _line(order: SilenceOrder) -> str:
    who = f", by {order.author}" if order.author else ""
    return printable(f"{_name(order)} until {iso(order.until)}{who}" + (f": {order.note}" if order.note else ""))
