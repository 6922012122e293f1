"""The kept corpus, what long runs found to reach new code: a file a target in corpus/, a base64 line a case, sorted."""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).with_name("corpus")


def read(target: str) -> list[bytes]:
    """The kept cases of a target."""
    path = FOLDER / f"{target}.b64"
    return [base64.b64decode(line) for line in path.read_bytes().split()] if path.exists() else []


def write(target: str, cases: Iterable[bytes]) -> None:
    """Keep `cases`, and no others."""
    FOLDER.mkdir(exist_ok=True)
    lines = sorted({base64.b64encode(case) for case in cases if case}, key=lambda line: (len(line), line))
    (FOLDER / f"{target}.b64").write_bytes(b"".join(line + b"\n" for line in lines))
