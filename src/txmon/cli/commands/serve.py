"""`txmon serve`: runs the HTTP endpoint and the live page."""

import os
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from txmon.cli.help_page import Command, option
from txmon.cli.live_controls import LiveControls
from txmon.cli.messages import tell
from txmon.cli.options import DRIVING, JUDGING, MESSAGES, READING, load_config, options
from txmon.cli.outputs import TELLING, Outputs
from txmon.cli.own_inputs import is_pattern, outputs_of, spare_inputs
from txmon.cli.verbose import Verbose
from txmon.errors import ConfigError, ExitCode, IoFailure, UsageError
from txmon.ingest.rejects import RejectLog
from txmon.runtime.factory import pipeline_of
from txmon.runtime.heartbeat import Vitals
from txmon.runtime.reader import hints_of, parsing_of
from txmon.runtime.signals import Stop, stopping
from txmon.runtime.state_lock import owned
from txmon.server.access import AccessLog
from txmon.server.app import App
from txmon.server.engine import TICK, Engine
from txmon.server.guard import SHORTEST, Guard, Token, read_tokens
from txmon.server.http.connection import Limits
from txmon.server.http.listener import Listener, is_loopback
from txmon.server.intake import Intake
from txmon.server.locks import Busy
from txmon.server.messages import ServerLog
from txmon.server.otlp import can_read_protobuf
from txmon.server.tail import Tail
from txmon.settings.declarations import Settings
from txmon.support.plurals import counted

if TYPE_CHECKING:
    from txmon.server.http.tls import Tls

# the sender receives an answer for a bad record, so --strict does not apply
PARSING = tuple(name for name in READING if name != "strict")
SERVING = (
    "host", "port", "allow_host", "base_path", "trusted_proxy", "tokens_file", "tls_cert", "tls_key", "state",
    "durability", "tail", "otlp", "max_ahead", "max_body", "max_unpacked", "connections", "per_address", "drain_delay",
    "access_log", "log_level", *MESSAGES,
)  # fmt: skip
PATIENCE = 20.0  # seconds for requests in flight at the end
SWITCH = 0.001  # seconds after which a computing thread lets another one answer
LAST = 5.0  # further seconds for a request that is still being processed, before the state is left as it was


@click.command(
    cls=Command,
    short_help="Receive transactions over HTTP and show a live page.",
    common=("host", "port", "state", "group_by", "bucket", "budget", "rule", "out", "log", "notify"),
)
@options(*SERVING, *PARSING, *JUDGING, *DRIVING, "out", "only", "log", "log_keep", "heartbeat")
@option(
    "--notify",
    section="Notifications",
    is_flag=True,
    help="Notify people of incidents. Test it with `txmon notify --test`.",
)
@options(*TELLING)
def serve(notify: bool, **flags: object) -> ExitCode:
    """Receive transactions over HTTP and answer with a recommendation. The live page is at /.

    Verdicts go to standard output or --out FILE. If TXMON_TOKEN is set, clients must send that token
    (Authorization: Bearer), and the page asks for it. Without a token, txmon listens only on this machine.

    \b
    Examples:
      txmon serve --state txmon.state
      curl -H content-type:text/csv --data-binary @transactions.csv http://127.0.0.1:8080/v1/transactions
    """
    config = load_config(flags)
    settings = config.settings
    Verbose(config)
    spare_inputs(() if settings.tail is None else (settings.tail,), outputs_of(settings), settings)
    token, tokens = _tokens(settings)
    if settings.otlp and not can_read_protobuf():
        tell(["--otlp reads JSON only. For protobuf, which most exporters send: pip install 'txmon[otlp]'"])
    say = ServerLog(settings.log_format, "warning" if settings.quiet else settings.log_level, time.time)
    debug = bool(click.get_current_context().find_root().params.get("debug"))
    with ExitStack() as stack:
        lock = stack.enter_context(owned(settings.state))
        log = RejectLog(settings.rejects, say=lambda line: tell([line]))
        stack.callback(log.close)
        pipeline = pipeline_of(settings, live=True, partial=True, detailed=True)
        # this command shows the live page instead of a chart
        outputs = Outputs(replace(settings, chart="never"), stack, notify, live=True, reader=None)
        engine = Engine(settings, pipeline, time.time, log, (outputs.accept,))
        outputs.pause = engine.turn.lend
        outputs.hear(engine.notified)
        engine.session.restore()
        engine.session.remember(outputs)
        engine.session.remember(engine)
        rows = engine.replay()
        if rows:
            say.info(f"{rows} rows of the journal were not in the state yet, and were taken again")
        journal = _access_log(settings, stack, say)
        guard = Guard(
            token, (settings.host, *settings.allow_host), time.time, tokens, settings.trusted_proxy, settings.base_path
        )
        controls = LiveControls(
            engine.session, outputs, flags, engine.adopt, engine.save_now, say.info, engine.report, lock
        )
        if settings.tokens_file is not None:
            controls.renew.append(lambda: _renewed(guard, str(settings.tokens_file)))
        stop = stack.enter_context(stopping(patient=True))
        code, written = _run(settings, engine, guard, say, journal, debug, controls, stop)
        outputs.kept(written and settings.state is not None)
    return ExitCode.IO if outputs.lost else code


