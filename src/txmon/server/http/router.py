"""Maps paths to handlers, and parses queries."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from txmon.server.http.message import HttpError, Request, Response

Handler = Callable[[Request, Mapping[str, str]], Response]
FIELDS: Final = 16  # parameters in a query


@dataclass(frozen=True, slots=True)
class Route:
    """A path with variables in braces, its method, and the scope that it requires."""

    method: str
    path: str
    handle: Handler
    scope: str = ""  # required scope of the token; empty: no token needed
    listed: bool = True  # in /openapi.json


class Router:
    """Finds the handler of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._fixed: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[tuple[str, ...], dict[str, Route]]] = []
        for route in self.routes:
            if "{" not in route.path:
                self._fixed.setdefault(route.path, {})[route.method] = route
            else:
                parts = tuple(route.path[1:].split("/"))
                self._patterns.append((parts, {route.method: route}))

    def find(self, request: Request) -> tuple[Route, Mapping[str, str]]:
        """Return the route of `request` and the variables in its path. Raise HttpError 404 or 405."""
        methods = self._fixed.get(request.path)
        variables: dict[str, str] = {}
        if methods is None:
            methods, variables = self._match(request.segments())
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            allowed = ", ".join(_allowed(methods))
            raise HttpError(405, f"{request.method} is not allowed here. Use {allowed}", headers=(("Allow", allowed),))
        return route, variables

    def options(self, request: Request) -> Response:
        """Return the methods of a path, or of `*`. Raise HttpError 404.

        Pages of other sites get no permission (CORS).
        """
        if request.path == "*":
            return Response(204, headers=(("Allow", "GET, HEAD, OPTIONS, POST"),))
        methods = self._fixed.get(request.path)
        if methods is None:
            methods, _ = self._match(request.segments())
        return Response(204, headers=(("Allow", ", ".join(_allowed(methods))),))

    def _match(self, segments: tuple[str, ...]) -> tuple[dict[str, Route], dict[str, str]]:
        for parts, methods in self._patterns:
            if len(parts) == len(segments) and all(
                part == segment or (part[0] == "{" and segment) for part, segment in zip(parts, segments, strict=True)
            ):
                variables = {
                    part[1:-1]: segment for part, segment in zip(parts, segments, strict=True) if part[0] == "{"
                }
                return methods, variables
        raise HttpError(404, "this path does not exist")


def _allowed(methods: Iterable[str]) -> list[str]:
    return sorted({*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])})


class Query:
    """The parameters after the question mark. Raise HttpError 422 if one is repeated or unknown."""

    def __init__(self, request: Request, *known: str) -> None:
        try:
            pairs = parse_qsl(request.query, keep_blank_values=True, errors="strict", max_num_fields=FIELDS)
        except (ValueError, UnicodeDecodeError):
            raise HttpError(422, "the query cannot be read") from None
        self._values = dict(pairs)
        unknown = sorted(self._values.keys() - set(known))
        if unknown:
            raise HttpError(422, f"unknown parameter {unknown[0]!r:.60}; known: {', '.join(known) or 'none'}")
        if len(pairs) != len(self._values):
            raise HttpError(422, "a parameter is given twice")

    def text(self, name: str) -> str | None:
        """Return a text, or None if it is absent."""
        return self._values.get(name)

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number from `least` to `most`."""
        text = self._values.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
            raise HttpError(422, f"{name} must be a whole number from {least} to {most}")
        return int(text)
