"""Opens any source, detects its format, and provides its lines together with the reading that was decided for them."""

import codecs
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Final

from txmon.errors import BadData
from txmon.ingest import calendar_texts
from txmon.ingest.compression import GZIP, ZSTD
from txmon.ingest.decision import read_plan
from txmon.ingest.files import FileSource, lines_of
from txmon.ingest.formats.quotes import QuoteJoiner
from txmon.ingest.order_of_dates import decide_order, row_orders
from txmon.ingest.reading import Container, Hints, Reading
from txmon.ingest.records import BOM, RecordParser
from txmon.ingest.sample import names_known
from txmon.ingest.timestamps import TimeParser

if TYPE_CHECKING:
    from txmon.ingest.formats.columnar import ColumnFile

LARGEST: Final = 1 << 30  # bytes of a document; it is read as a whole
TOGETHER: Final = 4096  # rows of a document per list
LOOKED_AT: Final = 60  # lines among which a drawn table is searched
_STROKES: Final = (b"--", b"==", b"\xe2\x94", b"\xe2\x95")  # dashes, and Unicode's characters for boxes
HEAD: Final = 1 << 16  # bytes that are examined
SAMPLED: Final = 4 << 20  # bytes of the first rows from which a reading is decided; long rows must not fill the memory
SPOOLED: Final = 16 << 20  # bytes of a stream kept in memory if it must be read twice; more go to a temporary file
# formats that cannot be read, by their first bytes, and advice
REFUSED: Final = (
    (b"\xd0\xcf\x11\xe0", "is an Excel 97 workbook. Save it as .xlsx or CSV"),
    (b"BZh", "is packed with bzip2. Unpack it: bzip2 -dc FILE | txmon replay -"),
    (b"\xfd7zXZ\0", "is packed with xz. Unpack it: xz -dc FILE | txmon replay -"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive. Unpack it: 7z x -so FILE | txmon replay -"),
    (b"Rar!", "is a RAR archive. Unpack it: unrar p -inul FILE | txmon replay -"),
    (b"\x04\x22\x4d\x18", "is packed with LZ4. Unpack it: lz4 -dc FILE | txmon replay -"),
    (b"SQLite format 3\0", "is an SQLite database. Export a table as CSV: sqlite3 -header -csv FILE 'SELECT ...'"),
    (b"Obj\x01", "is an Avro file. Save it as Parquet, CSV or JSON lines"),
    (b"ORC", "is an ORC file. Save it as Parquet, CSV or JSON lines"),
    (b"%PDF", "is a PDF document. Export the table as CSV"),
    (b"{\\rtf", "is an RTF document. Save it as CSV"),
)
# letters and signs of Western Europe and the Americas in windows-1252; alone, none of these bytes is valid UTF-8
_WESTERN: Final = frozenset(
    "áàâãäåæçéèêëíìîïñóòôõöøúùûüýßÁÀÂÃÄÅÆÇÉÈÊËÍÌÎÏÑÓÒÔÕÖØÚÙÛÜªº°§€–—‘’“”…¿¡«»·£®\xa0".encode("cp1252")
)
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)


