"""docs/architecture.md names what exists: the layers of pyproject.toml, every package, and files that are there."""

import re
import tomllib

from paths import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text()
PACKAGE = ROOT / "src" / "txmon"
EXAMPLES = {"ingest/tcp.py", "notify/channels/file.py", "cli/commands/count.py"}  # files that a recipe tells to write


def test_the_page_is_short() -> None:
    assert len(PAGE.splitlines()) < 150


def test_the_layers_are_those_that_import_linter_holds() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    shown = PAGE.partition("\n## Layers\n")[2].split("```")[1].strip().splitlines()
    assert ["__main__", *shown] == layers


def test_every_package_has_a_paragraph() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(re.findall(r"^- \*\*(\w+)\*\* ", PAGE, re.MULTILINE)) == packages


def test_every_file_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`([a-z_]+/[a-z_/]+\.(?:py|toml))`", PAGE))
    assert len(named) > 12
    assert named >= EXAMPLES
    assert {name for name in named if not (PACKAGE / name).exists()} == EXAMPLES


def test_every_package_says_what_it_may_import_and_where_to_begin() -> None:
    for path in PACKAGE.rglob("*/__init__.py"):
        text = path.read_text()
        assert "It may import " in text, path
        assert "Start reading at " in text.replace("\n", " "), path
