"""Headless Chromium over the DevTools protocol: enough to open a page, ask it things, and hear its complaints."""

import base64
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket
from tools import need

LONGEST = "300"  # seconds that a browser may live, whatever became of the test
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-port=0",
)  # fmt: skip
PATIENCE = 20.0  # seconds for a busy machine; nothing here measures time


class Page:
    """One tab."""

    def __init__(self, url: str) -> None:
        self._socket = websocket.create_connection(url, timeout=PATIENCE, suppress_origin=True)
        self.address = url.split("/")[2]
        self._number = 0
        self.complaints: list[str] = []  # errors, warnings, violations of the content security policy
        self.requested: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._number:
                assert "error" not in message, message
                return dict(message["result"])
            self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        about = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(about["exceptionDetails"]))
            case "Log.entryAdded" if about["entry"]["level"] in ("error", "warning"):
                self.complaints.append(f"{about['entry']['text']} {about['entry'].get('url')}")
            case "Runtime.consoleAPICalled" if about["type"] in ("error", "warning", "assert"):
                self.complaints.append(json.dumps(about["args"]))
            case "Network.requestWillBeSent":
                self.requested.append(about["request"]["url"])

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The first true value of a JavaScript expression."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
            value = result["result"].get("value")
            if "exceptionDetails" not in result and value not in (None, False, 0, ""):  # it may not have loaded yet
                return value
            time.sleep(0.05)
        raise AssertionError(f"never true: {expression}; {self.complaints}; {self.ask('document.body.innerText')}")

    def size(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        self._socket.close()


@contextmanager
def tabs(page: Page, count: int) -> Iterator[list[Page]]:
    """So many more tabs of the browser that has `page`."""
    address = page.address
    pages = []
    try:
        for _ in range(count):
            made = urllib.request.Request(f"http://{address}/json/new?about:blank", method="PUT")
            with urllib.request.urlopen(made, timeout=PATIENCE) as answer:
                pages.append(Page(json.load(answer)["webSocketDebuggerUrl"]))
        yield pages
    finally:
        for tab in pages:
            tab.call("Page.close")
            tab.close()


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A tab of a fresh Chromium whose profile is `folder`."""
    process = subprocess.Popen(
        ["timeout", "-k", "5", LONGEST, need("chromium"), *FLAGS, f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        active = folder / "DevToolsActivePort"
        end = time.monotonic() + PATIENCE
        while not active.exists() or "\n" not in active.read_text():
            assert time.monotonic() < end, "Chromium does not start"
            assert process.poll() is None, "Chromium has ended"
            time.sleep(0.05)
        port = active.read_text().split("\n")[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE) as answer:
            tabs = json.load(answer)
        page = Page(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"))
        try:
            yield page
        finally:
            page.close()
    finally:
        process.terminate()
        process.wait(PATIENCE)
