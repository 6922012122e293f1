"""Serves the page's files, each by its own name. No other file on the disk can be requested."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib.resources import files
from typing import Final

from txmon.server.http.message import Response

SCRIPT: Final = "text/javascript; charset=utf-8"
STYLE: Final = "text/css; charset=utf-8"


_INDENTATION: Final = re.compile(rb"^ +", re.MULTILINE)


def _load(name: str, kind: str) -> Response:
    body = (files("txmon.server") / "page" / name).read_bytes()
    if not name.startswith("uPlot"):
        body = _INDENTATION.sub(b"", body)  # 3% of the page; no text of it spans lines
    return Response(200, body, kind)


ASSETS: Final[Mapping[str, Callable[[], Response]]] = {
    f"/assets/{name}": partial(_load, name, kind)
    for name, kind in (
        ("main.js", SCRIPT),
        ("acting.js", SCRIPT),
        ("attention.js", SCRIPT),
        ("board.js", SCRIPT),
        ("charts.js", SCRIPT),
        ("dom.js", SCRIPT),
        ("feed.js", SCRIPT),
        ("heat.js", SCRIPT),
        ("incident.js", SCRIPT),
        ("incidents.js", SCRIPT),
        ("key.js", SCRIPT),
        ("login.js", SCRIPT),
        ("mix.js", SCRIPT),
        ("panels.js", SCRIPT),
        ("range.js", SCRIPT),
        ("status.js", SCRIPT),
        ("store.js", SCRIPT),
        ("theme.js", SCRIPT),
        ("time.js", SCRIPT),
        ("app.css", STYLE),
        ("uPlot.iife.min.js", SCRIPT),
        ("uPlot.min.css", STYLE),
        ("icon.svg", "image/svg+xml"),
    )
}
PAGE: Final = partial(_load, "index.html", "text/html; charset=utf-8")


def page_below() -> Response:
    """Return the page for an address one folder below its own. Its files are next to that folder."""
    page = PAGE()
    return replace(page, body=page.body.replace(b'="assets/', b'="../assets/').replace(b'="./', b'="../'))


def numbered_icon(count: int) -> Response:
    """Return the icon with the number of open incidents on a red ground; 9+ for more than nine."""
    text = str(count) if count < 10 else "9+"
    ground = '<rect width="32" height="32" rx="6" fill="#b8211a"/>'
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{ground}'
        f'<text x="16" y="24" font-size="{22 if count < 10 else 19}" font-family="sans-serif" font-weight="700"'
        f' text-anchor="middle" fill="#fff">{text}</text></svg>'
    )
    return Response(200, drawn.encode(), "image/svg+xml")