class OpenedSource:
    """One source with its reading. Iterate over it for lists of lines, and parse them with `parser`."""

    def __init__(self, path: str, hints: Hints, file: IO[bytes] | None = None, live: bool = False) -> None:
        """Open `path` (`-` is standard input) and decide how it is read.

        file: is read instead, and `path` is only its name. live: its rows are too few to recognize counts. Raise
        NoInput if it cannot be opened, BadData if it cannot be understood, IoFailure if reading fails.
        """
        self._hints = hints
        self._file = FileSource(path, file)
        self._text_only = file is not None
        self.name = self._file.name
        self._path = path
        self._held: list[list[bytes]] = []  # lines that were read for the sample
        self._sampled: list[bytes] = []  # the same lines, as whole rows
        self._converted = False  # whether the lines were made here, so that the file does not know about their quotes
        self._spooled: list[IO[bytes]] = []
        self.file: ColumnFile | None = None  # where the source has columns instead of lines
        try:
            self._chunks, container = self._open()
            sample = self._sample()
            self.reading = read_plan(self.name, self._sampled, hints, container, whole=sample, live=live)
            if self.reading.order == calendar_texts.UNDECIDED:
                self.reading = self._decided()
        except BaseException:
            self.close()
            raise

    @property
    def consumed(self) -> int:
        """Return the bytes of the file read so far, before unpacking."""
        return self._file.consumed

    @property
    def size(self) -> int | None:
        """Return the bytes of the file, or None if unknown, as for a pipe."""
        return self._file.size

    def __enter__(self) -> "OpenedSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        for file in self._spooled:
            file.close()

    def parser(self, times: TimeParser) -> RecordParser:
        """Return the parser of the lines. times: the parser of times that all sources of a run share."""
        order = self.reading.order if self.reading.order in ("dmy", "mdy") else ""
        times.decide(order, self.reading.time_form)
        return RecordParser(self.name, self.reading.options(self._hints.options), times)

    def head(self) -> bytes:
        """Return the first line; only before the lines are iterated over."""
        return next((line for lines in self._held for line in lines), b"")

    def __iter__(self) -> Iterator[list[bytes]]:
        """Yield lists of lines.

        If reading or unpacking fails, yield all lines before the failure, then raise IoFailure.
        """
        joiner = None
        if self.reading.container.format == "csv":
            joiner = QuoteJoiner(self.reading.delimiter, self._hints.options.max_line)
        for lines in self._held:
            if some := lines if joiner is None else joiner.join(lines):
                yield some
        self._held = []
        for lines in self._chunks:
            # most chunks contain no quote, and are not examined again
            asked = joiner is not None and (self._file.quoted or self._converted or joiner.waiting())
            if some := joiner.join(lines) if asked and joiner is not None else lines:
                yield some
        if joiner is not None and (rest := joiner.flush()):
            yield rest

    # the detection of the format

    def _open(self) -> tuple[Iterator[list[bytes]], Container]:
        """Return the lines, and the format around them."""
        blocks = self._file.blocks()
        head = b""
        packed = ""
        for block in blocks:
            head += block
            if len(head) >= HEAD or (self._file.size is None and b"\n" in block and len(head) >= HEAD // 16):
                break
        packed = {GZIP: "gzip", ZSTD[:2]: "zstd"}.get(self._file.magic[:2], "")
        rest = itertools.chain([head], blocks) if head else blocks
        if self._text_only:
            return self._text(head, rest, Container(compression=packed))
        for magic, reason in REFUSED:
            if head.startswith(magic):
                raise BadData(f"{self.name}: {reason.replace('FILE', self.name if self._path != '-' else 'FILE')}")
        if head.startswith(b"PK\x03\x04"):
            return self._archive(rest, packed)
        if head[257:262] == b"ustar":
            from txmon.ingest.formats import archives

            head, rest = _begun(archives.tar_blocks(self.name, rest))
            return self._text(head, rest, Container(compression=f"tar.{packed}" if packed else "tar"))
        if head.startswith((b"PAR1", b"ARROW1")):
            from txmon.ingest.formats import columnar

            kind = columnar.PARQUET if head.startswith(b"PAR1") else columnar.ARROW
            path = self._path if self._path != "-" and not packed else self._spool(rest, named=True).name
            self.file = columnar.ColumnFile(self.name, path, kind)
            return lines_of(self.file.blocks(), self._file), Container("csv", kind, compression=packed)
        return self._text(head, rest, Container(compression=packed))

    def _archive(self, blocks: Iterable[bytes], packed: str) -> tuple[Iterator[list[bytes]], Container]:
        import zipfile

        file = self._spool(blocks)
        try:
            archive = zipfile.ZipFile(file)
        except zipfile.BadZipFile as bad:
            raise BadData(f"{self.name}: is a damaged zip file ({bad})") from None
        names = archive.namelist()
        if "xl/workbook.xml" in names:
            from txmon.ingest.formats import workbook

            file.seek(0)
            self._converted = True
            sheet, chunks, notes = workbook.sheet_lines(self.name, file, lambda lines: names_known(lines, self._hints))
            return chunks, Container("csv", "Excel workbook", compression=packed, detail=sheet, notes=notes)
        if "xl/workbook.bin" in names:
            raise BadData(f"{self.name}: is a binary Excel workbook (.xlsb). Save it as .xlsx or CSV")
        if "content.xml" in names:
            raise BadData(f"{self.name}: is an OpenDocument spreadsheet. Save it as CSV")
        from txmon.ingest.formats import archives

        detail, content = archives.zip_blocks(self.name, archive)
        return self._text(*_begun(content), Container(compression="zip", detail=detail))

    def _text(self, head: bytes, blocks: Iterable[bytes], found: Container) -> tuple[Iterator[list[bytes]], Container]:
        codec, encoding = self._encoding(head)
        if codec is not None:
            blocks = _transcoded(self.name, blocks, codec)
            head = b"".join(_transcoded(self.name, [head], codec, partly=True))
        elif b"\0" in head[:4096]:
            raise BadData(f"{self.name}: is binary, not CSV or JSON lines")
        if b"\n" not in head and b"\r" in head:  # line ends of an old Macintosh
            head, blocks = head.replace(b"\r", b"\n"), (block.replace(b"\r", b"\n") for block in blocks)
            self._converted = True
            found = replace(found, detail=", ".join(filter(None, (found.detail, "lines end with CR"))))
        begin = head.removeprefix(BOM).lstrip()
        lower = begin[:200].lower()
        if lower.startswith((b"<!doctype html", b"<html", b"<table")):
            raise BadData(f"{self.name}: is an HTML page. Open it in a spreadsheet and save it as CSV")
        if re.match(rb"<[?!a-z][^>]*>", lower):
            raise BadData(f"{self.name}: is an XML document. Save it as CSV or JSON lines")
        if lower.startswith((b"# help ", b"# type ")):
            raise BadData(
                f"{self.name}: has one moment of Prometheus metrics. To read their history, use --prometheus URL."
            )
        self._refuse_texts(lower, head)
        base = replace(found, encoding=encoding)
        asked = self._hints.format
        if asked == "jsonl" or (asked in ("auto", "json") and begin[:1] in (b"[", b"{")):
            return self._json(begin, blocks, base)
        return self._lines(begin, blocks, base)

    def _json(self, begin: bytes, blocks: Iterable[bytes], base: Container) -> tuple[Iterator[list[bytes]], Container]:
        from txmon.ingest.formats import documents

        asked = self._hints.format
        kind = {"auto": _json_kind(begin), "jsonl": "lines"}.get(asked, "document")
        if kind == "rows":
            return _array_lines(lines_of(blocks, self._file)), replace(base, format="jsonl", kind="JSON array")
        if kind == "document":
            shown, rows, notes = documents.rows_of(self.name, self._all(blocks))
            return _chunks(rows), replace(base, format="jsonl", kind=shown, notes=notes)
        if kind == "documents" and not any("." in column for column in self._hints.options.mapping.values()):
            chunks = (list(documents.rows_of_lines(lines)) for lines in lines_of(blocks, self._file))
            return chunks, replace(base, format="jsonl", kind="JSON documents, one on each line")
        return lines_of(blocks, self._file), replace(base, format="jsonl", kind="JSON lines")

    def _lines(self, begin: bytes, blocks: Iterable[bytes], base: Container) -> tuple[Iterator[list[bytes]], Container]:
        """Return the lines of a text that is not JSON: logfmt, a drawn table or CSV."""
        asked = self._hints.format
        first = begin[:HEAD].split(b"\n")[:LOOKED_AT]
        first = first[:-1] or first
        if asked == "logfmt" or (asked == "auto" and _is_logfmt(first[:5])):
            from txmon.ingest.formats.logfmt import json_lines  # imported here because few sources need it

            chunks = (list(json_lines(lines)) for lines in lines_of(blocks, self._file))
            return chunks, replace(base, format="jsonl", kind="logfmt")
        found = _drawn(first)
        if found is not None:
            kind, convert = found
            self._converted = True
            return (list(map(convert, lines)) for lines in lines_of(blocks, self._file)), replace(base, kind=kind)
        return lines_of(blocks, self._file), base

    def _refuse_texts(self, lower: bytes, head: bytes) -> None:
        """Raise BadData for texts that look like CSV and are none, with the command that makes records of them."""
        if lower.startswith((b"#version:", b"#software:", b"#fields:")) and b"#fields:" in head.lower():
            way = "(sed -n 's/^#Fields: //p' FILE | head -n 1; grep -v '^#' FILE) | tr ' ' ',' | txmon replay -"
            raise BadData(f"{self.name}: is a W3C log, as IIS writes them. Make CSV of it: {way}")
        if re.match(rb"(insert into|create table|copy \S+ \(|-- mysql dump|-- mariadb dump|--\n-- postgresql)", lower):
            raise BadData(f"{self.name}: is an SQL dump. Load it into a database, and read the table with --sql")
        if re.match(rb"(---\s+)?- [a-z_]\w*: ", lower):
            raise BadData(
                f"{self.name}: is YAML. Make JSON lines of it: yq -o=json -I=0 '.[]' {self.name} | txmon replay -"
            )

    def _encoding(self, head: bytes) -> tuple[str | None, str]:
        """Return the codec to decode the text (None for UTF-8), and the encoding's name."""
        asked = self._hints.encoding
        if asked is not None:
            plain = codecs.lookup(asked).name
            return (None, "UTF-8") if plain in ("utf-8", "utf-8-sig") else (plain, asked.upper())
        for mark, codec, name in _MARKS:
            if head.startswith(mark):
                return codec, name
        if not head.isascii() and _is_western(head):
            return "cp1252", "windows-1252, since it is not UTF-8 (--encoding names another)"
        if len(head) >= 4 and b"\0" in head[:4096]:
            even, odd = head[:4096:2].count(0), head[1:4096:2].count(0)
            half = len(head[:4096]) // 2
            if odd > 0.7 * half and even < 0.1 * half:
                return "utf-16-le", "UTF-16"
            if even > 0.7 * half and odd < 0.1 * half:
                return "utf-16-be", "UTF-16"
        return None, "UTF-8"

    def _all(self, blocks: Iterable[bytes]) -> bytes:
        parts, size = [], 0
        for block in blocks:
            size += len(block)
            if size > LARGEST:
                raise BadData(f"{self.name}: is a JSON document of more than 1 GiB. Make JSON lines of it: jq -c '.[]'")
            parts.append(block)
        return b"".join(parts).removeprefix(BOM)

    def _spool(self, blocks: Iterable[bytes], named: bool = False) -> IO[bytes]:
        """Return a temporary file with these blocks, which can be read again."""
        import tempfile

        made = tempfile.NamedTemporaryFile() if named else tempfile.SpooledTemporaryFile(SPOOLED)  # noqa: SIM115
        file: IO[bytes] = made
        self._spooled.append(file)
        for block in blocks:
            file.write(block)
        file.flush()
        file.seek(0)
        return file

    # the reading

    def _sample(self) -> bool:
        """Read the first lines. Return whether the source has no more."""
        joiner = QuoteJoiner("", self._hints.options.max_line)
        size = 0
        while len(self._sampled) < 1000 and size < SAMPLED:
            lines = next(self._chunks, None)
            if lines is None:
                self._sampled += joiner.flush()
                return True
            self._held.append(lines)
            size += sum(map(len, lines))
            self._sampled += joiner.join(lines)
        return False

    def _decided(self) -> Reading:
        """Return the reading, with the order of day and month that the rest of the file proves."""
        if self._path == "-" or self._text_only or not os.path.isfile(self._path):
            lines: Iterable[bytes] = (line for chunk in self._all_held() for line in chunk)
            return decide_order(self.reading, row_orders(self.reading, lines))
        # the file is opened again to read on for the order of day and month
        hints = replace(self._hints, order=calendar_texts.DAY_FIRST)
        with OpenedSource(self._path, hints) as again:
            orders = row_orders(self.reading, (line for chunk in again for line in chunk))
            first = next(
                (order for order in orders if order in (calendar_texts.DAY_FIRST, calendar_texts.MONTH_FIRST)), ""
            )
        return decide_order(self.reading, [first])

    def _all_held(self) -> list[list[bytes]]:
        """Return all lines of a stream that cannot be read twice."""
        self._held += list(self._chunks)
        return self._held


def _is_western(head: bytes) -> bool:
    """Return whether the text is not UTF-8, and all its characters outside ASCII are letters of windows-1252."""
    try:
        head[:-3].decode()
    except UnicodeDecodeError as bad:
        high = {byte for byte in head if byte >= 0x80}
        try:
            head[: bad.start].decode("ascii")  # a text that is partly UTF-8 is not windows-1252
        except UnicodeDecodeError:
            return False
        return high <= _WESTERN
    return False


def _drawn(lines: list[bytes]) -> tuple[str, Callable[[bytes], bytes]] | None:
    """Return the kind of a drawn table and a function from a line to CSV, or None.

    The check is fast for other texts.
    """
    first = next(filter(bytes.strip, lines), b"")
    divided = any(mark in first for mark in (b",", b";", b"\t"))
    if divided and not first.startswith(b"'") and not any(mark in line for line in lines for mark in _STROKES):
        return None
    from txmon.ingest.formats import drawn

    return drawn.converter(lines)


def _begun(blocks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the beginning of `blocks`, and all of them."""
    head = next(blocks, b"")
    return head, itertools.chain([head], blocks)


def _transcoded(name: str, blocks: Iterable[bytes], codec: str, partly: bool = False) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        for block in blocks:
            yield decoder.decode(block).encode("utf-8", "replace")
        if not partly:
            yield decoder.decode(b"", True).encode("utf-8", "replace")
    except UnicodeError as bad:
        raise BadData(f"{name}: is not valid {codec} ({bad}); --encoding names another") from None


def _json_kind(begin: bytes) -> str:
    """Return the kind of JSON: lines, rows (an array, one object on each line), or a document to read as a whole."""
    from txmon.ingest.formats import documents

    lines = [line.strip() for line in begin.split(b"\n")]
    complete = [line for line in lines[:-1] if line] or [line for line in lines if line]
    if begin[:1] == b"[":
        rows = [line for line in complete[1:] if line not in (b"]", b",")]
        if complete and complete[0] == b"[" and rows and all(_is_object(row) for row in rows[:20]):
            return "rows"
        return "document"
    first = complete[0] if complete else begin
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        # pretty-printed, or one long line: a document; otherwise it is a bad line among good ones
        others = complete[1:]
        pretty = first in (b"{", b"{ ") or (first[-1:] in b"{[," and bool(others) and others[0][:1] != b"{")
        single = len(complete) == 1 and not begin.rstrip().endswith(b"}")
        return "document" if pretty or (single and len(begin) > HEAD // 2) else "lines"
    if b"[" in first and documents.is_document(value):
        return "document" if len(complete) == 1 else "documents"
    return "lines" if len(complete) > 1 or not documents.is_document(value) else "document"


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line.rstrip(b",")), dict)
    except (ValueError, RecursionError):
        return False


def _array_lines(chunks: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
    """Yield the objects of an array with one object on each line.

    Brackets become blank, so line numbers do not change.
    """
    for lines in chunks:
        yield [line if line[-1:] == b"}" else _element(line) for line in lines]


def _element(line: bytes) -> bytes:
    text = line.strip().removeprefix(BOM)
    if text in (b"[", b"]", b","):
        return b""
    return text.removesuffix(b",").rstrip()


def _is_logfmt(lines: list[bytes]) -> bool:
    if not any(b"=" in line for line in lines):
        return False
    from txmon.ingest.formats.logfmt import is_logfmt

    return is_logfmt(lines)


def _chunks(rows: Iterator[bytes]) -> Iterator[list[bytes]]:
    while chunk := list(itertools.islice(rows, TOGETHER)):
        yield chunk
