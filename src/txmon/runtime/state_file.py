"""The state file: everything a restart needs, written atomically, versioned, and refused when it is foreign.

One JSON object: {"txmon": FORMAT, "written_by": version, "settings": {...}, "pipeline": {...}, "sources": {...}},
gzip-packed, with the CRC that gzip keeps. Written to a temporary file beside it, synced, and renamed over it, so that
a crash leaves the old state or the new one, never half of one.
"""

import gzip
import os
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from txmon.errors import ConfigError, IoFailure
from txmon.support.frozen import frozen
from txmon.support.safe_open import check_link
from txmon.version import __version__

FORMAT: Final = 1
EACH: Final = 10.0  # seconds at least between two writings
SOON: Final = 0.5  # seconds after the start, where there is no state yet
COST: Final = 0.1  # of the running time that writing may take
SMALL: Final = 64 << 20  # bytes that any state file may unpack to; more than that only
GZIP_WINDOW: Final = 31  # for zlib: gzip, with the largest window
KEYS: Final = 1000  # packed at a time
RATIO: Final = 200  # so many times its own size: baselines pack to a tenth, a bomb to a thousandth


@frozen
class State:
    """What a state file holds."""

    settings: Mapping[str, Any]  # those that the pipeline's state depends on
    pipeline: Mapping[str, Any]  # Pipeline.snapshot()
    sources: Mapping[str, Any] = field(default_factory=dict)  # by name: where reading goes on


def pack(state: State) -> bytes:
    """`state` as a state file holds it: the same bytes for the same state."""
    return b"".join(pieces(state))


def pieces(state: State) -> Iterator[bytes]:
    """Yield what `pack` returns, piece by piece. Of the keys, only those of one piece are packed at a time."""
    squeeze = zlib.compressobj(1, zlib.DEFLATED, GZIP_WINDOW)
    for text in _texts(state):
        yield squeeze.compress(text)
    yield squeeze.flush()


def _texts(state: State) -> Iterator[bytes]:
    """Yield the JSON of a state in parts: everything but the keys, and then the keys."""
    import msgspec  # here, because it is slow to import, and a run without a state does not need it

    encode = msgspec.json.Encoder().encode
    row = row_of(state)
    pipeline = dict(row.pop("pipeline"))
    detector = pipeline.pop("detector", None)
    if detector is None:
        yield encode({**row, "pipeline": pipeline})
        return
    rest = dict(detector)
    rows = iter(rest.pop("groups"))
    yield _open(encode(row)) + b'"pipeline":' + _open(encode(pipeline)) + b'"detector":' + _open(encode(rest))
    yield b'"groups":['
    between = b""
    while some := list(islice(rows, KEYS)):
        yield between + encode(some)[1:-1]
        between = b","
    yield b"]}}}"


def _open(text: bytes) -> bytes:
    """Return the JSON of an object, to which more members can be added."""
    return text[:-1] + b"," if len(text) > len(b"{}") else b"{"


def row_of(state: State) -> dict[str, Any]:
    """`state` as the JSON object that is written."""
    return {
        "txmon": FORMAT, "written_by": __version__, "settings": state.settings, "pipeline": state.pipeline,
        "sources": state.sources,
    }  # fmt: skip


def save(path: str, state: State) -> None:
    """Write `state` to `path` atomically, readable by its owner alone; IoFailure leaves what was there."""
    write(path, pieces(state))


def write(path: str, raw: Iterable[bytes]) -> None:
    """Write the pieces of a packed state to `path`, as `save` does."""
    import tempfile  # here, because it is slow to import, and a run without a state does not need it

    temporary = None
    try:
        check_link(path)
        target = Path(os.path.realpath(path))  # a link stays a link
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            file.writelines(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except OSError as bad:
        _remove(temporary)
        raise IoFailure(f"{path}: the state cannot be written: {bad.strerror}") from bad
    except BaseException:
        _remove(temporary)
        raise


def _remove(temporary: str | None) -> None:
    if temporary is not None:
        with suppress(OSError):
            os.unlink(temporary)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load(path: str) -> State | None:
    """The state at `path`; None when there is no such file; ConfigError when it is not a txmon state, or damaged."""
    import tempfile  # noqa: F401 - `save` needs it, perhaps when the process has no descriptor left to import it

    try:
        raw = _unpacked(path)
    except FileNotFoundError:
        return None
    except OSError as bad:
        raise IoFailure(f"{path}: {bad.strerror}") from bad
    return state_of(raw, path, _strict)


def unpack(raw: bytes, path: str) -> State:
    """The state that `pack` made `raw` of; ConfigError, which names `path`, where it did not or not this version's."""
    try:
        text = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as bad:
        raise ConfigError(f"{path}: is not a txmon state, or it is damaged. txmon did not change it.") from bad
    return state_of(text, path, _strict)


def _strict(text: bytes) -> Any:
    """JSON as it is defined: no NaN, no half of a character, as Python's own reader takes them; ValueError."""
    import msgspec

    return msgspec.json.decode(text)


def state_of(text: bytes, path: str, decode: Callable[[bytes], Any]) -> State:
    """The state that `text` is the JSON of; ConfigError, which names `path`, where it is none or not this version's."""
    try:
        row = decode(text)
        version = row["txmon"]
        row.keys()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as bad:
        raise ConfigError(f"{path}: is not a txmon state, or it is damaged. txmon did not change it.") from bad
    if version != FORMAT:
        writer = row.get("written_by", "another version")
        raise ConfigError(f"{path}: has format {version!r}, written by txmon {writer}; this one reads format {FORMAT}")
    for name in ("settings", "pipeline", "sources"):
        if not isinstance(row.get(name), dict):
            raise ConfigError(f"{path}: lacks {name!r}. txmon did not change it.")
    return State(row["settings"], row["pipeline"], row["sources"])


def _unpacked(path: str) -> bytes:
    """Return the JSON of the state at `path`. Raise OSError, or ConfigError if it is not gzip, or a bomb."""
    check_link(path)
    # a pipe put there would be waited for, and a device read without end
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ConfigError(f"{path}: is not a regular file")
    with open(descriptor, "rb") as file:
        most = max(SMALL, status.st_size * RATIO)
        pieces, size = [], 0
        try:
            with gzip.open(file) as unpacked:
                while piece := unpacked.read(1 << 20):
                    pieces.append(piece)
                    size += len(piece)
                    if size > most:
                        raise ConfigError(
                            f"{path}: unpacks to more than any state of its size. txmon did not change it."
                        )
        except (OSError, EOFError, zlib.error) as bad:
            if getattr(bad, "errno", None) is not None:
                raise
            raise ConfigError(
                f"{path}: is not a txmon state, or it is damaged ({bad}). txmon did not change it."
            ) from bad
    return b"".join(pieces)


class Saver:
    """Says when it is time to write: each 10 seconds, or less often where writing takes long."""

    def __init__(self, now: float) -> None:
        """now: seconds, monotonic."""
        self._due = now + EACH

    def hurry(self, now: float) -> None:
        """Write soon: there is no state yet, and a crash before the first one would forget where reading began."""
        self._due = now + SOON

    def due(self, now: float) -> bool:
        """Return whether to write now."""
        return now >= self._due

    def wrote(self, began: float, ended: float) -> None:
        """Plan the next writing after one that took from `began` to `ended`."""
        self._due = ended + max(EACH, (ended - began) / COST)
