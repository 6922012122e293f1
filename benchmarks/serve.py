"""What `txmon serve` bears: python benchmarks/serve.py [--quick] (clients and server share this machine's cores).

Starts the txmon installed beside this Python, posts to it from other processes over raw sockets, and prints a table:
singles on 1 and 64 connections, the cost of each durability, latency at 1,000 a second, 100,000 merchants with a state,
and Flask and FastAPI with the same model, all in one run of less than five minutes. CPU is that of the server's
processes.
"""

import argparse
import json
import multiprocessing
import os
import random
import re
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

STATUSES = ("approved", "denied", "failed", "reversed", "refunded", "processing")
BASE = 1735689600  # 2025-01-01T00:00:00Z


@dataclass(frozen=True)
class Served:
    """A running server."""

    port: int
    pid: int

    def cpu(self) -> float:
        """Seconds that its processes have computed."""
        ticks = 0
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                    rest = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            if self.pid in (int(name), int(rest[1])):
                ticks += int(rest[11]) + int(rest[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def server(*arguments: str) -> Iterator[Served]:
    """A running txmon."""
    command = [sys.executable, "-m", "txmon", "serve", "--port", "0", "--out", "/dev/null", *arguments]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=folder)
        assert process.stderr is not None
        found = re.search(rb":(\d+)/", process.stderr.readline())
        assert found is not None
        try:
            yield Served(int(found[1]), process.pid)
        finally:
            process.terminate()
            process.communicate()


def request(body: bytes, kind: str) -> bytes:
    head = f"POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def single(i: int) -> bytes:
    """A transaction; a minute passes each 600."""
    moment = datetime.fromtimestamp(BASE + i // 10, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return request(
        json.dumps({"time": moment, "status": STATUSES[i % 13 % 6], "count": 1}).encode(), "application/json"
    )


def batch(start: int, size: int, ids: bool = False) -> bytes:
    """Transactions as JSON lines; 5,000 a minute."""
    lines = []
    for i in range(start, start + size):
        identity = f'"id":"t{i}",' if ids else ""
        moment = datetime.fromtimestamp(BASE + i * 60 // 5000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines.append(f'{{{identity}"time":"{moment}","status":"{STATUSES[i % 13 % 6]}","count":1}}\n')
    return request("".join(lines).encode(), "application/x-ndjson")


def exchange(sock: socket.socket, raw: bytes, patient: bool = False) -> None:
    """Send a request and read its whole answer. patient: send it again where the server is busy."""
    while patient and not taken(sock, raw):
        time.sleep(1.0)
    assert patient or taken(sock, raw)


def taken(sock: socket.socket, raw: bytes) -> bool:
    """Send a request and read its whole answer; whether the server took it, and was not busy."""
    sock.sendall(raw)
    found = b""
    while b"\r\n\r\n" not in found:
        found += sock.recv(65536)
    assert found.startswith((b"HTTP/1.1 200", b"HTTP/1.1 503")), found
    head, _, body = found.partition(b"\r\n\r\n")
    missing = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) - len(body)
    while missing > 0:
        missing -= len(sock.recv(65536))
    return found.startswith(b"HTTP/1.1 200")


def connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def client(port: int, seconds: float, rate: float, first: int, out: "multiprocessing.Queue[list[float]]") -> None:
    """Post single transactions, `rate` a second (0: as fast as answered); put the latencies in seconds."""
    times: list[float] = []
    with connect(port) as sock:
        began = time.perf_counter()
        i = 0
        while (now := time.perf_counter()) < began + seconds:
            due = began + i / rate if rate else now
            if due > now:
                time.sleep(due - now)
            raw = single(first + i)
            sent = time.perf_counter()
            exchange(sock, raw)
            times.append(time.perf_counter() - (due if rate else sent))  # a late start is latency, too
            i += 1
    out.put(times)


def load(port: int, clients: int, seconds: float, rate: float = 0.0, first: int = 0) -> tuple[float, list[float]]:
    """Answers a second, and the sorted latencies in milliseconds."""
    out: multiprocessing.Queue[list[float]] = multiprocessing.Queue()
    arguments = (port, seconds, rate / clients, first, out)
    processes = [multiprocessing.Process(target=client, args=arguments, daemon=True) for _ in range(clients)]
    for process in processes:
        process.start()
    times = sorted(1e3 * t for _ in processes for t in out.get(timeout=seconds + 60))
    for process in processes:
        process.join()
    return len(times) / seconds, times


def saturate(port: int, clients: int, seconds: float) -> tuple[int, list[float]]:
    """Post single transactions on each connection as fast as they are answered; how many, and the latencies in ms.

    One process holds all connections, because processes of clients would take the server's cores.
    """
    times, sent, found = list[float](), dict[socket.socket, float](), dict[socket.socket, bytes]()
    raws = [single(i) for i in range(5000)]
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(clients):
            sock = stack.enter_context(connect(port))
            selector.register(sock, selectors.EVENT_READ)
            sent[sock], found[sock] = time.perf_counter(), b""
            sock.sendall(raws[0])
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            for key, _ in selector.select(1.0):
                sock = cast("socket.socket", key.fileobj)
                found[sock] += sock.recv(65536)
                if not is_whole(found[sock]):
                    continue
                assert found[sock].startswith(b"HTTP/1.1 200"), found[sock]
                now = time.perf_counter()
                times.append(1e3 * (now - sent[sock]))
                sent[sock], found[sock] = now, b""
                sock.sendall(raws[min(len(times) // 10, len(raws) - 1)])
    return len(times), sorted(times)


def is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    return bool(end) and len(body) >= int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])


def throughput(served: Served, clients: int, seconds: float) -> str:
    before = served.cpu()
    many, times = saturate(served.port, clients, seconds)
    cpu = 1e6 * (served.cpu() - before) / many
    return f"{many / seconds:.0f}/s; CPU {cpu:.0f} us; {latencies(times)}"


def percentile(times: list[float], share: float) -> float:
    return times[min(len(times) - 1, int(share * len(times)))]


TOLD: list[dict[str, str]] = []


def show(what: str, value: str) -> None:
    TOLD.append({"work": what, "measured": value})
    print(f"{what:<58} {value}", flush=True)


def latencies(times: list[float]) -> str:
    return f"p50 {statistics.median(times):.2f} ms, p99 {percentile(times, 0.99):.1f} ms, most {times[-1]:.0f} ms"


def batches(port: int, many: int, ids: bool = False) -> float:
    """Records a second in batches of 5,000, one connection."""
    raws = [batch(i * 5000, 5000, ids) for i in range(many)]
    with connect(port) as sock:
        began = time.perf_counter()
        for raw in raws:
            exchange(sock, raw)
        return many * 5000 / (time.perf_counter() - began)


def drip(port: int, many: int, done: threading.Event) -> None:
    """Hold `many` connections open, each sending a byte a second; a dropped one comes back."""
    socks = [connect(port) for _ in range(many)]
    while not done.wait(1.0):
        for i, sock in enumerate(socks):
            try:
                sock.send(b"G")
            except OSError:
                sock.close()
                socks[i] = connect(port)
    for sock in socks:
        sock.close()


MERCHANTS = 100_000
WARM = 8  # minutes


def merchant_client(
    port: int, seconds: float, rate: float, seed: int, out: "multiprocessing.Queue[list[float]]"
) -> None:
    """Post transactions of now, each of a merchant by chance, `rate` a second whatever the answers take."""
    chance, times = random.Random(seed), list[float]()
    with connect(port) as sock:
        began = time.perf_counter()
        for i in range(int(rate * seconds)):
            due = began + i / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            moment = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            row = {"time": moment, "status": chance.choice(STATUSES), "merchant": f"m{chance.randrange(MERCHANTS)}"}
            exchange(sock, request(json.dumps(row).encode(), "application/json"), patient=True)
            times.append(time.perf_counter() - due)
    out.put(times)


def warm_merchants(port: int) -> None:
    """Post some minutes of 20,000 rows, and in the first of them each merchant; wait until all is judged."""
    chance, now = random.Random(1), int(time.time()) // 60 * 60
    with connect(port) as sock:
        for minute in range(WARM, 0, -1):
            moment = datetime.fromtimestamp(now - 60 * minute, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            for first in range(0, MERCHANTS if minute == WARM else 1, 20_000):
                names = (
                    range(first, first + 20_000)
                    if minute == WARM
                    else [chance.randrange(MERCHANTS) for _ in range(20_000)]
                )
                rows = "\n".join(f"{moment},{chance.choice(STATUSES)},m{name}" for name in names)
                exchange(sock, request(f"time,status,merchant\n{rows}".encode(), "text/csv"), patient=True)
        quick = 0
        while quick < 20:
            moment = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            began = time.perf_counter()
            exchange(sock, request(f"time,status,merchant\n{moment},approved,m0".encode(), "text/csv"), patient=True)
            quick = quick + 1 if time.perf_counter() - began < 0.05 else 0
            time.sleep(0.1)


def merchants(seconds: float, *options: str) -> list[float]:
    """Milliseconds of transactions at 333 a second in all, of 100,000 merchants."""
    with server("--group-by", "merchant", "--max-body", "8MiB", "--warmup", "5m", *options) as served:
        warm_merchants(served.port)
        out: multiprocessing.Queue[list[float]] = multiprocessing.Queue()
        processes = [
            multiprocessing.Process(
                target=merchant_client, args=(served.port, seconds, 333 / 4, seed, out), daemon=True
            )
            for seed in range(4)
        ]
        for process in processes:
            process.start()
        return sorted(1e3 * t for _ in processes for t in out.get(timeout=seconds + 120))


@contextmanager
def peer(name: str) -> Iterator[Served]:
    """The same model behind a web framework, in one process as `txmon serve` is."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    if name == "flask":
        words = [
            "gunicorn",
            "--threads",
            "8",
            "--bind",
            f"127.0.0.1:{port}",
            "--log-level",
            "error",
            "web_peers:flask()",
        ]
    else:
        words = ["uvicorn", "--factory", "--port", str(port), "--log-level", "error", "web_peers:fastapi"]
    folder = os.path.dirname(os.path.abspath(__file__))
    process = subprocess.Popen([sys.executable, "-m", *words], cwd=folder, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                with connect(port) as sock:
                    exchange(sock, single(0), patient=True)  # the first answer comes once the model is imported
                break
            except OSError:
                time.sleep(0.1)
        yield Served(port, process.pid)
    finally:
        process.terminate()
        process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the time and of the records")
    parser.add_argument("--json", metavar="FILE", help="write the results there too")
    given = parser.parse_args()
    seconds = 2.0 if given.quick else 6.0
    began = time.perf_counter()
    show("cores and load at the start", f"{os.cpu_count()}, {os.getloadavg()[0]:.1f}")
    for clients in (1, 64):
        with server() as served:
            show(f"single POSTs on {clients} connections", throughput(served, clients, seconds))
        for durability in ("none", "batch", "always"):
            with server("--state", "state", "--durability", durability) as served:
                show(f"the same, --state, --durability {durability}", throughput(served, clients, seconds))
        for name in ("flask", "fastapi"):
            with peer(name) as served:
                show(f"the same model behind {name}", throughput(served, clients, seconds))
    with server("--state", "state") as served:
        rate, times = load(served.port, 4, seconds, 1000)
        show("single POSTs at 1,000/s, --state", f"{rate:.0f}/s; {latencies(times)}")
    for name in ("flask", "fastapi"):
        with peer(name) as served:
            rate, times = load(served.port, 4, seconds, 1000)
            show(f"the same, {name}", f"{rate:.0f}/s; {latencies(times)}")
    many = 20 if given.quick else 100
    for ids in (False, True):
        with server() as served:
            what = "NDJSON batches of 5,000" + (" with ids" if ids else "")
            show(what, f"{batches(served.port, many, ids):.0f} records/s")
    with server() as served:
        done = threading.Event()
        slow = threading.Thread(target=drip, args=(served.port, 200, done))
        slow.start()
        time.sleep(1.0)
        _, times = load(served.port, 1, seconds, 200)
        done.set()
        slow.join()
        show("one client at 200/s beside 200 that send a byte a second", latencies(times))
    times = merchants(20.0 if given.quick else 75.0, "--state", "state")  # a minute closes, and the state is written
    show("100,000 merchants at 333/s, --state", latencies(times))
    show("seconds of all of this", f"{time.perf_counter() - began:.0f}")
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(TOLD, file, indent=1)


if __name__ == "__main__":
    main()
