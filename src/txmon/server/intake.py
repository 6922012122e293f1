"""Parses bodies into records: one JSON object, an array of them, JSON lines or CSV, with or without gzip."""

import json
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import tzinfo
from itertools import islice
from typing import Any, Final

from txmon.errors import BadData
from txmon.ingest.aggregate.aggregator import Aggregator
from txmon.ingest.aggregate.ledger import Item
from txmon.ingest.compression import gunzip
from txmon.ingest.formats.documents import is_document, is_series, rows_of
from txmon.ingest.reading import Hints, Reading
from txmon.ingest.records import ParseOptions, Record, RecordParser, Reject
from txmon.ingest.timestamps import HALF_DAY, TimeParser
from txmon.model.clock import iso
from txmon.server.http.message import HttpError, Request
from txmon.server.readings import BodyReadings

LINES: Final = frozenset(
    (
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/jsonlines",
    )
)
TABLES: Final = ("text/csv", "text/tab-separated-values")
SPACE: Final = b" \t\r\n"
STRETCH: Final = 10_000  # lines read at a time
MANY: Final = 20  # lines from which adding up is worth its preparation
TYPES: Final = "application/json, application/x-ndjson or text/csv"


@dataclass(frozen=True, slots=True)
class Payload:
    """A body, decoded as far as possible without a parser: rows, or raw lines."""

    rows: list[object]
    lines: list[bytes]
    format: str = "jsonl"  # of the lines
    body: bytes = b""  # of CSV, as a whole

    def parse(self, parser: RecordParser) -> Iterator[Record | Reject]:
        """Yield the records and rejects, in order. Raise HttpError 422 if CSV has no usable header."""
        rows = _at_once(self.lines) if self.format == "jsonl" and self.lines else self.rows
        if rows is None or self.format == "csv":
            with _as_http(parser):
                yield from parser.parse(self.lines)
        else:
            yield from parser.taken(rows)


@contextmanager
def _as_http(parser: RecordParser) -> Iterator[None]:
    """Turn errors of a file's reader into the answer 422."""
    try:
        yield
    except BadData as bad:
        raise HttpError(422, str(bad).removeprefix(f"{parser.source}: ")) from None


def payload_of(request: Request, most: int) -> Payload:
    """Return the body of a request for transactions. Raise HttpError 400, 413, 415 or 422.

    most: bytes after unpacking.
    """
    body = _utf8(unpack(request, most))
    kind = content_type(request)
    if kind != "application/json" and kind not in LINES and kind not in TABLES:
        said = f"the request says {kind}" if kind else "the request has no Content-Type"
        raise HttpError(415, f"{said}. Send {TYPES}")
    if not body.strip():
        raise HttpError(422, f"the body is empty. Send transactions as {TYPES}")
    if kind == "application/json":
        return _json_payload(body)
    lines = body.split(b"\n")
    if kind in LINES:
        return Payload([], lines)
    if sum(1 for _ in islice(filter(bytes.strip, lines), 2)) < 2:
        raise HttpError(422, "the body has a header, but no row after it")
    return Payload([], lines, "csv", body)


def _utf8(body: bytes) -> bytes:
    """Return the body in UTF-8. A body that starts like UTF-16 is converted. Raise HttpError 400 if that fails."""
    if not body.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return body
    try:
        return body.decode("utf-16").encode()
    except UnicodeDecodeError as bad:
        raise HttpError(400, f"not UTF-16: {bad.reason} at byte {bad.start}") from None


def _json_payload(body: bytes) -> Payload:
    """Return the rows of one object, of an array, or of objects in sequence. Raise HttpError 400 or 422."""
    elements = _elements(body)
    if elements is not None:
        return Payload([], elements)
    try:
        value = decode(body)
    except HttpError:
        rows = _one_after_the_other(body)
        if rows is None:
            raise
        return rows
    if isinstance(value, dict):
        holds = any(isinstance(inner, dict | list) for inner in value.values())
        return _document_payload(body) if holds and is_document(value) else Payload([value], [])
    if isinstance(value, list) and value:
        series = isinstance(value[0], list) or (isinstance(value[0], dict) and is_series(value[0]))
        return _document_payload(body) if series else Payload(value, [])
    raise HttpError(422, "neither an object nor an array of objects")


