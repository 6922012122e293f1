"""`txmon serve`: the endpoint and the live page."""

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from txmon.cli.live_controls import LiveControls
from txmon.cli.options import JUDGING, READING, load_config, options
from txmon.cli.outputs import TELLING, Outputs, tell
from txmon.cli.own_inputs import outputs_of, spare_inputs
from txmon.errors import ConfigError, ExitCode, UsageError
from txmon.ingest.rejects import RejectLog
from txmon.runtime.factory import pipeline_of
from txmon.runtime.reader import parsing_of
from txmon.runtime.signals import Stop, stopping
from txmon.runtime.state_lock import owned
from txmon.server.app import App
from txmon.server.engine import Engine
from txmon.server.guard import SHORTEST, Guard
from txmon.server.http.connection import Limits
from txmon.server.http.listener import Listener, is_loopback
from txmon.server.intake import Intake
from txmon.server.tail import Tail
from txmon.settings.declarations import Settings
from txmon.support.terminal_text import printable

PARSING = tuple(name for name in READING if name != "strict")  # a bad record is an answer to its sender
SERVING = ("host", "port", "allow_host", "state", "tail", "max_ahead", "max_body", "connections")
PATIENCE = 20.0  # seconds that requests in flight get at the end,
LAST = 5.0  # and a request that is still worked on then, before the state is left as it was
TICK = 0.5  # seconds


@click.command(short_help="Receive transactions over HTTP; a live page.")
@options(*SERVING, *PARSING, *JUDGING, "out", "only", "log", "log_keep")
@click.option("--notify", is_flag=True, help="Tell people of incidents (txmon notify --test tries it).")
@options(*TELLING)
def serve(notify: bool, **flags: object) -> ExitCode:
    """Receive transactions over HTTP and answer with a recommendation; the live page is at /.

    Verdicts go to standard output or --out FILE. With TXMON_TOKEN set, clients need that token
    (Authorization: Bearer), and the page asks for it; addresses other than this machine's own are refused without.

    \b
    Examples:
      txmon serve --state txmon.state
      curl -H content-type:text/csv --data-binary @transactions.csv http://127.0.0.1:8080/v1/transactions
    """
    settings = load_config(flags).settings
    spare_inputs(() if settings.tail is None else (settings.tail,), outputs_of(settings), settings)
    token = _token(settings)
    debug = bool(click.get_current_context().find_root().params.get("debug"))
    with ExitStack() as stack:
        stop = stack.enter_context(stopping(patient=True))
        stack.enter_context(owned(settings.state))
        log = RejectLog(settings.rejects, say=lambda line: tell([line]))
        stack.callback(log.close)
        pipeline = pipeline_of(settings, live=True, partial=True)
        # the live page is this command's chart
        outputs = Outputs(replace(settings, chart="never"), stack, notify, live=True, reader=None)
        engine = Engine(settings, pipeline, time.time, log, (outputs.accept,))
        engine.session.restore()
        engine.session.remember(outputs)
        engine.session.remember(engine)
        controls = LiveControls(engine.session, outputs, stop, flags, engine.adopt, engine.save_now)
        code, written = _run(settings, engine, token, debug, stop, controls)
        outputs.kept(written and settings.state is not None)
        return code


def _token(settings: Settings) -> str | None:
    token = os.environ.get("TXMON_TOKEN") or None
    if token is None and not is_loopback(settings.host):
        raise UsageError(f"--host {settings.host}: others than this machine need a token; set TXMON_TOKEN")
    if token is not None and len(token) < SHORTEST:
        raise ConfigError(f"TXMON_TOKEN: {len(token)} characters are too few, {SHORTEST} the least")
    return token


def _run(
    settings: Settings, engine: Engine, token: str | None, debug: bool, stop: Stop, controls: LiveControls
) -> tuple[ExitCode, bool]:
    """Serve until SIGTERM or SIGINT; answer what is under way, and write what is known: whether that worked."""
    tz = ZoneInfo(settings.tz)
    options, times = parsing_of(settings, datetime.now(tz).date())
    intake = Intake(options, times, time.time, tz if settings.date is None else None)
    guard = Guard(token, (settings.host, *settings.allow_host), time.time)
    app = App(engine, intake, guard, debug)
    limits = Limits(body=settings.max_body, connections=settings.connections)
    listener = Listener(settings.host, settings.port, app.handle, limits, app.admit)
    tail = Tail(settings.tail, engine, intake) if settings.tail is not None else None
    listener.start()
    if tail is not None:
        tail.start()
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    click.echo(f"txmon: serving on http://{shown}:{listener.port}/", err=True)
    trouble = ""
    while not stop.wait(TICK):
        controls.obey()
        engine.tick(TICK)
        tell(engine.session.taken_notices())
        if engine.trouble != trouble:
            trouble = engine.trouble
            click.echo(f"txmon: {printable(trouble, None)}", err=True)
    app.draining = True
    if tail is not None:
        tail.stop()
    engine.feed.hub.close()
    answered = listener.stop(PATIENCE)
    written = engine.finish(LAST)
    if engine.trouble != trouble:
        click.echo(f"txmon: {printable(engine.trouble, None)}", err=True)
    for line in engine.farewell():
        click.echo(f"txmon: {printable(line, None)}", err=True)
    return ExitCode.OK if answered and written else ExitCode.IO, written
