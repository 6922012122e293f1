"""TLS of the listener: it uses a certificate and its key, and reads them again after they were renewed."""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from txmon.errors import ConfigError

PARTING: Final = 0.2  # seconds for a client to acknowledge the end
TURNS: Final = 10  # of a handshake, at most
OUTDATED: Final = {9: "is not valid yet", 10: "has expired"}  # by OpenSSL's code of a failed verification
PLAIN: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 36\r\nConnection: close\r\n\r\n"
    b"This port speaks TLS. Use https://.\n"
)


class Tls:
    """Puts connections under TLS 1.2 or later, with the certificate that was read last."""

    def __init__(self, certificate: str, key: str, warn: Callable[[str], object]) -> None:
        """Read both files (PEM). Raise ConfigError if they cannot be used.

        warn: receives a line if clients will refuse the certificate.
        """
        self._warn = warn
        self._certificate = certificate
        self._key = key
        self._context = self._read()

    def reload(self) -> str:
        """Read both files again for new connections. Return a message.

        After ConfigError, the old certificate stays in use.
        """
        self._context = self._read()
        return f"{self._certificate}: read again"

    def greet(self, sock: socket.socket, seconds: float) -> socket.socket:
        """Return `sock` under TLS after a handshake within `seconds`. Raise OSError if it fails."""
        sock.settimeout(seconds)
        encrypted = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        try:
            encrypted.do_handshake()
        except OSError as bad:
            if getattr(bad, "reason", None) == "HTTP_REQUEST":
                with suppress(OSError):
                    socket.socket.send(encrypted, PLAIN)
            encrypted.close()
            raise
        return encrypted

    def part(self, sock: socket.socket) -> None:
        """Tell the client of a socket under TLS that no more data follows."""
        assert isinstance(sock, ssl.SSLSocket)
        with suppress(OSError, ValueError):
            sock.settimeout(PARTING)
            sock.unwrap()

    def _read(self) -> ssl.SSLContext:
        for option, path in (("--tls-cert", self._certificate), ("--tls-key", self._key)):
            try:
                with open(path, "rb") as file:
                    file.read(1)
            except OSError as bad:
                raise ConfigError(f"{option} {path}: {bad.strerror}") from bad
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._certificate, self._key, _no_password)
        except (ssl.SSLError, ValueError) as bad:
            raise ConfigError(f"{self._certificate}, {self._key}: {_reason(bad)}") from bad
        outdated = _outdated(context, self._certificate)
        if outdated:
            self._warn(f"--tls-cert {self._certificate}: the certificate {outdated}. Clients will refuse it")
        return context


def _outdated(server: ssl.SSLContext, certificate: str) -> str:
    """Return why a client would refuse the time of a certificate, or "". It is tried, in memory."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # any issuer will do
    client.load_verify_locations(certificate)
    one, two = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [client.wrap_bio(one, two), server.wrap_bio(two, one, server_side=True)]
    for _ in range(TURNS):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as bad:
                return OUTDATED.get(bad.verify_code, "")
            except ssl.SSLError:
                return ""
    return ""


def _no_password() -> str:
    raise ValueError("the key is encrypted. Write it without a password: openssl pkey -in KEY -out PLAIN")


def _reason(bad: Exception) -> str:
    if getattr(bad, "reason", None) == "KEY_VALUES_MISMATCH":
        return "the key is not that of the certificate"
    if isinstance(bad, ssl.SSLError):
        return "not a PEM certificate with its key"
    return str(bad)
