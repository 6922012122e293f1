"""Ten minutes of faults at random moments: python tests/helpers/long_run.py [--seconds 600] [--seeds 0-9]

One run follows a file that is written, rotated, copied and cut. Meanwhile its process is killed, stopped and told to
reload, its wall clock is set, its disk fills up, and its receiver of notifications dies. The verdicts that it wrote in
all must be those of a replay of the same rows. Beside it, clients post to a server that is killed, and repeat what was
not answered. Each transaction that was answered with 200 must count once.
"""

import argparse
import gzip
import http.client
import http.server
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from servers import free_port

BEGIN: Final = datetime(2026, 3, 2, tzinfo=UTC)
HEADER: Final = "time,status,count\n"
TXMON: Final = [sys.executable, "-m", "txmon"]
SETTINGS: Final = ("--lateness", "3m", "--warmup", "30m")
LAST: Final = 40  # minutes at the end that are written with nothing going wrong
CLOCK: Final = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t which, struct timespec *found) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(which, found);
    const char *path = getenv("CLOCK_STEP");
    FILE *file = which == CLOCK_REALTIME && path ? fopen(path, "r") : NULL;
    long step = 0;
    if (file) { if (fscanf(file, "%ld", &step) == 1) found->tv_sec += step; fclose(file); }
    return code;
}
"""


def minute(i: int) -> str:
    return (BEGIN + timedelta(minutes=i)).strftime("%Y-%m-%dT%H:%M:%SZ")


def rows(seed: int, i: int) -> str:
    """The rows of a minute; now and then half an hour of failures."""
    chance = random.Random(seed * 1_000_003 + i)
    failing = i > 60 and i // 30 % 7 == 3
    counts = (("approved", chance.randint(90, 110)), ("denied", chance.randint(5, 15)),
              ("failed", chance.randint(50, 70) if failing else chance.randint(0, 2)))  # fmt: skip
    return "".join(f"{minute(i)},{status},{count}\n" for status, count in counts)


class Followed:
    """The file, its writer, and the process that follows it."""

    def __init__(self, folder: Path, seed: int, stack: ExitStack) -> None:
        self.folder = folder
        self.seed = seed
        self.chance = random.Random(seed)
        self.log = folder / "logs" / "app.log"
        self.log.parent.mkdir()
        self.small = folder / "small"  # where the output is: a file system of its own, if that can be had
        self.small.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(self.small)]
        self.mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        if self.mounted:
            stack.callback(lambda: subprocess.run(["umount", "-l", str(self.small)], check=False))
        self.written = 0
        self.done: list[tuple[str, str]] = []  # each fault: the newest minute when it began, and what it was
        self.log.write_text(HEADER)
        self.process: subprocess.Popen[bytes] | None = None
        self.receiver: http.server.HTTPServer | None = None
        self.dead = free_port()  # its own, because tests beside it take port 1 for one on which nobody listens
        self.env = {**os.environ, "TXMON_WEBHOOK": f"http://127.0.0.1:{self.dead}/", "TXMON_NO_READING": "1"}
        shim = folder / "clock.so"
        (folder / "clock.c").write_text(CLOCK)
        compiler = ["cc", "-shared", "-fPIC", "-o", str(shim), str(folder / "clock.c"), "-ldl"]
        # without a C compiler, the clock of the process makes no steps
        if shutil.which("cc") and subprocess.run(compiler, check=False).returncode == 0:
            self.env |= {"LD_PRELOAD": str(shim), "CLOCK_STEP": str(folder / "step")}
        stack.callback(self.kill)

    def start(self) -> None:
        command = [*TXMON, "watch", "--follow", str(self.log), "--state", str(self.small / "state"), "--out",
                   str(self.small / "v.jsonl"), "--notify", "--max-age", "0", "--flush-timeout", "0s",
                   *SETTINGS]  # fmt: skip
        with (self.folder / "err").open("ab") as err:
            self.process = subprocess.Popen(command, cwd=self.folder, env=self.env, stderr=err)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def write(self) -> None:
        with self.log.open("a") as file:
            file.write(rows(self.seed, self.written))
        self.written += 1

    def shift(self) -> None:
        """Make room for app.log.1; pack what is older."""
        for number in range(30, 0, -1):
            for ending in (".gz", ""):
                old = Path(f"{self.log}.{number}{ending}")
                if old.exists():
                    old.rename(f"{self.log}.{number + 1}{ending}")
        second = Path(f"{self.log}.2")
        if second.exists() and self.chance.random() < 0.5:
            status = second.stat()
            Path(f"{second}.gz").write_bytes(gzip.compress(second.read_bytes()))
            os.utime(f"{second}.gz", ns=(status.st_atime_ns, status.st_mtime_ns))
            second.unlink()

    def fault(self) -> str:
        """Do one thing that may go wrong; its name. A process that could not begin on a full disk is started again."""
        assert self.process is not None
        if self.process.poll() is not None:
            self.start()
        acts = (self.rename, self.copytruncate, self.restart, self.restart, self.stop_and_start, self.hangup,
                self.pause, self.step, self.fill, self.notify)  # fmt: skip
        act = self.chance.choice(acts)
        begun = minute(self.written)
        act()
        self.done.append((begun, f"{act.__name__} from {begun} to {minute(self.written)}"))
        return act.__name__

    def rename(self) -> None:
        self.shift()
        self.log.rename(f"{self.log}.1")
        self.log.write_text(HEADER)

    def copytruncate(self) -> None:
        self.shift()
        shutil.copyfile(self.log, f"{self.log}.1")
        os.truncate(self.log, 0)

    def restart(self) -> None:
        self.kill()
        self.start()

    def stop_and_start(self) -> None:
        """End it as a service manager does, and let rows and a rotation come before it runs again."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        for _ in range(self.chance.randint(0, 5)):
            self.write()
        if self.chance.random() < 0.5:
            self.rename()
        self.start()

    def hangup(self) -> None:
        self.signal(signal.SIGHUP)

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)
        time.sleep(self.chance.uniform(0.1, 2.5))
        self.signal(signal.SIGCONT)

    def step(self) -> None:
        (self.folder / "step").write_text(str(self.chance.choice((-86400, -3600, -90, 0, 90, 3600, 86400))))

    def fill(self) -> None:
        """Fill the disk, for two seconds at most."""
        if not self.mounted:
            return
        filler = self.small / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 65536)
        time.sleep(self.chance.uniform(0.1, 2.0))
        filler.unlink()

    def notify(self) -> None:
        """Start the receiver of notifications, or end it."""
        if self.receiver is not None:
            self.receiver.shutdown()
            self.receiver.server_close()
            self.receiver = None
            return
        with suppress(OSError):
            self.receiver = http.server.HTTPServer(("127.0.0.1", self.dead), Receiver)
            threading.Thread(target=self.receiver.serve_forever, daemon=True).start()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to a process that handles them: before that, the kernel's own way would end it."""
        assert self.process is not None
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except FileNotFoundError:
            return
        caught = int(re.search(r"SigCgt:\s*([0-9a-f]+)", status)[1], 16)  # type: ignore[index]
        if number != signal.SIGHUP or caught & (1 << (signal.SIGHUP - 1)):
            self.process.send_signal(number)

    def finish(self) -> list[str]:
        """Let it read to the end; what is wrong with what it wrote, a line each."""
        (self.folder / "step").write_text("0")
        for _ in range(LAST):
            self.write()
        if self.receiver is not None:
            self.notify()
        if self.process is None or self.process.poll() is not None:
            self.start()
        wanted = f'"time": "{minute(self.written - LAST // 2)}"'
        until = time.monotonic() + 60
        while time.monotonic() < until and wanted not in (self.small / "v.jsonl").read_text():
            time.sleep(0.2)
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        whole = self.folder / "all.csv"
        whole.write_text(HEADER + "".join(rows(self.seed, i) for i in range(self.written)))
        command = [*TXMON, "replay", str(whole), *SETTINGS]
        replay = subprocess.run(command, capture_output=True, check=True, env=self.env)
        last = minute(self.written - LAST)
        expected, found = (judged(text, last) for text in (replay.stdout, (self.small / "v.jsonl").read_bytes()))
        wrong = [(time_of(line), f"missing: {line}") for line in expected - found]
        wrong += [(time_of(line), f"not in a replay: {line}") for line in found - expected]
        if not wrong:
            return []
        first = min(wrong)[0]
        near = [text for time, text in self.done if abs((time_at(time) - time_at(first)).total_seconds()) < 1800]
        return [f"{len(wrong)} of {len(expected)} lines differ", *[text for _, text in sorted(wrong)[:8]], *near]


