"""Posts a signed JSON document to a webhook of the user's own."""

import hashlib
import hmac
from base64 import b64encode
from datetime import tzinfo
from email.message import Message as Headers
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from txmon.notify.channels.base import Answer, Secrets, failure_answer, http_answer
from txmon.notify.channels.document import document
from txmon.notify.notification import Notification

TIMEOUT: Final = 10.0  # seconds to connect, and between two parts of an answer
MOST_READ: Final = 4096  # bytes of an answer


class _Stay(HTTPRedirectHandler):
    """Follows no redirect: urllib would repeat the request as a GET, without its body, and call that a success."""

    def redirect_request(
        self, req: object, fp: object, code: int, msg: str, headers: Headers, newurl: str
    ) -> Request | None:
        """Return None, which makes urllib raise HTTPError for the redirect."""
        return None


class Webhook:
    """Posts the document of a notification. Neither its texts nor its repr hold the address or the key."""

    name = "webhook"

    def __init__(self, address: str, key: str | None, tz: tzinfo, timeout: float = TIMEOUT) -> None:
        """address: a secret, since it may hold a token. key: of the signature, or None. timeout: seconds."""
        split = urlsplit(address)
        self._address = urlunsplit(split._replace(netloc=split.netloc.rpartition("@")[2]))
        self._login = None
        if split.username is not None:  # urllib takes it for a part of the host's name
            login = f"{unquote(split.username)}:{unquote(split.password or '')}"
            self._login = "Basic " + b64encode(login.encode("utf-8")).decode("ascii")
        self._key = key
        self._tz = tz
        self._timeout = timeout
        self._secrets = Secrets([address, key] if key else [address])
        self._opener = build_opener(_Stay)

    def render(self, notification: Notification) -> str:
        """Return the document."""
        return document(notification, self._tz)

    def send(self, identity: str, body: str) -> Answer:
        """Post the document; X-Txmon-Signature is `sha256=` and the hexadecimal HMAC of the body's bytes."""
        data = body.encode("utf-8")
        headers = {"Content-Type": "application/json", "User-Agent": "txmon", "X-Txmon-Id": identity}
        if self._login is not None:
            headers["Authorization"] = self._login
        if self._key is not None:
            signature = hmac.new(self._key.encode("utf-8"), data, hashlib.sha256).hexdigest()
            headers["X-Txmon-Signature"] = f"sha256={signature}"
        try:
            with self._opener.open(
                Request(self._address, data, headers, method="POST"), timeout=self._timeout
            ) as reply:
                return http_answer(reply.status, reply.headers, "", self._secrets)
        except HTTPError as bad:
            with bad:
                try:
                    said = bad.read(MOST_READ).decode("utf-8", "replace")
                except (OSError, HTTPException):
                    said = ""
                return http_answer(bad.code, bad.headers, said, self._secrets)
        except (OSError, HTTPException) as failure:
            return failure_answer(failure)

    def __repr__(self) -> str:
        return "Webhook(...)"
