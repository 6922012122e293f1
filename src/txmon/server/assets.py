"""The page's files, each by its own name: nothing else of the disk can be asked for."""

from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files
from typing import Final

from txmon.server.http.message import Response

SCRIPT: Final = "text/javascript; charset=utf-8"
STYLE: Final = "text/css; charset=utf-8"


def _load(name: str, kind: str) -> Response:
    return Response(200, (files("txmon.server") / "page" / name).read_bytes(), kind)


ASSETS: Final[Mapping[str, Callable[[], Response]]] = {
    f"/assets/{name}": partial(_load, name, kind)
    for name, kind in (
        ("app.js", SCRIPT),
        ("feed.js", SCRIPT),
        ("charts.js", SCRIPT),
        ("app.css", STYLE),
        ("uPlot.iife.min.js", SCRIPT),
        ("uPlot.min.css", STYLE),
        ("icon.svg", "image/svg+xml"),
    )
}
PAGE: Final = partial(_load, "index.html", "text/html; charset=utf-8")
