"""Declares every setting once. The flag, the environment variable, the TOML key and the help are derived from here."""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import field, fields
from functools import partial
from typing import Any, Final

from txmon.model.statuses import ROLES
from txmon.settings.closing import Closed, closed_rules
from txmon.settings.parsers import (
    ByStatus,
    Shown,
    budget,
    by_status,
    calendar_date,
    choice,
    column_list,
    command_line,
    duration,
    networks,
    number,
    pairs,
    path,
    secret_file,
    size,
    status_roles,
    switch,
    text_encoding,
    text_of,
    time_form,
    time_zone,
    url_path,
    web_address,
    whole,
)
from txmon.settings.routing import Mention, Route, mentions, routes
from txmon.settings.rule import Rule, parse_rules, rules_text
from txmon.settings.schedule import Clock, Hours, Silence, clock, hours, silences
from txmon.support.frozen import frozen

Parser = Callable[[object], object]
MINUTE: Final = 60
HOUR: Final = 3600


@frozen
class Declaration:
    """How one setting is parsed and explained."""

    section: str
    help: str
    parse: Parser  # from a text or a TOML value to the setting's value; ValueError gives the reason
    show: Callable[[Any], str]  # from a value that is set to the text that its flag accepts
    metavar: str | None
    many: bool  # the flag may be repeated
    default_text: str | None  # for the help, if the default is not a value

    def text(self, value: object) -> str:
        """Return a value of this setting as the text that its flag accepts, or "" if it is not set."""
        return "" if value is None or value == () or value == {} else self.show(value)


def _setting(
    section: str,
    default: object,
    help_text: str,
    parse: Parser,
    metavar: str | None = None,
    many: bool = False,
    default_text: str | None = None,
) -> Any:
    show = parse.show if isinstance(parse, Shown) else text_of
    declaration = Declaration(section, help_text, parse, show, metavar, many, default_text)
    metadata = {"declaration": declaration}
    if default == {}:
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


_input = partial(_setting, "input")
_detection = partial(_setting, "detection")
_incidents = partial(_setting, "incidents")
_output = partial(_setting, "output")
_telling = partial(_setting, "notifications")
_state = partial(_setting, "state")
_server = partial(_setting, "server")


