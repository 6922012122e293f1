"""Writes the tables of docs/reference/ from the code: `python docs/reference_pages.py` (--check compares only).

A page has text of its own and, between `<!-- written by docs/reference_pages.py: NAME -->` and `<!-- end -->`, tables.
"""

import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import txmon.model.statuses
from txmon.server.openapi import document
from txmon.settings.declarations import DECLARATIONS, DEFAULTS, SECTIONS, default_text, flag, variable
from txmon.settings.parsers import Choice
from txmon.settings.rule import NAMES

DOCS = Path(__file__).parent
PART = re.compile(r"(<!-- written by docs/reference_pages.py: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head: str, rows: Iterator[tuple[str, ...]]) -> list[str]:
    """A Markdown table; `head` is its first line without the bars at its ends."""
    cells = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return [f"| {head} |", "|" + " --- |" * (head.count("|") + 1), *(f"| {row} |" for row in cells), ""]


# verdict lines


def verdict_fields(kind: str) -> Iterator[str]:
    """The fields of one kind of line, from the JSON Schema."""
    schema = json.loads((DOCS / "verdict.schema.json").read_text())
    shape = schema["$defs"][kind]

    def rows() -> Iterator[tuple[str, ...]]:
        for name, field in shape["properties"].items():
            base = schema["$defs"][field["$ref"].rpartition("/")[2]] if "$ref" in field else {}
            whole = {**base, **{key: value for key, value in field.items() if key != "$ref"}}
            present = "always" if name in shape["required"] else "where it applies"
            yield f"`{name}`", kind_of(whole), present, whole.get("description", "")

    yield from table("field | type | present | meaning", rows())


def kind_of(schema: Mapping[str, Any]) -> str:
    """A JSON Schema's type in a few words."""
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "oneOf" in schema:
        return " or ".join(kind_of(one) for one in schema["oneOf"])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {kind_of(schema['items'])}"
    if isinstance(kind, list):
        return " or ".join(kind)
    return "time" if str(schema.get("pattern", "")).endswith("Z$") else str(kind)


# settings


def settings(section: str) -> Iterator[str]:
    """The settings of one section."""

    def rows() -> Iterator[tuple[str, ...]]:
        for name, declaration in DECLARATIONS.items():
            if declaration.section == section:
                default = declaration.default_text or f"`{default_text(name)}`"
                many = "; one or more" if declaration.many else ""
                yield f"`{name}`", accepts(name) + many, default.replace("`none`", "none"), declaration.help

    yield from table("key | takes | default | meaning", rows())


def accepts(name: str) -> str:
    """What a setting takes, asked of its own parser: what it says of a value that is none, and of one out of range."""
    declaration = DECLARATIONS[name]
    if isinstance(getattr(DEFAULTS, name), bool):
        return "`true`, `false`"
    if isinstance(declaration.parse, Choice):
        return ", ".join(f"`{word}`" for word in declaration.parse.words)
    metavar = declaration.metavar or "text"
    for far in ("36600d", "1e300", f"{10**15}"):
        limits = re.search(r"is not from (.* to .*)", _refusal(name, far))
        if limits:
            return f"{metavar}, {limits[1]}"
    return metavar


def _refusal(name: str, text: str) -> str:
    try:
        DECLARATIONS[name].parse(text)
    except ValueError as reason:
        return str(reason)
    return ""


def spellings() -> Iterator[str]:
    """One setting in its three forms."""
    name = "min_count"
    yield from table(
        "in txmon.toml | as a flag | in the environment",
        iter([(f"`{name} = 5`", f"`{flag(name)} 5`", f"`{variable(name)}=5`")]),
    )


# the API


def routes() -> Iterator[str]:
    """Every operation of the OpenAPI document."""

    def rows() -> Iterator[tuple[str, ...]]:
        for path, methods in document()["paths"].items():
            for method, operation in methods.items():
                answer = next(iter(operation["responses"].values()))
                token = "no" if operation.get("security") == [] else "yes"
                body = ", ".join(f"`{kind}`" for kind in operation.get("requestBody", {}).get("content", {}))
                gives = "; ".join(f"`{kind}`" for kind in answer.get("content", {"nothing": None}))
                what = " ".join(filter(None, [operation["summary"], operation.get("description", "")]))
                answers = "" if gives == "`application/json`" else f" Answers {gives.replace('`nothing`', 'nothing')}."
                yield f"`{method.upper()} {path}`", token, what + answers, body

    yield from table("request | token | does; answers JSON unless the row names another form | body", rows())


def parameters() -> Iterator[str]:
    """What stands in queries and headers."""

    def rows() -> Iterator[tuple[str, ...]]:
        for path, methods in document()["paths"].items():
            for operation in methods.values():
                for one in operation.get("parameters", []):
                    if one["in"] != "path":
                        yield f"`{path}`", f"`{one['name']}`", one["in"], _range(one["schema"]), one["description"]

    yield from table("path | parameter | in | value | meaning", rows())


def _range(schema: Mapping[str, Any]) -> str:
    limits = f", {schema['minimum']} to {schema['maximum']}" if "maximum" in schema else ""
    default = f", default {schema['default']}" if "default" in schema else ""
    return kind_of(schema) + limits + default


def bodies(*names: str) -> Iterator[str]:
    """The fields of objects of the API."""
    for name in names:
        schema = document()["components"]["schemas"][name]
        yield f"**{name}**. {schema.get('description', '')}".rstrip() + "\n"
        needed = schema.get("required", ())
        rows = (
            (f"`{field}`", kind_of(one), "always" if field in needed else "optional", one.get("description", ""))
            for field, one in schema["properties"].items()
        )
        yield from table("field | type | | meaning", rows)


# statuses


def roles() -> Iterator[str]:
    """What each role does."""
    yield from table("role | does", ((f"`{role}`", text) for role, text in _statuses()["roles"].items()))


def words() -> Iterator[str]:
    """The words of every role."""
    found = ((f"`{role}`", ", ".join(words)) for role, words in _statuses()["words"].items())
    yield from table("role | words", found)


def codes() -> Iterator[str]:
    """The response codes."""
    found = ((f"`{code}`", role, meaning) for code, (role, meaning) in _statuses()["codes"].items())
    yield from table("code | role | meaning", found)


def _statuses() -> dict[str, Any]:
    return tomllib.loads(Path(txmon.model.statuses.__file__).with_name("statuses.toml").read_text())


PARTS: Mapping[str, Callable[[], Iterator[str]]] = {
    "verdict": lambda: verdict_fields("verdict"),
    "incident": lambda: verdict_fields("incident"),
    "trend": lambda: verdict_fields("trend"),
    "spellings": spellings,
    "rules": lambda: iter(table("name | is", ((f"`{name}`", text) for name, text in NAMES.items()))),
    **{section: lambda section=section: settings(section) for section in SECTIONS},
    "roles": roles,
    "words": words,
    "codes": codes,
    "routes": routes,
    "parameters": parameters,
    "bodies": lambda: bodies("Transaction", "Receipt", "Incident", "Series", "Overview"),
}


def written(text: str) -> str:
    """A page with its tables as the code says them."""
    return PART.sub(lambda part: f"{part[1]}\n" + "\n".join(PARTS[part[2]]()) + f"\n{part[3]}", text)


def main() -> None:
    """Write the pages, or say which are not current."""
    stale = []
    for path in sorted((DOCS / "reference").glob("*.md")):
        text = path.read_text()
        if written(text) != text:
            stale.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(written(text))
    if stale and "--check" in sys.argv:
        sys.exit(f"not current: {', '.join(stale)}; run python docs/reference_pages.py")


if __name__ == "__main__":
    main()