def _document_payload(body: bytes) -> Payload:
    """Return the rows of a document, such as an answer of Prometheus or Elastic.

    Raise HttpError 422 if it contains none.
    """
    try:
        _, rows, _ = rows_of("the body", body)
        return Payload([], list(rows))
    except BadData as bad:
        raise HttpError(422, str(bad)) from None


def _elements(body: bytes) -> list[bytes] | None:
    """Return the elements of a long array as JSON lines, which are read many times faster, or None for another body."""
    if not body.lstrip(SPACE).startswith(b"[") or body.count(b"{") <= MANY:
        return None
    import msgspec

    try:
        found = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None  # Python's reader reports the error, or accepts what only it accepts
    lines = [bytes(element) for element in found]
    if len(lines) <= MANY or not all(line[:1] == b"{" for line in lines):
        return None
    # JSON lines contain no line ends
    return [msgspec.json.format(line, indent=-1) for line in lines] if b"\n" in lines[0] else lines


def _one_after_the_other(body: bytes) -> Payload | None:
    """Return the rows of JSON lines, or of adjacent objects, that were sent as application/json.

    Return None if the first is not an object. Some log shippers send such bodies.
    """
    lines = body.split(b"\n")
    first = next((line for line in lines if line.strip()), b"")
    if isinstance(_value(first), dict):
        return Payload([], lines)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    reader, rows, at = json.JSONDecoder(), list[object](), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            row, at = reader.raw_decode(text, at)
        except (ValueError, RecursionError):
            return None
        if not isinstance(row, dict):
            return None
        rows.append(row)
    return Payload(rows, []) if rows else None


