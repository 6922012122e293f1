"""Wrong tokens: after ten from one address in a minute, further wrong ones are told to wait; the right one never is."""

import socket
import tracemalloc

import pytest
from serving import Clock, Server, serving

from txmon.server.guard import ADDRESSES, TRIES, Throttle
from txmon.server.http.message import HttpError

TOKEN = "a-token-of-thirty-two-characters"
LOGIN = b'{"token": "wrong"}'


def raw(server: Server, *lines: str, body: bytes = b"") -> tuple[int, dict[str, str]]:
    """Status and headers of the answer to what is written to a socket of its own."""
    head = "\r\n".join([*lines, "Host: localhost", f"Content-Length: {len(body)}", "Connection: close", "", ""])
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(head.encode() + body)
        answer = b""
        while block := sock.recv(65536):
            answer += block
    status, *headers = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in headers)


def bearer(server: Server, token: str) -> tuple[int, dict[str, str]]:
    return raw(server, "GET /v1/incidents HTTP/1.1", f"Authorization: Bearer {token}")


def login(server: Server, body: bytes) -> tuple[int, dict[str, str]]:
    return raw(server, "POST /v1/login HTTP/1.1", "Content-Type: application/json", body=body)


def test_after_ten_wrong_tokens_wrong_ones_are_told_to_wait_for_a_minute() -> None:
    with serving(token=TOKEN) as server:
        for i in range(TRIES):
            server.clock.now += 1
            status, headers = bearer(server, f"wrong{i}") if i % 2 else login(server, LOGIN)
            assert status == 401
        status, headers = bearer(server, "wrong")
        assert (status, headers["retry-after"]) == (429, "52")
        assert login(server, LOGIN)[0] == 429
        server.clock.now += 51
        assert bearer(server, "wrong")[0] == 401


def test_the_right_token_is_taken_whatever_others_behind_the_same_address_send() -> None:
    with serving(token=TOKEN) as server:
        for _ in range(3 * TRIES):
            bearer(server, "stale-token-of-last-month")
        assert bearer(server, TOKEN)[0] == 200
        assert bearer(server, "wrong")[0] == 429
        assert login(server, b'{"token": "%s"}' % TOKEN.encode())[0] == 204


def test_no_token_is_no_wrong_one_and_a_session_goes_on() -> None:
    with serving(token=TOKEN) as server:
        for _ in range(2 * TRIES):
            assert raw(server, "GET /v1/incidents HTTP/1.1")[0] == 401
        status, headers = login(server, b'{"token": "%s"}' % TOKEN.encode())
        assert status == 204
        session = headers["set-cookie"].split(";")[0]
        for _ in range(TRIES):
            assert bearer(server, "wrong")[0] == 401
        assert raw(server, "GET /v1/incidents HTTP/1.1", f"Cookie: {session}")[0] == 200


def test_without_a_token_nothing_is_refused() -> None:
    with serving() as server:
        for _ in range(2 * TRIES):
            assert bearer(server, "any")[0] == 200


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),  # a customer has all of a /64
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("unix", "unix", True),
    ],
)
def test_addresses_of_one_customer_count_together(first: str, second: str, same: bool) -> None:
    throttle = Throttle(Clock(0.0))
    for _ in range(TRIES):
        throttle.failed(first)
    if same:
        with pytest.raises(HttpError, match="too many wrong tokens"):
            throttle.check(second)
    else:
        throttle.check(second)


def test_the_clock_set_back_locks_nobody_out() -> None:
    clock = Clock(10_000.0)
    throttle = Throttle(clock)
    for _ in range(TRIES):
        throttle.failed("192.0.2.1")
    clock.now = 9_000.0
    throttle.check("192.0.2.1")


def test_memory_does_not_grow_with_addresses() -> None:
    throttle = Throttle(Clock(0.0))

    def flood(start: int) -> int:
        for i in range(start, start + 5 * ADDRESSES):
            throttle.failed(f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}")
        assert len(throttle) == ADDRESSES
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        once = flood(0)
        assert flood(5 * ADDRESSES) < 1.2 * once
    finally:
        tracemalloc.stop()
