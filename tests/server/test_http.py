"""The HTTP layer over raw sockets: every way of reading one connection differently is refused, and limits hold."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from txmon.errors import IoFailure
from txmon.server.http.connection import Limits
from txmon.server.http.listener import Listener, is_loopback
from txmon.server.http.message import Request, Response

HOST = b"Host: localhost\r\n"
CHUNKED = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n"
QUICK = Limits(body=1000, request=0.4, idle=0.4, connections=4)


gate = threading.Event()
waiting: list[str] = []


@pytest.fixture(autouse=True)
def closed_gate() -> None:
    gate.clear()
    waiting.clear()


def echo(request: Request) -> Response:
    if request.path == "/gate":
        waiting.append(request.path)
        gate.wait(10)
    if request.path == "/slow":
        time.sleep(0.3)
    if request.path == "/big":
        return Response(200, b"0" * 1_000_000, "text/plain")
    return Response(200, f"{request.method} {request.path}|".encode() + request.body, "text/plain")


@contextmanager
def serving(limits: Limits = QUICK) -> Iterator[Listener]:
    listener = Listener("127.0.0.1", 0, echo, limits)
    listener.start()
    try:
        yield listener
    finally:
        listener.stop(2)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as listener:
        yield listener.port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def everything(sock: socket.socket) -> bytes:
    found = b""
    while block := sock.recv(65536):
        found += block
    return found


def ask(port: int, raw: bytes) -> bytes:
    """All that comes back for `raw`, up to the end of the connection."""
    with connect(port) as sock:
        sock.sendall(raw)
        return everything(sock)


def one(sock: socket.socket) -> bytes:
    """One answer with a Content-Length."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += sock.recv(1)
    length = int(found.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while length > 0:
        block = sock.recv(length)
        found += block
        length -= len(block)
    return found


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no host
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"get / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET ftp://localhost/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /%zz HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /%ff HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A b: c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A : c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\nC: d\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: localhost\n\n", 400),  # answered at once, and not after the time for a head
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1_0\r\n\r\n0123456789", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: one\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length:\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1001\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
        (CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (CHUNKED[:-9] + b"gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (CHUNKED[:-9] + b"identity\r\n\r\nx", 501),
        (CHUNKED[:-9] + b"\x0bchunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (CHUNKED + b"\r\n5;a=b\r\nhello\r\n0\r\n\r\n", 400),
        (CHUNKED + b"\r\n 5\r\nhello\r\n0\r\n\r\n", 400),
        (CHUNKED + b"\r\n0x5\r\nhello\r\n0\r\n\r\n", 400),
        (CHUNKED + b"\r\n+5\r\nhello\r\n0\r\n\r\n", 400),
        (CHUNKED + b"\r\n1_0\r\nhello\r\n0\r\n\r\n", 400),
        (CHUNKED + b"\r\n000000005\r\nhello\r\n0\r\n\r\n", 400),
        (CHUNKED + b"\r\n5\nhello\n0\n\n........", 400),
        (CHUNKED + b"\r\n5\r\nhello!\r\n0\r\n\r\n", 400),
        (CHUNKED + b"\r\n5\r\nhello\n\n0\r\n\r\n", 400),
        (CHUNKED + b"\r\n\r\n\r\n", 400),
        (CHUNKED + b"\r\n3e9\r\n", 413),
        (CHUNKED + b"\r\nffffffff\r\n", 413),
        (CHUNKED + b"\r\n0\r\nno trailer\r\n\r\n", 400),
        (CHUNKED + b"\r\n0\r\n" + b"A: b\r\n" * 3000 + b"\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Expect: cookies\r\nContent-Length: 1\r\n\r\n", 417),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 100 + b"\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS
    ],
)
def test_a_doubtful_request_is_refused_and_the_connection_ends(port: int, raw: bytes, expected: int) -> None:
    answer = ask(port, raw)
    assert status(answer) == expected
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1 ") == 1


def test_what_follows_a_chunked_body_is_not_taken_for_a_request(port: int) -> None:
    smuggled = b"GET /secret HTTP/1.1\r\n" + HOST + b"\r\n"
    chunked = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"
    answer = ask(port, chunked + smuggled)
    assert status(answer) == 400
    assert b"secret" not in answer


def test_keep_alive_answers_many_and_pipelined_requests_in_order(port: int) -> None:
    with connect(port) as sock:
        for i in range(5):
            sock.sendall(b"POST /%d HTTP/1.1\r\n" % i + HOST + b"Content-Length: 3\r\n\r\nabc")
            assert one(sock).endswith(b"POST /%d|abc" % i)
        sock.sendall(b"".join(b"GET /%d HTTP/1.1\r\n" % i + HOST + b"\r\n" for i in range(5)))
        assert [one(sock)[-7:] for _ in range(5)] == [b"GET /%d|" % i for i in range(5)]


def test_a_body_that_looks_like_a_request_stays_a_body(port: int) -> None:
    inner = b"GET /inner HTTP/1.1\r\n" + HOST + b"\r\n"
    head = b"POST /outer HTTP/1.1\r\n" + HOST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(inner)
    answer = ask(port, head + inner)
    assert answer.endswith(b"POST /outer|" + inner)
    assert answer.count(b"HTTP/1.1 200") == 1


def test_http_1_0_and_connection_close_end_the_connection(port: int) -> None:
    assert status(ask(port, b"GET / HTTP/1.0\r\n\r\n")) == 200
    assert status(ask(port, b"GET / HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")) == 200


def test_head_has_the_length_and_no_body(port: int) -> None:
    answer = ask(port, b"HEAD /abc HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
    assert b"Content-Length: 10\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_expect_continue_is_told_to_go_on(port: int) -> None:
    with connect(port) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"ok")
        assert one(sock).endswith(b"|ok")


@pytest.mark.parametrize(
    "start", [b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n"], ids=["head", "body"]
)
def test_a_byte_at_a_time_does_not_outlive_the_deadline(port: int, start: bytes) -> None:
    with connect(port) as sock:
        sock.sendall(start)
        answered = threading.Event()

        def drip() -> None:
            while not answered.wait(0.02):
                try:
                    sock.send(b"a")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert status(everything(sock)) == 408
        finally:
            answered.set()
            thread.join()


def test_a_silent_client_is_hung_up_on(port: int) -> None:
    with connect(port) as sock:
        assert everything(sock) == b""


def test_every_answer_has_the_security_headers(port: int) -> None:
    for raw in (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
        answer = ask(port, raw).decode()
        assert "X-Content-Type-Options: nosniff\r\n" in answer
        assert "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; " in answer
        assert "unsafe" not in answer


def test_connections_over_the_cap_are_told_so_and_idle_ones_make_room() -> None:
    with serving(Limits(request=60, idle=60, connections=2)) as listener:
        busy = [connect(listener.port) for _ in range(2)]
        for sock in busy:
            sock.sendall(b"GET /gate HTTP/1.1\r\n" + HOST + b"\r\n")  # being answered: not to be hung up on
        wait_until(lambda: len(waiting) == 2)
        with connect(listener.port) as third:
            third.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            answer = everything(third)
        assert status(answer) == 503
        assert b"Retry-After: 1\r\n" in answer
        with connect(listener.port) as probe:  # there is always a place for who asks how the server is
            probe.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
            assert status(one(probe)) == 200
        gate.set()
        assert [status(one(sock)) for sock in busy] == [200, 200]
        wait_until(lambda: any(c.idle for c in list(listener._live)))

        def has_room() -> bool:  # the idle one is given a quarter of a second to leave, which a busy machine may miss
            with connect(listener.port) as fourth:
                fourth.sendall(b"GET /4 HTTP/1.1\r\n" + HOST + b"\r\n")
                return status(one(fourth)) == 200

        wait_until(has_room)
        for sock in busy:
            sock.close()


def test_who_never_ends_a_head_makes_room_for_who_does() -> None:
    with serving(Limits(head=60, request=60, idle=60, connections=20)) as listener:
        slow = [connect(listener.port) for _ in range(60)]
        for sock in slow:
            sock.sendall(b"G")
        for i in range(10):
            with connect(listener.port) as sock:
                sock.sendall(b"GET /%d HTTP/1.1\r\n" % i + HOST + b"\r\n")
                assert one(sock).endswith(b"GET /%d|" % i)
        for sock in slow:
            sock.close()


def test_a_head_has_a_time_limit_of_its_own() -> None:
    with serving(Limits(head=0.3, request=60, idle=60)) as listener, connect(listener.port) as sock:
        sock.sendall(b"GET / HT")
        answer = everything(sock)
    assert status(answer) == 408
    assert b"headers took longer than 0.3 s" in answer


def test_one_address_does_not_take_all_places() -> None:
    with serving(Limits(request=60, idle=60, connections=20, each=3)) as listener:
        busy = [connect(listener.port) for _ in range(3)]
        for sock in busy:
            sock.sendall(b"GET /gate HTTP/1.1\r\n" + HOST + b"\r\n")
        wait_until(lambda: len(waiting) == 3)
        with connect(listener.port) as fourth:
            fourth.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert status(everything(fourth)) == 503
        other = socket.create_connection(("127.0.0.1", listener.port), 5, source_address=("127.0.0.2", 0))
        with other as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert status(one(sock)) == 200
        gate.set()
        for sock in busy:
            assert status(one(sock)) == 200
            sock.close()


def wait_until(true: object) -> None:
    assert callable(true)
    for _ in range(500):
        if true():
            return
        time.sleep(0.01)
    pytest.fail("it never became true")


def test_bytes_after_the_last_request_do_not_cost_its_answer(port: int) -> None:
    for _ in range(20):
        with connect(port) as sock:
            sock.sendall(b"GET /big HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n" + b"x" * 200_000)
            assert everything(sock).endswith(b"0" * 1_000_000)


def test_a_burst_of_connections_is_not_refused_by_the_kernel() -> None:
    with serving(Limits(connections=200)) as listener:
        socks = [connect(listener.port) for _ in range(100)]
        for i, sock in enumerate(socks):
            sock.sendall(b"GET /%d HTTP/1.1\r\n" % i + HOST + b"\r\n")
        for i, sock in enumerate(socks):
            assert one(sock).endswith(b"GET /%d|" % i)
            sock.close()


def test_stopping_answers_what_was_asked_and_takes_no_more() -> None:
    listener = Listener("127.0.0.1", 0, echo, Limits())
    listener.start()
    idle = connect(listener.port)
    idle.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    one(idle)
    busy = [connect(listener.port) for _ in range(3)]
    for sock in busy:
        sock.sendall(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n")
    assert listener.stop(5)
    for sock in busy:
        answer = everything(sock)
        assert answer.endswith(b"GET /slow|")
        assert b"Connection: close\r\n" in answer
        sock.close()
    assert everything(idle) == b""
    idle.close()
    with pytest.raises(OSError, match="refused"):
        connect(listener.port)


def test_an_address_in_use_is_one_clear_error() -> None:
    with serving() as listener, pytest.raises(IoFailure, match="in use"):
        Listener("127.0.0.1", listener.port, echo)


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("10.0.0.1", False), ("example.org", False)],
)  # fmt: skip
def test_what_only_this_machine_can_reach(host: str, local: bool) -> None:
    assert is_loopback(host) is local


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_chunked_body_is_read_however_it_arrives(port: int, size: int) -> None:
    body = b"5\r\nhello\r\n1\r\n \r\n00A\r\n0123456789\r\n0\r\nDigest: x\r\n\r\n"
    raw = CHUNKED + b"\r\n" + body + b"GET /after HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(0, len(raw), size):
            sock.sendall(raw[i : i + size])
        answer = b""
        while block := sock.recv(65536):
            answer += block
    assert b"POST /|hello 0123456789" in answer
    assert b"GET /after|" in answer  # what follows the body is the next request, to the byte
