"""What the security tests share: the installed txmon, its memory and its owner."""

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Final

TXMON: Final = str(Path(sys.executable).with_name("txmon"))
OTHER: Final = 65534  # a user id that is neither root nor ours
ROWS: Final = b"".join(
    b"2026-03-02T10:%02d:00Z,%s,%d\n" % (m, s, n) for m in range(40) for s, n in ((b"approved", 90), (b"denied", 9))
)
TABLE: Final = b"time,status,count\n" + ROWS


def txmon(
    *arguments: str | Path | bytes, stdin: bytes = TABLE, folder: Path | None = None, memory: int | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run txmon. memory: bytes of address space that it may have."""

    def limit() -> None:
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    done = subprocess.run(
        [TXMON, *map(os.fsencode, arguments)],
        input=stdin,
        capture_output=True,
        cwd=folder,
        timeout=60,
        check=False,
        preexec_fn=limit,
    )
    assert b"Traceback" not in done.stderr
    return done


def mode(path: Path) -> int:
    """The permission bits of a file."""
    return path.stat().st_mode & 0o777
