"""The one gzip reader, for files, pipes and bodies."""

import gzip
import random

import pytest

from txmon.ingest.compression import MEMBERS, gunzip, unpacker_of


def test_all_members_are_unpacked_with_padding_between_them() -> None:
    rng = random.Random(1)
    parts = [rng.randbytes(rng.choice([0, 1, 100, 70_000])) for _ in range(40)]
    packed = b"".join(gzip.compress(part) + b"\0" * rng.choice([0, 0, 3]) for part in parts)
    whole = b"".join(parts)
    assert gunzip(packed, len(whole)) == whole
    assert b"".join(unpacker_of(packed).unpack(packed)) == whole
    with pytest.raises(OverflowError, match=f"more than {len(whole) - 1} bytes"):
        gunzip(packed, len(whole) - 1)


@pytest.mark.parametrize("size", [0, 1, MEMBERS - 1, MEMBERS, MEMBERS + 1, 1 << 17])
def test_any_length_comes_through(size: int) -> None:
    content = random.Random(size).randbytes(size)
    packed = gzip.compress(content)
    assert gunzip(packed, size) == content
    for cut in (1, len(packed) // 2, len(packed) - 1):
        with pytest.raises(ValueError, match="ends too early"):
            gunzip(packed[:cut], size)


def test_nothing_at_all_is_nothing_and_damage_is_an_error() -> None:
    assert gunzip(b"", 10) == b""
    assert gunzip(b"\0\0", 10) == b""
    with pytest.raises(ValueError, match="damaged"):
        gunzip(b"no gzip", 10)


def test_a_bomb_is_stopped_at_the_limit() -> None:
    with pytest.raises(OverflowError):
        gunzip(gzip.compress(bytes(50_000_000)), 1000)