def _value(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def content_type(request: Request) -> str:
    """Return the media type of the body in lower case, without parameters, or "" if none is given."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def decode(body: bytes) -> object:
    """Return decoded JSON. Raise HttpError 400 if it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as bad:
        raise HttpError(400, f"no JSON: {str(bad)[:100]}") from None


def decode_object(request: Request, most: int) -> Mapping[str, Any]:
    """Return the JSON object in the body, which may be inside a JSON text. Raise HttpError 400, 413, 415 or 422."""
    if content_type(request) != "application/json":
        raise HttpError(415, "send application/json")
    value = decode(unpack(request, most))
    if isinstance(value, str):
        value = decode(value.encode("utf-8", "replace"))
    if not isinstance(value, dict):
        raise HttpError(422, "not a JSON object")
    return value


def _at_once(lines: list[bytes]) -> list[object] | None:
    """Return all `lines` decoded as one array, three times as fast as one by one.

    Return None if the result might differ.
    """
    lines = lines[:-1] if not lines[-1].strip() else lines
    together = b",\n".join(lines)
    if b"[" in together:
        return None  # only an array could start in one line and end in another
    if not all(line[:1] == b"{" and line.rstrip()[-1:] == b"}" for line in lines):
        return None
    try:
        rows: list[object] = json.loads(b"[" + together + b"]")
    except (ValueError, RecursionError):
        return None
    return rows if len(rows) == len(lines) else None


def unpack(request: Request, most: int) -> bytes:
    """Return the unpacked body. Raise HttpError 400, 413 or 415."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding == "identity":
        return request.body
    if coding not in ("gzip", "x-gzip"):
        raise HttpError(415, "gzip is the only supported Content-Encoding", headers=(("Accept-Encoding", "gzip"),))
    try:
        return gunzip(request.body, most)
    except OverflowError as bad:
        raise HttpError(413, f"the body {bad}") from None
    except ValueError as bad:
        raise HttpError(400, str(bad)) from None


class Intake:
    """Parses payloads one after the other with one parser of times. Only one thread may use it at a time."""

    def __init__(
        self,
        options: ParseOptions,
        times: TimeParser,
        clock: Callable[[], float],
        tz: tzinfo | None = None,
        hints: Hints | None = None,
        most: int = 1 << 30,
    ) -> None:
        """Create it. clock: epoch seconds.

        tz: of times without a date, dated nearest to the clock; None: they follow each other.

        hints: the settings for reading; None to read as `options` define. most: bytes of a body after unpacking.
        """
        self.readings = BodyReadings(hints or Hints(options))
        self._most = most
        self.options = options
        self._times = times
        self._clock = clock
        # the format, the reading and the options of the last body; most bodies are alike
        self._prepared: tuple[str, Reading | None, ParseOptions] | None = None
        self._live = tz is not None
        if self._live:
            times.go_live(int(clock()), HALF_DAY)

    def parser(self, source: str, kind: str = "jsonl", reading: Reading | None = None) -> RecordParser:
        """Return a parser of one source. kind: auto, csv or jsonl. reading: the decision about the source."""
        options = self.options
        found = self._prepared
        if found is None or found[0] != kind or found[1] is not reading:
            own = ParseOptions(
                kind, options.mapping, options.by, options.max_line, money=options.money, drivers=options.drivers
            )
            found = self._prepared = kind, reading, own if reading is None else reading.options(own)
        own = found[2]
        if reading is None:
            self._times.decide("")
            return RecordParser(source, own, self._times)
        self._times.decide(reading.order if reading.order in ("dmy", "mdy") else "", reading.time_form)
        return RecordParser(source, own, self._times)

    def _read(self, payload: Payload, source: str) -> tuple[Reading | None, Payload]:
        """Return how a payload is read, and its rows. Raise HttpError 422 if the rows allow two readings."""
        if payload.format == "csv":
            reading, lines = self.readings.of_csv(payload.body, payload.lines, source, self._most)
            return reading, replace(payload, lines=lines)
        if payload.lines:
            return self.readings.of_lines(payload.lines, source), payload
        return self.readings.of_rows(payload.rows, source), payload

    def rows(self, rows: Sequence[object], source: str, latest: int) -> Iterator[Record | Reject]:
        """Return the records and rejects of rows with txmon's own names, whatever columns files have."""
        own = self.options
        options = ParseOptions("jsonl", {}, own.by, own.max_line, money=own.money, drivers=own.drivers)
        parser = RecordParser(source, options, self._times)
        return self.timely(parser, parser.taken(rows), latest)

    def parse(self, payload: Payload, source: str, latest: int, width: int) -> Iterator[Item | Reject]:
        """Yield the records and rejects of `payload`, in order.

        Records later than `latest` (epoch seconds) are rejects.

        Among many lines, consecutive ones of one bucket of `width` seconds are added up. They are read in parts, so
        that a body of rejects is never completely in memory. Nothing is read before the first item is requested,
        because the parser of times is shared.
        """
        reading, payload = self._read(payload, source)
        parser = self.parser(source, payload.format, reading)
        if len(payload.lines) <= MANY:
            yield from self.timely(parser, payload.parse(parser), latest)
            return
        self._wake()
        adding = Aggregator(parser, width)
        for at in range(0, len(payload.lines), STRETCH):
            lines, before = payload.lines[at : at + STRETCH], self._times.snapshot()
            with _as_http(parser):
                found = adding.take(lines)
            if all(isinstance(item, Reject) or item.time <= latest for item in found):
                yield from found
                continue
            self._times.restore(before)  # read again, line by line
            if at == 0:
                parser = self.parser(source, payload.format, reading)
            parser.lines = at
            yield from self.timely(parser, Payload([], lines, payload.format).parse(parser), latest)
            adding = Aggregator(parser, width)

    def timely(self, parser: RecordParser, items: Iterable[Record | Reject], latest: int) -> Iterator[Record | Reject]:
        """Yield what `parser` returns, with a reject for each record later than `latest` (epoch seconds)."""
        self._wake()
        rest = iter(items)
        while True:
            before = self._times.snapshot()
            item = next(rest, None)
            if item is None:
                return
            if isinstance(item, Record) and item.time > latest:
                # it must not change the date of times without one; otherwise 23:59 and 00:01 would add a day for each
                # pair
                self._times.restore(before)
                reason = f"{iso(item.time)} is in the future"
                yield Reject(parser.source, parser.lines, "future", reason, str(item).encode())
            else:
                yield item

    def _wake(self) -> None:
        """Date times of day by the current time."""
        if self._live:
            self._times.look(int(self._clock()))