@frozen
class Settings:
    """The settings of one run. Durations are in seconds."""

    format: str = _input("auto", "Format of the input.", choice("auto", "csv", "jsonl", "json", "logfmt"))
    map: Mapping[str, str] = _input(
        {}, "Column of a field: count=F1, status=transaction.status; count= for none.",
        pairs(keys=("time", "status", "count", "amount", "currency", "id", "date", "zone"), off=True), "FIELD=COLUMN",
        many=True,
    )  # fmt: skip
    wide: tuple[str, ...] = _input(
        (), "Columns with the counts of one status each. *: all columns of whole numbers.", column_list, "COLUMN,...",
        default_text="detected from their names",
    )  # fmt: skip
    encoding: str | None = _input(
        None, "Encoding of the text: latin-1, cp1252.", text_encoding, "NAME", default_text="UTF-8, or UTF-16 if marked"
    )
    time_format: str | None = _input(
        None, "Form of the times: '%d/%m/%Y %H:%M', or epoch-ms.", time_form, "FORMAT",
        default_text="detected from the values",
    )  # fmt: skip
    day_first: bool = _input(False, "Read 05/03/2024 as 5 March.", switch)
    month_first: bool = _input(False, "Read 05/03/2024 as May 3.", switch)
    date_column: str | None = _input(
        None, "Column with the date of a time of day.", path, "COLUMN", default_text="detected from its name"
    )
    no_reading: bool = _input(False, "Do not print how the input is read.", switch)
    date: datetime.date | None = _input(
        None, "Date for times without one.", calendar_date, "YYYY-MM-DD", default_text="today"
    )  # fmt: skip
    tz: str = _input("UTC", "Time zone for times without one.", time_zone, "ZONE")
    group_by: tuple[str, ...] = _input(
        (), "Judge each value of these columns separately, for example each merchant.", column_list, "COLUMN,..."
    )
    drivers: tuple[str, ...] = _detection(
        (), "Columns whose values may explain an alert, for example issuer,merchant.", column_list,
        "COLUMN,...",
    )  # fmt: skip
    drivers_keep: int = _detection(
        10_000, "Most values of each column of --drivers that txmon keeps.", whole(10, 1_000_000), "N"
    )
    drivers_share: float = _detection(
        0.2, "Part of --budget for values of --drivers that fail by themselves. 0: none.", number(0, 0.9), "X"
    )
    role: Mapping[str, str] = _input(
        {}, "Role of a status: paid=success.", status_roles(ROLES), "STATUS=ROLE", many=True
    )
    strict: bool = _input(False, "Stop at the first bad record, with exit code 65.", switch)
    rejects: str | None = _input(None, "Save bad records to this file, with the reason.", path, "FILE")
    max_ahead: int = _input(
        2 * MINUTE, "Reject live records that are further ahead of the clock.", duration(MINUTE, 366 * 86400), "TIME"
    )
    max_line: int = _input(1 << 20, "Longest line that txmon reads.", size(1 << 10, 16 << 20), "SIZE")

    bucket: int = _detection(MINUTE, "Width of a bucket.", duration(10, HOUR, divides_day=True), "TIME")
    lateness: int | None = _detection(
        None, "How long a bucket waits for late records before it closes.", duration(0, HOUR), "TIME",
        default_text="5s live, 0s in replay",
    )  # fmt: skip
    half_life: int = _detection(15 * MINUTE, "Half-life of the expected volume.", duration(MINUTE, 86400), "TIME")
    mix_half_life: int = _detection(2 * HOUR, "Half-life of each status's share.", duration(MINUTE, 7 * 86400), "TIME")
    warmup: int = _detection(30 * MINUTE, "How long txmon learns before it judges.", duration(0, 86400), "TIME")
    budget: float = _detection(
        1 / 7, "False alarms that you accept over all series: 1/day, 1/week, 0.1/hour.", budget, "N/UNIT"
    )
    sigma: float | None = _detection(
        None,
        "Alert threshold as a score, 2 to 20, instead of --budget.",
        number(2, 20),
        "SIGMAS",
        default_text="from --budget",
    )
    min_count: ByStatus[int] = _detection(
        ByStatus(3),
        "Fewest transactions that can alert: 3, failed=5.",
        by_status(whole(0, 10**9), 3),
        "[STATUS=]N",
        many=True,
    )
    min_ratio: ByStatus[float] = _detection(
        ByStatus(1.5), "Smallest ratio of count to expected count that can alert: 1.5, denied=2.",
        by_status(number(1, 1000), 1.5), "[STATUS=]X", many=True,
    )  # fmt: skip
    direction: Mapping[str, str] = _detection(
        {},
        "Side on which a status alerts: approved=below.",
        pairs(values=("above", "below", "both")),
        "STATUS=SIDE",
        many=True,
    )
    level_shift: int = _detection(
        2 * HOUR, "How long a deviation lasts before txmon follows the new level.", duration(MINUTE, 7 * 86400), "TIME"
    )

    closed: tuple[Closed, ...] = _detection(
        (),
        "Closed hours, without expected transactions: weekday=sat+sun;time=22:00-08:00;date=2026-12-25;holidays=BR-SP.",
        closed_rules,
        "HOURS",
        many=True,
    )

    rule: tuple[Rule, ...] = _detection(
        (),
        "Rule in addition to the score: 'failed: count >= 20 or share > 5% for 3m'.",
        Shown(parse_rules, rules_text),
        "RULE",
        many=True,
    )
    mode: str = _detection("both", "Whether the score alerts, the rules, or both.", choice("score", "rules", "both"))
    explain: bool = _detection(False, "Explain in each verdict which statuses deviate, in percent.", switch)
    idle: int = _detection(
        86400, "How long without a record before txmon forgets a key.", duration(HOUR, 366 * 86400), "TIME"
    )
    max_series: int = _detection(
        2_000_000, "Most series that txmon keeps. It forgets the keys seen least recently first.", whole(10, 10**8), "N"
    )

    open_after: int | None = _incidents(
        None, "How long alerts must last before an incident opens.", duration(0, HOUR), "TIME",
        default_text="a strong one at once, else 2 in 3 buckets",
    )  # fmt: skip
    resolve_after: int = _incidents(
        5 * MINUTE, "How long a status must be normal before an incident resolves.", duration(MINUTE, 86400), "TIME"
    )
    merge_within: int = _incidents(
        5 * MINUTE, "Keys that begin to fail within this time are one incident of the platform.", duration(0, 86400),
        "TIME",
    )  # fmt: skip
    remind_every: int = _incidents(
        HOUR, "Time between reminders of an open incident.", duration(MINUTE, 7 * 86400), "TIME"
    )

    state: str | None = _state(
        None, "Keep the baselines and positions in this file, and continue from it.", path, "FILE"
    )
    out: str | None = _output(
        None,
        "Write to this file instead of standard output; or to sql:URL/TABLE (txmon[sql]) or parquet:DIR.",
        path,
        "FILE",
    )
    only: str = _output("all", "Which verdicts to write.", choice("all", "alerts"))
    fail_on: str = _output("none", "Exit with code 3 when something alerted.", choice("none", "alert"))
    log: str | None = _output(
        None, "Keep verdicts and counts in this folder, one file per hour, for `txmon query`.", path, "DIR"
    )
    log_keep: int | None = _output(
        None, "How long the folder keeps them.", duration(HOUR, 3660 * 86400), "TIME", default_text="without limit"
    )
    chart: str = _output("auto", "Whether to draw the live chart on standard error.", choice("auto", "always", "never"))
    quiet: bool = _output(False, "Print only warnings and errors: no chart, no summary, no reading.", switch)
    verbose: bool = _output(False, "Also print the settings that are not the default, counts and times.", switch)
    log_format: str = _output("text", "Format of the messages on standard error.", choice("text", "json"))
    speed: float | None = _output(
        None, "Replay at X times real time.", number(1e-3, 1e6), "X", default_text="as fast as possible"
    )

    teams_webhook_file: str | None = _telling(
        None, "File with the Teams webhook's address. Or set TXMON_TEAMS_WEBHOOK.", secret_file, "FILE"
    )
    teams_format: str = _telling(
        "adaptive", "Card for Workflows, or for a legacy connector.", choice("adaptive", "messagecard")
    )
    webhook_file: str | None = _telling(
        None, "File with the address of a JSON webhook. Or set TXMON_WEBHOOK.", secret_file, "FILE"
    )
    webhook_secret_file: str | None = _telling(
        None, "File with the key that signs its requests. Or set TXMON_WEBHOOK_SECRET.", secret_file, "FILE"
    )
    apprise_file: str | None = _telling(
        None, "File with one Apprise address per line (txmon[apprise]). Or set TXMON_APPRISE.", secret_file, "FILE"
    )
    exec: str | None = _telling(
        None, "Command that gets each notification as JSON on its standard input.", command_line, "COMMAND"
    )
    alertmanager: str | None = _telling(
        None, "Address of a Prometheus Alertmanager that gets each incident as an alert.", web_address, "URL"
    )
    route: tuple[Route, ...] = _telling(
        (), "Channels for an incident. The first match applies: severity=critical;status=denied;to=teams+exec.",
        routes, "ROUTE", many=True,
    )  # fmt: skip
    mention: tuple[Mention, ...] = _telling(
        (), "Person to mention in Teams cards when an incident starts or gets worse: 'Ana Lima <ana@bank.example>'.",
        mentions, "PERSON", many=True,
    )  # fmt: skip
    notify_timeout: int = _telling(30, "How long a receiver may take to answer.", duration(1, 600), "TIME")
    max_age: int = _telling(
        HOUR,
        "In live runs, send nothing about an incident that ended this long ago. 0 sends all.",
        duration(0, 366 * 86400),
        "TIME",
    )
    max_cards: int = _telling(
        20, "Most notifications in an hour; the others come in one digest. 0 is any number.", whole(0, 10**6), "N"
    )
    link: str | None = _telling(None, "Address of the live page, for a card's button.", web_address, "URL")
    digest: Clock | None = _telling(None, "Time of day of a daily summary.", clock, "HH:MM")
    quiet_hours: Hours | None = _telling(
        None,
        "Hours in which only incidents that get worse are sent. All others wait until their end: 22:00-06:00.",
        hours,
        "HH:MM-HH:MM",
    )
    silence: tuple[Silence, ...] = _telling(
        (), "Maintenance window: status=denied;key=merchant:m1;time=02:00-04:00;weekday=sat+sun.", silences, "WINDOW",
        many=True,
    )  # fmt: skip
    trend_every: int = _telling(
        30 * MINUTE,
        "Shortest time between two notifications that a status rises. 0: never.",
        duration(0, 86400),
        "TIME",
    )
    heartbeat: str | None = _output(
        None, "Address to call each minute while txmon is healthy (a dead man's switch).", web_address, "URL"
    )
    spool: str | None = _telling(
        None, "Folder in which notifications wait until they are sent.", path, "FOLDER",
        default_text="~/.local/state/txmon/spool",
    )  # fmt: skip
    flush_timeout: int = _telling(
        10, "At exit, wait this long for undelivered notifications.", duration(0, HOUR), "TIME"
    )

    host: str = _server(
        "127.0.0.1", "Address to listen on. Any other address than the default needs TXMON_TOKEN.", path, "ADDRESS"
    )
    port: int = _server(8080, "Port to listen on. 0 takes any free port.", whole(0, 65535), "N")
    allow_host: tuple[str, ...] = _server(
        (), "Host name that clients may use, in addition to IP addresses and localhost.", column_list, "NAME,..."
    )
    tail: str | None = _server(
        None, "Also read this file, or the files of a quoted pattern, as they grow. - is standard input.", path, "FILE"
    )
    otlp: tuple[str, ...] = _server(
        (), "OpenTelemetry counters to receive at /v1/metrics (txmon[otlp]).", column_list, "NAME,..."
    )
    max_body: int = _server(1 << 20, "Largest request body.", size(1 << 10, 64 << 20), "SIZE")
    max_unpacked: int = _server(
        4, "How many times --max-body a gzip body may unpack to.", whole(1, 1000), "N"
    )  # fmt: skip
    connections: int = _server(512, "Most connections at a time.", whole(2, 10_000), "N")
    per_address: int | None = _server(
        None, "Most connections of one address, trusted proxies excepted.", whole(1, 10_000), "N",
        default_text="half of --connections",
    )  # fmt: skip
    tokens_file: str | None = _server(
        None, "File with more tokens, one per line: SCOPE[,SCOPE] TOKEN. Scopes are ingest, read and admin.",
        secret_file, "FILE",
    )  # fmt: skip
    tls_cert: str | None = _server(
        None, "Serve HTTPS with this certificate (PEM, with its chain). SIGHUP reads it again.", path, "FILE"
    )
    tls_key: str | None = _server(None, "Key of that certificate (PEM, without a password).", path, "FILE")
    trusted_proxy: tuple[str, ...] = _server(
        (), "Proxies whose X-Forwarded-For, -Proto and -Host are believed.", networks, "ADDRESS,...", many=False
    )  # fmt: skip
    base_path: str = _server("", "Path under which a proxy shows the page.", url_path, "/PATH", default_text="/")
    drain_delay: int = _server(
        0, "After SIGTERM, keep answering for TIME while /readyz answers 503.", duration(0, HOUR), "TIME"
    )
    durability: str = _state(
        "batch", "With --state: how many rows answered with 200 a crash may lose.",
        choice("batch", "always", "none"),
    )  # fmt: skip
    access_log: str | None = _server(
        None, "Write one JSON line per request to this file. - is standard error.", path, "FILE"
    )
    log_level: str = _server("info", "Lowest level of messages to write.", choice("info", "warning", "error"))


