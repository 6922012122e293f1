"""TLS on the listener itself, as a process: its certificate, its renewal, and clients that speak something else."""

import http.client
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from test_serve_cli import end, refused, running, wait_for

from txmon.server.http.tls import Tls


def certificate(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
               "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return cert, key


def name_of(port: int, cert: Path) -> str:
    context = ssl.create_default_context(cafile=str(cert))
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    with context.wrap_socket(plain, server_hostname="localhost") as sock:
        found = sock.getpeercert()
    assert found is not None
    return str(found["subject"]).split("'")[-2]


def test_requests_over_tls_and_a_renewed_certificate(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    options = ("--tls-cert", str(cert), "--tls-key", str(key), "--state", "state")
    with running(tmp_path, *options, TXMON_TOKEN="a-token-of-the-tests") as (process, port):
        context = ssl.create_default_context(cafile=str(cert))
        client = http.client.HTTPSConnection("localhost", port, timeout=10, context=context)
        for _ in range(3):
            client.request("GET", "/healthz")
            assert client.getresponse().read() == b'{"status": "ok", "trouble": ""}'
        client.request("POST", "/v1/login", b'{"token": "a-token-of-the-tests"}', {"Content-Type": "application/json"})
        answer = client.getresponse()
        answer.read()
        assert "; Secure" in str(answer.getheader("set-cookie"))

        certificate(tmp_path, "renewed")
        process.send_signal(signal.SIGHUP)
        wait_for((tmp_path / "state").exists)
        assert name_of(port, cert) == "renewed"
        client.request("GET", "/healthz")  # the connection of before goes on
        assert client.getresponse().read()
        client.close()

        key.write_text("nothing")
        (tmp_path / "state").unlink()
        process.send_signal(signal.SIGHUP)
        wait_for((tmp_path / "state").exists)
        assert name_of(port, cert) == "renewed"

        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert plain.recv(1000).endswith(b"This port speaks TLS. Use https://.\n")
        with socket.create_connection(("127.0.0.1", port), timeout=10):  # says nothing, and holds nobody up
            assert name_of(port, cert) == "renewed"
        assert end(process)[0] == 0


@pytest.mark.parametrize(
    ("change", "code", "line"),
    [
        ("no key", 2, "--tls-cert and --tls-key belong together; give both"),
        ("no file", 78, "--tls-cert missing.pem: No such file or directory"),
        ("foreign", 78, "the key is not that of the certificate"),
        ("not PEM", 78, "not a PEM certificate with its key"),
        ("password", 78, "the key is encrypted. Write it without a password"),
    ],
)
def test_what_cannot_be_served_with_is_one_line(change: str, code: int, line: str, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    options = ["--port", "0", "--tls-cert", str(cert), "--tls-key", str(key)]
    if change == "no key":
        options = options[:-2]
    elif change == "no file":
        options[3] = "missing.pem"
    elif change == "foreign":
        (tmp_path / "other").mkdir()
        options[5] = str(certificate(tmp_path / "other")[1])
    elif change == "not PEM":
        cert.write_text("nothing")
    else:
        locked = [
            "openssl",
            "pkey",
            "-in",
            str(key),
            "-out",
            str(tmp_path / "locked"),
            "-aes256",
            "-passout",
            "pass:abcd",
        ]
        subprocess.run(locked, check=True, capture_output=True, timeout=60)
        options[5] = str(tmp_path / "locked")
    found, said = refused(tmp_path, *options)
    assert (found, said.count("\n")) == (code, 1), said
    assert line in said


@pytest.mark.parametrize(
    ("begin", "end_", "line"),
    [
        ("20200101", "20200201", "has expired"),
        ("20480101", "20480201", "is not valid yet"),
        ("20200101", "20480101", ""),
    ],
)
def test_a_certificate_that_clients_refuse_is_said(begin: str, end_: str, line: str, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    (tmp_path / "index").touch()
    (tmp_path / "serial").write_text("01\n")
    (tmp_path / "ca").write_text(
        "[ca]\ndefault_ca=a\n[a]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n"
        "[p]\ncommonName=supplied\n"
    )
    for command in (
        ["req", "-new", "-key", str(key), "-subj", "/CN=localhost", "-out", "csr"],
        ["ca", "-batch", "-selfsign", "-config", "ca", "-keyfile", str(key), "-in", "csr", "-out", str(cert), "-notext",
         "-startdate", f"{begin}000000Z", "-enddate", f"{end_}000000Z"],
    ):  # fmt: skip
        subprocess.run(["openssl", *command], check=True, capture_output=True, timeout=60, cwd=tmp_path)
    said: list[str] = []
    Tls(str(cert), str(key), said.append)
    assert said == ([f"--tls-cert {cert}: the certificate {line}. Clients will refuse it"] if line else [])
