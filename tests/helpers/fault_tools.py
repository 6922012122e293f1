"""What the fault tests share: the installed txmon under limits, as another user, with streams of their own."""

import ctypes
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from paths import ROOT

TXMON: Final = str(Path(sys.executable).with_name("txmon"))
SAMPLE: Final = ROOT / "examples" / "transactions.csv"
PR_CAPBSET_DROP: Final = 24
CAP_DAC_OVERRIDE: Final = 1
libc = ctypes.CDLL(None)


@dataclass(frozen=True)
class Done:
    """How a run of txmon ended."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output, every line of it strict JSON."""
        return strict(self.out)

    def volume(self) -> list[dict[str, Any]]:
        """The lines of all statuses together: one a minute."""
        return [line for line in self.lines if line.get("status") == "*"]

    def alerts(self) -> list[dict[str, Any]]:
        """The verdicts that alert."""
        return [line for line in self.lines if line.get("recommendation") == "alert"]


def strict(raw: bytes) -> list[dict[str, Any]]:
    """JSON lines; NaN and Infinity, which Python would write and read, are no JSON."""

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in raw.decode().splitlines()]


def txmon(
    *arguments: str | Path,
    stdin: bytes | int = b"",
    limits: Mapping[int, int] | None = None,
    bound: bool = False,
    stdout: int | None = None,
) -> Done:
    """Run txmon to its end. limits: resource -> soft and hard limit. bound: by permissions, though this is root."""
    done = subprocess.run(
        [TXMON, *map(str, arguments)],
        input=stdin if isinstance(stdin, bytes) else None,
        stdin=stdin if isinstance(stdin, int) else None,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        preexec_fn=limiter(limits or {}, bound),
        timeout=60,
        check=False,
    )
    text = done.stderr.decode()
    assert "Traceback" not in text
    return Done(done.returncode, done.stdout or b"", text)


def limiter(limits: Mapping[int, int], bound: bool = False) -> Callable[[], None]:
    """What a child does to itself before it becomes txmon."""

    def limit() -> None:
        if bound and os.geteuid() == 0:
            libc.prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)
        for kind, most in limits.items():
            resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))

    return limit


def watcher(*arguments: str | Path, limits: Mapping[int, int] | None = None) -> subprocess.Popen[bytes]:
    """A `txmon watch` whose three streams are pipes."""
    pipe = subprocess.PIPE
    command = [TXMON, "watch", *map(str, arguments)]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, preexec_fn=limiter(limits or {}))  # noqa: PLW1509


def table(rows: Iterable[Sequence[object]], header: str = "time,status,count") -> bytes:
    """Rows as CSV."""
    return "\n".join([header, *(",".join(map(str, row)) for row in rows), ""]).encode()


def ordinary(minutes: int, day: str = "2026-03-02") -> list[tuple[str, str, int]]:
    """So many minutes from 10:00 of an even stream, in which nothing alerts."""
    return [
        (f"{day}T{10 + m // 60:02}:{m % 60:02}:00Z", status, count + m % 3)
        for m in range(minutes)
        for status, count in (("approved", 100), ("denied", 10))
    ]