def time_of(line: str) -> str:
    """The time of a line that `judged` returned."""
    row = json.loads(line)
    return str(row["time"] if isinstance(row, dict) else row[0])


def time_at(text: str) -> datetime:
    return datetime.fromisoformat(text)


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes every notification."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def judged(text: bytes, last: str) -> set[str]:
    """The verdicts, and the openings and ends of incidents, up to a time; no early alerts."""
    found = set()
    for line in text.splitlines():
        row = json.loads(line)
        if row["time"] >= last or row.get("partial"):
            continue
        if row.get("event") == "incident":
            found.add(json.dumps([row["time"], row["state"], row["id"], row["statuses"], row["text"]]))
        elif "event" not in row:
            found.add(line.decode())
    return found


class Posted:
    """A server that is killed, and clients that repeat what was not answered."""

    def __init__(self, folder: Path, seed: int, stack: ExitStack) -> None:
        self.folder = folder
        self.chance = random.Random(-seed - 1)
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.ended = threading.Event()
        self.answered = 0
        self.clients = [threading.Thread(target=self.post, args=(n,)) for n in range(3)]
        stack.callback(self.kill)

    def start(self) -> None:
        err = self.folder / "serve.err"
        before = err.stat().st_size if err.exists() else 0
        command = [*TXMON, "serve", "--port", "0", "--state", "served", "--out", "served.jsonl"]
        with err.open("ab") as file:
            self.process = subprocess.Popen(command, cwd=self.folder, stderr=file)
        while True:
            found = re.search(rb"serving on http://\S+:(\d+)/", err.read_bytes()[before:])
            if found is not None:
                self.port = int(found[1])
                return
            assert self.process.poll() is None, err.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def fault(self) -> None:
        assert self.process is not None
        if self.chance.random() < 0.3:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        self.kill()
        self.start()

    def post(self, client: int) -> None:
        number = 0
        while not self.ended.is_set():
            number += 1
            row = json.dumps({"time": minute(number % 3), "status": "approved", "count": client + 1})
            headers = {"Content-Type": "application/json", "Idempotency-Key": f"{client}-{number}"}
            while True:
                try:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                    connection.request("POST", "/v1/transactions", row, headers)
                    answer = connection.getresponse()
                    answer.read()
                    connection.close()
                    if answer.status == 200:
                        break
                except (OSError, http.client.HTTPException):
                    pass
                if self.ended.wait(0.05) and number < 0:
                    return
            self.answered += client + 1
            time.sleep(0.02)

    def finish(self) -> list[str]:
        self.ended.set()
        for thread in self.clients:
            thread.join(60)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        row = json.dumps([{"time": minute(30), "status": "denied"}] * 500)
        connection.request("POST", "/v1/transactions", row, {"Content-Type": "application/json"})
        connection.getresponse().read()
        connection.request("GET", "/v1/series/approved")
        counted = sum(json.loads(connection.getresponse().read())["count"])
        connection.close()
        return [] if counted == self.answered else [f"{self.answered} were answered with 200, {counted} counted"]