DECLARATIONS: Final[Mapping[str, Declaration]] = {f.name: f.metadata["declaration"] for f in fields(Settings)}
DEFAULTS: Final = Settings()
SECTIONS: Final = ("input", "detection", "incidents", "output", "notifications", "state", "server")
# the names that settings had before 0.2.0; flags, variables and files still accept them
FORMER: Final[Mapping[str, str]] = {
    "by": "group_by",
    "confirm": "open_after",
    "clear": "resolve_after",
    "join": "merge_within",
    "repeat": "remind_every",
    "drain": "flush_timeout",
}


def present_name(name: str, value: object) -> str:
    """Return the current name of the setting `name` with this value.

    A name that was never changed is returned as it is.

    `quiet` was the name of the quiet hours. It is now a switch.
    """
    if name == "quiet" and isinstance(value, str) and ":" in value:
        return "quiet_hours"
    return FORMER.get(name, name)


def flag(name: str) -> str:
    """Return the command-line flag of a setting."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return "TXMON_" + name.upper()


def text_of_setting(settings: Settings, name: str) -> str:
    """Return the value of `name` in `settings` as the text that its flag accepts, or "" if it is not set."""
    return DECLARATIONS[name].text(getattr(settings, name))


def default_text(name: str) -> str:
    """Return the default of a setting as its help shows it."""
    declaration = DECLARATIONS[name]
    return declaration.default_text or text_of_setting(DEFAULTS, name) or "none"