def _tokens(settings: Settings) -> tuple[str | None, list[Token]]:
    token = os.environ.get("TXMON_TOKEN") or None
    tokens = read_tokens(settings.tokens_file) if settings.tokens_file is not None else []
    if token is None and not tokens and not is_loopback(settings.host):
        raise UsageError(
            f"--host {settings.host} accepts other machines, so clients need a token."
            " Set TXMON_TOKEN, or use --host 127.0.0.1."
        )
    if token is not None and len(token) < SHORTEST:
        raise ConfigError(f"TXMON_TOKEN: {len(token)} characters are too few. Use at least {SHORTEST}.")
    return token, tokens


def _renewed(guard: Guard, path: str) -> str:
    """Read the tokens again. Return a message about them."""
    tokens = read_tokens(path)
    guard.renew(tokens)
    return f"{path}: {counted(len(tokens), 'token')} read again"


def _encryption(settings: Settings, say: ServerLog) -> "Tls | None":
    """Return TLS as configured, or None. Raise UsageError or ConfigError if it is not possible."""
    if settings.tls_cert is None and settings.tls_key is None:
        return None
    if settings.tls_cert is None or settings.tls_key is None:
        raise UsageError("--tls-cert and --tls-key belong together; give both")
    from txmon.server.http.tls import Tls  # imported here because OpenSSL is slow to load

    return Tls(settings.tls_cert, settings.tls_key, say.warning)


def _access_log(settings: Settings, stack: ExitStack, say: ServerLog) -> AccessLog | None:
    if settings.access_log is None:
        return None
    try:
        log = AccessLog(settings.access_log, time.time, say.warning)
    except OSError as bad:
        raise IoFailure(f"{settings.access_log}: {bad.strerror}") from bad
    stack.callback(log.close)
    return log


def _run(
    settings: Settings,
    engine: Engine,
    guard: Guard,
    say: ServerLog,
    journal: AccessLog | None,
    debug: bool,
    controls: LiveControls,
    stop: Stop,
) -> tuple[ExitCode, bool]:
    """Serve until SIGTERM or SIGINT, answer the requests in flight, and write the state. Return whether that worked."""
    sys.setswitchinterval(SWITCH)
    encryption = _encryption(settings, say)
    if encryption is not None:
        controls.renew.append(encryption.reload)
    tz = ZoneInfo(settings.tz)
    options, times = parsing_of(settings, datetime.now(tz).date())
    most = settings.max_unpacked * settings.max_body
    intake = Intake(options, times, time.time, tz if settings.date is None else None, hints_of(settings), most)
    app = App(engine, intake, guard, debug, journal, (lambda line: None) if settings.no_reading else say.info)
    limits = Limits(
        body=settings.max_body, connections=settings.connections,
        each=settings.per_address or max(1, settings.connections // 2),
    )  # fmt: skip
    listener = Listener(
        settings.host, settings.port, app.handle, limits, app.admit, app.observe, app.urgent, guard.is_proxy,
        encryption,
    )  # fmt: skip
    tail = Tail(settings.tail, engine, is_pattern(settings.tail)) if settings.tail is not None else None
    listener.start()
    if tail is not None:
        tail.start()
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "http" if encryption is None else "https"
    say.info(f"serving on {scheme}://{shown}:{listener.port}{settings.base_path}/")
    vitals = Vitals(settings.heartbeat, os.environ, say.warning)
    vitals.start()
    trouble = _until_ended(engine, app, stop, say, controls, vitals)
    vitals.stop()
    if tail is not None:
        tail.stop()
    engine.feed.hub.close()
    answered = listener.stop(PATIENCE)
    written = engine.finish(LAST)
    if engine.trouble not in ("", trouble):
        say.warning(engine.trouble)
    for line in engine.farewell():
        say.info(line)
    return ExitCode.OK if answered and written else ExitCode.IO, written


def _until_ended(engine: Engine, app: App, stop: Stop, say: ServerLog, controls: LiveControls, vitals: Vitals) -> str:
    """Handle time and signals until the server ends. Return the trouble that was reported last."""
    trouble = ""
    ended: float | None = None
    while ended is None or (not stop.hurry and time.monotonic() < ended):
        stop.wait(TICK)
        if stop.signal and ended is None:
            app.draining = True  # a load balancer sees this at /readyz and sends the next requests to another server
            ended = time.monotonic() + engine.settings.drain_delay
            continue
        if stop.hangup():
            controls.reload()
        if stop.statistics():
            controls.report()
        engine.tick(TICK)
        with suppress(Busy), engine.turn(TICK):
            controls.look()
        said = engine.session.taken_notices()
        for line in said:
            say.warning(line)
        vitals.alive(engine.trouble)
        if engine.trouble != trouble:
            before, trouble = trouble, engine.trouble
            if trouble not in said:
                say.warning(trouble or f"over: {before}")
    return trouble
