"""What `txmon serve` bears: python benchmarks/serve.py [--quick] (clients and server share this machine's cores).

Starts the txmon installed beside this Python, posts to it from other processes over raw sockets, and prints a table:
singles on 1 and 64 connections, the cost of each durability, latency at 1,000 a second, 100,000 merchants with a state,
and Flask and FastAPI with the same model, all in one run.
"""

import argparse
import json
import multiprocessing
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

STATUSES = ("approved", "denied", "failed", "reversed", "refunded", "processing")
BASE = 1735689600  # 2025-01-01T00:00:00Z


@contextmanager
def server(*arguments: str) -> Iterator[int]:
    """The port of a running server."""
    command = [sys.executable, "-m", "txmon", "serve", "--port", "0", "--out", "/dev/null", *arguments]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=folder)
        assert process.stderr is not None
        found = re.search(rb":(\d+)/", process.stderr.readline())
        assert found is not None
        try:
            yield int(found[1])
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
    """Post 45 minutes of 20,000 rows, and in the first of them each merchant."""
    chance, now = random.Random(1), int(time.time()) // 60 * 60
    with connect(port) as sock:
        for minute in range(45, 0, -1):
            moment = datetime.fromtimestamp(now - 60 * minute, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            for first in range(0, MERCHANTS if minute == 45 else 1, 20_000):
                names = (
                    range(first, first + 20_000)
                    if minute == 45
                    else [chance.randrange(MERCHANTS) for _ in range(20_000)]
                )
                rows = "\n".join(f"{moment},{chance.choice(STATUSES)},m{name}" for name in names)
                exchange(sock, request(f"time,status,merchant\n{rows}".encode(), "text/csv"), patient=True)


def merchants(seconds: float, *options: str) -> list[float]:
    """Milliseconds of transactions at 333 a second in all, of 100,000 merchants."""
    with server("--group-by", "merchant", "--max-body", "8MiB", *options) as port:
        warm_merchants(port)
        out: multiprocessing.Queue[list[float]] = multiprocessing.Queue()
        processes = [
            multiprocessing.Process(target=merchant_client, args=(port, seconds, 333 / 4, seed, out), daemon=True)
            for seed in range(4)
        ]
        for process in processes:
            process.start()
        return sorted(1e3 * t for _ in processes for t in out.get(timeout=seconds + 120))


@contextmanager
def peer(name: str) -> Iterator[int]:
    """The port of the same model behind a web framework, in one process as `txmon serve` is."""
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
        yield port
    finally:
        process.terminate()
        process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the time and of the records")
    parser.add_argument("--json", metavar="FILE", help="write the results there too")
    given = parser.parse_args()
    seconds = 2.0 if given.quick else 10.0
    show("cores and load at the start", f"{os.cpu_count()}, {os.getloadavg()[0]:.1f}")
    for clients in (1, 64):
        with server() as port:
            rate, times = load(port, clients, seconds)
            show(f"single POSTs on {clients} connections", f"{rate:.0f}/s; {latencies(times)}")
        for durability in ("none", "batch", "always"):
            with server("--state", "state", "--durability", durability) as port:
                rate, times = load(port, clients, seconds)
                show(f"the same, --state, --durability {durability}", f"{rate:.0f}/s; {latencies(times)}")
        for name in ("flask", "fastapi"):
            with peer(name) as port:
                rate, times = load(port, clients, seconds)
                show(f"the same model behind {name}", f"{rate:.0f}/s; {latencies(times)}")
    with server("--state", "state") as port:
        rate, times = load(port, 4, seconds, 1000)
        show("single POSTs at 1,000/s, --state", f"{rate:.0f}/s; {latencies(times)}")
    for name in ("flask", "fastapi"):
        with peer(name) as port:
            rate, times = load(port, 4, seconds, 1000)
            show(f"the same, {name}", f"{rate:.0f}/s; {latencies(times)}")
    with server() as port:
        many = 20 if given.quick else 200
        show("NDJSON batches of 5,000", f"{batches(port, many):.0f} records/s")
    with server() as port:
        many = 20 if given.quick else 200
        show("NDJSON batches of 5,000 with ids", f"{batches(port, many, ids=True):.0f} records/s")
    with server() as port:
        done = threading.Event()
        slow = threading.Thread(target=drip, args=(port, 200, done))
        slow.start()
        time.sleep(1.0)
        _, times = load(port, 1, seconds, 200)
        done.set()
        slow.join()
        show("one client at 200/s beside 200 that send a byte a second", latencies(times))
    long = 20.0 if given.quick else 130.0
    show("100,000 merchants at 333/s", latencies(merchants(long)))
    show("100,000 merchants at 333/s, --state", latencies(merchants(long, "--state", "state")))
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(TOLD, file, indent=1)


if __name__ == "__main__":
    main()
