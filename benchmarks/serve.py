"""What `txmon serve` bears: python benchmarks/serve.py [--quick] (clients and server share this machine's cores).

Starts the txmon installed beside this Python, posts to it from other processes over raw sockets, and prints a table.
"""

import argparse
import json
import multiprocessing
import os
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


def batch(start: int, size: int) -> bytes:
    """Transactions as JSON lines; 5,000 a minute."""
    lines = []
    for i in range(start, start + size):
        moment = datetime.fromtimestamp(BASE + i * 60 // 5000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines.append(f'{{"time":"{moment}","status":"{STATUSES[i % 13 % 6]}","count":1}}\n')
    return request("".join(lines).encode(), "application/x-ndjson")


def exchange(sock: socket.socket, raw: bytes) -> None:
    """Send a request and read its whole answer."""
    sock.sendall(raw)
    found = b""
    while b"\r\n\r\n" not in found:
        found += sock.recv(65536)
    assert found.startswith(b"HTTP/1.1 200"), found
    head, _, body = found.partition(b"\r\n\r\n")
    missing = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]) - len(body)
    while missing > 0:
        missing -= len(sock.recv(65536))


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


def show(what: str, value: str) -> None:
    print(f"{what:<58} {value}", flush=True)


def latencies(times: list[float]) -> str:
    return f"p50 {statistics.median(times):.2f} ms, p99 {percentile(times, 0.99):.1f} ms, most {times[-1]:.0f} ms"


def batches(port: int, many: int) -> float:
    """Records a second in batches of 5,000, one connection."""
    raws = [batch(i * 5000, 5000) for i in range(many)]
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the time and of the records")
    quick = parser.parse_args().quick
    seconds = 2.0 if quick else 10.0
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    with server() as port:
        for clients in (1, 4):
            rate, times = load(port, clients, seconds)
            show(f"single POSTs, {clients} on keep-alive", f"{rate:.0f}/s; {latencies(times)}")
    with server() as port:
        rate, times = load(port, 4, seconds, 1000)
        show("single POSTs at 1,000/s, 4 on keep-alive", f"{rate:.0f}/s; {latencies(times)}")
    with server() as port:
        _, before = load(port, 1, seconds / 2, 200)
        show("one client at 200/s, before", latencies(before))
        many = 20 if quick else 200
        show("NDJSON batches of 5,000", f"{batches(port, many):.0f} records/s")
        _, after = load(port, 1, seconds / 2, 200, first=many * 600)  # where the batches ended
        show("one client at 200/s, after those records", latencies(after))
    with server() as port:
        done = threading.Event()
        slow = threading.Thread(target=drip, args=(port, 200, done))
        slow.start()
        time.sleep(1.0)
        _, times = load(port, 1, seconds, 200)
        done.set()
        slow.join()
        show("one client at 200/s beside 200 that send a byte a second", latencies(times))


if __name__ == "__main__":
    main()
