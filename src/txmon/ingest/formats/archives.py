"""Reads the data files in a zip or a tar, one after the other, and skips all other files."""

import io
import itertools
import os
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Final

from txmon.errors import BadData
from txmon.ingest.compression import GZIP, ZSTD, unpacker_of

if TYPE_CHECKING:
    import zipfile

BLOCK: Final = 1 << 16
MAGIC: Final = (b"ustar", 257)  # the magic of a tar, and its offset
_DATA: Final = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".log", ".parquet", ".xlsx", ".tab", ".dat")
_PACKED: Final = (".gz", ".zst")
_WORDS: Final = ("readme", "license", "licence", "copying", "manifest", "metadata", "changelog", "notice")


def is_tar(head: bytes) -> bool:
    """Return whether `head` is the beginning of a tar."""
    return head[MAGIC[1] : MAGIC[1] + len(MAGIC[0])] == MAGIC[0]


def zip_blocks(source: str, archive: "zipfile.ZipFile") -> tuple[str, Iterator[bytes]]:
    """Return the names of the data files in a zip, and their content. Raise BadData if they have different formats."""
    members = [entry for entry in archive.infolist() if not entry.is_dir() and not _is_hidden(entry.filename)]
    data = [entry for entry in members if _kind(entry.filename) in _DATA] or [
        entry for entry in members if not _kind(entry.filename) and not _is_about(entry.filename)
    ]
    data = [entry for entry in data if not _is_about(entry.filename)] or data
    if any(entry.flag_bits & 1 for entry in data):
        raise BadData(f"{source}: is a zip with a password. Unpack it first")
    heads = [next(_zip_member(source, archive, entry), b"") for entry in data[:1000]]
    kinds = {_kind(entry.filename) for entry in data}
    alike = len(kinds) == 1 and (kinds <= {".jsonl", ".ndjson", ".log"} or len({_first_line(h) for h in heads}) == 1)
    if not data or (len(data) > 1 and not alike):
        shown = ", ".join(entry.filename for entry in members[:8]) or "none"
        raise BadData(
            f"{source}: is a zip with {len(data) or 'no'} data files that do not go together ({shown});"
            f" choose one: unzip -p {source} NAME | txmon replay -"
        )
    if heads[0].startswith((b"PAR1", b"PK\x03\x04")):
        raise BadData(f"{source}: {data[0].filename} in it is not text. Unpack it first: unzip {source}")
    detail = data[0].filename if len(data) == 1 else f"{len(data)} files, {data[0].filename} to {data[-1].filename}"
    return detail, _ended(_zip_member(source, archive, entry) for entry in data)


def tar_blocks(source: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of the data files of a tar. Raise BadData if they have different formats."""
    import tarfile

    first: tuple[str, str, bytes] | None = None
    try:
        with tarfile.open(fileobj=io.BufferedReader(_Stream(iter(blocks))), mode="r|") as archive:
            for entry in archive:
                kind = _kind(entry.name)
                file = archive.extractfile(entry) if entry.isfile() else None
                if file is None or _is_hidden(entry.name) or kind not in _DATA or _is_about(entry.name):
                    continue
                content = _unpacked(file)
                head = next(content, b"")
                own = (entry.name, kind, b"" if kind in (".jsonl", ".ndjson", ".log") else _first_line(head))
                if first is not None and own[1:] != first[1:]:
                    raise BadData(
                        f"{source}: is a tar with {first[0]} and {entry.name}, which do not go together;"
                        f" choose one: tar -xOf {source} NAME | txmon replay -"
                    )
                first = first or own
                yield from _ended([itertools.chain([head], content)])
    except (tarfile.TarError, EOFError) as bad:
        raise BadData(f"{source}: is a damaged tar ({bad})") from None
    if first is None:
        raise BadData(f"{source}: is a tar without a data file (.csv, .jsonl, ...). Unpack it first: tar -xf {source}")


def _ended(files: Iterable[Iterator[bytes]]) -> Iterator[bytes]:
    """Yield the content of files one after the other, each with a newline at its end."""
    for content in files:
        last = b"\n"
        for block in content:
            last = block[-1:] or last
            yield block
        if last != b"\n":
            yield b"\n"


def _zip_member(source: str, archive: "zipfile.ZipFile", entry: "zipfile.ZipInfo") -> Iterator[bytes]:
    import zipfile

    try:
        with archive.open(entry) as file:
            yield from _unpacked(file)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as bad:
        raise BadData(f"{source}: {entry.filename} in it cannot be unpacked ({bad})") from None


def _unpacked(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the blocks of a member. A member that is packed with gzip or zstd is unpacked."""
    first = file.read(BLOCK)
    unpacker = unpacker_of(first) if first.startswith((GZIP, ZSTD)) else None
    block = first
    while block:
        if unpacker is None:
            yield block
        else:
            yield from unpacker.unpack(block)
        block = file.read(BLOCK)


def _first_line(head: bytes) -> bytes:
    return head[:BLOCK].partition(b"\n")[0].strip()


def _kind(name: str) -> str:
    """Return a name's extension in lower case, without that of a compression."""
    stem, ending = os.path.splitext(name.lower())
    return os.path.splitext(stem)[1] if ending in _PACKED else ending


def _is_hidden(name: str) -> bool:
    return name.startswith("__MACOSX/") or any(part.startswith(".") and part != "." for part in name.split("/"))


def _is_about(name: str) -> bool:
    return os.path.splitext(os.path.basename(name.lower()))[0] in _WORDS


class _Stream(io.RawIOBase):
    """Presents blocks as a file that can be read once."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` with at most the next block."""
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = block
        piece, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)
