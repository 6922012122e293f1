"""Behind a real nginx: the blocks of the how-to page, and the one line that everybody writes first."""

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browser import browser
from paths import ROOT
from serving import incident, minute, serving, warm
from test_page import acknowledge
from test_serve_cli import wait_for
from tools import need

from txmon.settings.declarations import Settings

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
PAGE = (ROOT / "docs" / "how-to" / "proxies.md").read_text()
BLOCKS = re.findall(r"```nginx\n(.*?)```", PAGE, re.S)
TOKEN = "a-token-of-thirty-two-characters"
SETTINGS = Settings(allow_host=("monitor.example",), trusted_proxy=("127.0.0.1",))
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def nginx(folder: Path, servers: str) -> Iterator[None]:
    """A running nginx with these server blocks."""
    assert NGINX is not None
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;"
        f"events {{}} http {{ access_log off; {temporary} {servers} }}"
    )
    process = subprocess.Popen(
        [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "errors")]
    )
    try:
        wait_for((folder / "pid").exists)
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [need("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=monitor.example",
         "-keyout", str(folder / "key"), "-out", str(folder / "certificate")],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "certificate", folder / "key"


def ask(
    port: int, method: str, path: str, body: object = None, headers: dict[str, str] | None = None, tls: bool = False
) -> tuple[int, dict[str, str], bytes]:
    if tls:
        trusting = ssl._create_unverified_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=10, context=trusting, source_address=("127.0.0.2", 0)
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    raw = json.dumps(body) if body is not None else None
    named = {"Content-Type": "application/json"} if raw else {}
    connection.request(method, path, raw, named | (headers or {}))
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def first_event(port: int, path: str) -> bytes:
    """What comes of the live feed within a moment."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        found = b""
        while b"retry:" not in found:
            block = sock.recv(4096)
            assert block, found
            found += block
        return found


def test_the_block_of_the_page_with_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    port = free_port()
    with serving(SETTINGS, token=TOKEN) as server:
        block = BLOCKS[0].replace("443", f"127.0.0.1:{port}").replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
        block = block.replace("/etc/ssl/monitor.pem", str(certificate[0]))
        block = block.replace("/etc/ssl/monitor.key", str(certificate[1]))
        with nginx(tmp_path, block):
            host = {"Host": f"monitor.example:{port}"}
            assert ask(port, "GET", "/", headers=host, tls=True)[0] == 200
            origin = host | {"Origin": f"https://monitor.example:{port}", "Sec-Fetch-Site": "same-origin"}
            status, headers, _ = ask(port, "POST", "/v1/login", {"token": TOKEN}, origin, tls=True)
            assert status == 204
            assert headers["set-cookie"].endswith("; Secure")
            session = {"Cookie": headers["set-cookie"].split(";")[0]}
            row = {"time": minute(0), "status": "failed"}
            assert ask(port, "POST", "/v1/transactions", row, origin | session, tls=True)[0] == 200
            evil = host | session | {"Origin": "https://evil.example"}
            assert ask(port, "POST", "/v1/transactions", row, evil, tls=True)[0] == 403
            wrong = host | {"Authorization": "Bearer stale-token-of-last-month"}
            for client in ("198.51.100.1", "198.51.100.2"):  # a client's own word is not believed beyond nginx
                for _ in range(6):
                    status = ask(port, "GET", "/metrics", headers=wrong | {"X-Forwarded-For": client}, tls=True)[0]
            assert status == 429
            right = host | {"Authorization": f"Bearer {TOKEN}"}
            assert ask(port, "GET", "/metrics", headers=right, tls=True)[0] == 200


def test_a_plain_proxy_pass(tmp_path: Path) -> None:
    port = free_port()
    with serving(token=TOKEN) as server:
        location = f"location / {{ proxy_pass http://127.0.0.1:{server.port}; }}"
        with nginx(tmp_path, f"server {{ listen 127.0.0.1:{port}; {location} }}"):
            browser_s = {"Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}
            status, headers, _ = ask(port, "POST", "/v1/login", {"token": TOKEN}, browser_s)
            assert status == 204
            session = browser_s | {"Cookie": headers["set-cookie"].split(";")[0]}
            assert ask(port, "POST", "/v1/incidents/none/ack", None, session)[0] == 404
            other = session | {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}
            assert ask(port, "POST", "/v1/incidents/none/ack", None, other)[0] == 403
    with serving() as server:
        location = f"location / {{ proxy_pass http://127.0.0.1:{server.port}; }}"
        with nginx(tmp_path, f"server {{ listen 127.0.0.1:{port}; {location} }}"):
            assert b"retry: 2000" in first_event(port, "/v1/stream")


def test_bodies_that_nginx_does_not_buffer_come_in_chunks(tmp_path: Path) -> None:
    port = free_port()
    with serving() as server:
        location = (
            f"location / {{ proxy_pass http://127.0.0.1:{server.port}; proxy_http_version 1.1;"
            ' proxy_set_header Connection ""; proxy_request_buffering off; }'
        )
        with nginx(tmp_path, f"server {{ listen 127.0.0.1:{port}; {location} }}"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            rows = (f'{{"time": "{minute(i)}", "status": "failed"}}\n'.encode() for i in range(5))
            connection.request(
                "POST", "/v1/transactions", rows, {"Content-Type": "application/x-ndjson"}, encode_chunked=True
            )
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["accepted"]) == (200, 5)
            connection.close()


@pytest.mark.parametrize("base", ["", "/txmon"])
def test_the_page_under_a_path(base: str, tmp_path: Path) -> None:
    port = free_port()
    with serving(Settings(trusted_proxy=("127.0.0.1",), base_path=base)) as server:
        warm(server)
        block = BLOCKS[1].replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
        profile = tmp_path / "profile"
        folder = tmp_path / "nginx"
        folder.mkdir()
        with nginx(folder, f"server {{ listen 127.0.0.1:{port}; {block} }}"), browser(profile) as page:
            page.open(f"http://127.0.0.1:{port}/txmon/")
            page.wait("document.getElementById('state').textContent === 'live'")
            incident(server)
            page.wait("document.querySelector('#incident-list button')")
            acknowledge(page, "Ana", "seen")
            inside = [url for url in page.requested if url.startswith("http")]
            assert all(url.startswith(f"http://127.0.0.1:{port}/txmon/") for url in inside)
            assert page.complaints == []


def test_a_proxy_that_keeps_the_path_and_asks_for_a_login_of_its_own(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "passwords").write_text("user:{PLAIN}secret\n")
    basic = {"Authorization": "Basic dXNlcjpzZWNyZXQ="}
    with serving(Settings(base_path="/txmon"), token=TOKEN) as server:
        location = (
            f"location /txmon/ {{ auth_basic x; auth_basic_user_file {tmp_path}/passwords;"
            f" proxy_pass http://127.0.0.1:{server.port}; }}"
        )
        with nginx(tmp_path, f"server {{ listen 127.0.0.1:{port}; {location} }}"):
            assert ask(port, "GET", "/txmon/")[0] == 401
            assert ask(port, "GET", "/txmon/", headers=basic)[0] == 200
            status, headers, _ = ask(port, "POST", "/txmon/v1/login", {"token": TOKEN}, basic)
            assert status == 204
            session: dict[str, Any] = {"Cookie": headers["set-cookie"].split(";")[0]}
            assert ask(port, "GET", "/txmon/v1/overview", headers=basic | session)[0] == 200
            assert ask(port, "GET", "/txmon/v1/overview", headers=basic)[0] == 401
