"""A webhook's receiver, a process of its own: answers as its script says, and writes down what it got.

    python receiver.py SCRIPT LOG

SCRIPT is a JSON list of answers, one a request, the last for all that follow: {"code": 202, "headers": {}, "body": ""};
{"hang": true} never answers, {"echo": true} has the request's own address in the body. LOG gets a JSON line a request.
The port is the first line of standard output.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Handler(BaseHTTPRequestHandler):
    server: "Receiver"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.take({"path": self.path, "headers": dict(self.headers), "body": body.decode("utf-8")})
        if answer.get("hang"):
            time.sleep(3600)
        text = f"no such flow: {self.path}" if answer.get("echo") else answer.get("body", "")
        data = text.encode()
        self.send_response(answer.get("code", 202))
        for name, value in answer.get("headers", {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        """A page, to whoever turns a redirected POST into a GET and takes that for success."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


class Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: list[dict[str, Any]], log: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self._script = script
        self._log = log
        self._count = 0
        self._lock = threading.Lock()

    def take(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            answer = self._script[min(self._count, len(self._script) - 1)]
            self._count += 1
            row = {
                **request,
                "at": time.monotonic(),
                "code": answer.get("code", 202),
                "hang": answer.get("hang", False),
            }
            with self._log.open("a") as file:
                file.write(json.dumps(row) + "\n")
        return answer


if __name__ == "__main__":
    receiver = Receiver(json.loads(sys.argv[1]), Path(sys.argv[2]))
    print(receiver.server_address[1], flush=True)
    receiver.serve_forever()
