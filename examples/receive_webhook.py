"""Receives txmon's JSON webhook, checks the signature and prints a line a notification.

usage: TXMON_WEBHOOK_SECRET=... python receive_webhook.py [PORT]
"""

import hashlib
import hmac
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

KEY = os.environ.get("TXMON_WEBHOOK_SECRET", "").encode()


class Handler(BaseHTTPRequestHandler):
    """Answers 204 to what txmon signed, 401 to anything else."""

    def do_POST(self) -> None:
        """Take one notification."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        expected = "sha256=" + hmac.new(KEY, body, hashlib.sha256).hexdigest()
        genuine = hmac.compare_digest(expected, self.headers.get("X-Txmon-Signature", ""))
        if genuine:
            notification = json.loads(body)
            print(notification["kind"], notification["status"], notification["title"], flush=True)
        self.send_response(204 if genuine else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Nothing: what matters is on standard output."""


if __name__ == "__main__":
    if not KEY:
        sys.exit("TXMON_WEBHOOK_SECRET is not set")
    HTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8900), Handler).serve_forever()