def run(seed: int, seconds: float) -> list[str]:
    """What was wrong in a run of so many seconds, a line each."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        followed, posted = Followed(folder, seed, stack), Posted(folder, seed, stack)
        followed.start()
        posted.start()
        until = time.monotonic() + 120
        while not (followed.small / "state").exists():  # from then on, nothing may be forgotten
            followed.write()
            time.sleep(0.5)
            assert time.monotonic() < until, (folder / "err").read_text()
        for thread in posted.clients:
            thread.start()
        done: dict[str, int] = {}
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for _ in range(followed.chance.randint(1, 20)):
                followed.write()
                time.sleep(0.05)
            fault = followed.fault()
            done[fault] = done.get(fault, 0) + 1
            if followed.chance.random() < 0.2:
                posted.fault()
        wrong = followed.finish() + posted.finish()
        print(f"seed {seed}: {followed.written} minutes, {posted.answered} posted, {done}", flush=True)
        lost = [line for line in (folder / "err").read_text().splitlines() if "lost" in line or "Traceback" in line]
        return wrong + lost + ([(folder / "err").read_text()[-2000:]] if wrong else [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="of each seed")
    parser.add_argument("--seeds", default="0-9", help="first and last, like 0-9")
    given = parser.parse_args()
    first, _, last = given.seeds.partition("-")
    failed = False
    for seed in range(int(first), int(last or first) + 1):
        wrong = run(seed, given.seconds)
        failed = failed or bool(wrong)
        print("\n".join(wrong) if wrong else f"seed {seed}: right", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
