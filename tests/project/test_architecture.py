"""The imports of every module against the table of docs/architecture.md."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "txmon"
ROW = re.compile(r"^\| `([\w/]+)` \|(.*)\|$")


def allowed() -> dict[str, set[str]]:
    """Module -> what it may import, from the table."""
    rows = map(ROW.match, (ROOT / "docs" / "architecture.md").read_text().splitlines())
    return {row[1]: {word.strip(" `") for word in row[2].split(",") if word.strip()} for row in rows if row}


def modules() -> list[str]:
    paths = (path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py"))
    return sorted(str(path) for path in paths if path.name != "__init__")


def imported(module: str) -> set[str]:
    """The package's modules and third-party libraries that `module` imports anywhere in its text."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            folder = Path(module).parents[node.level - 1]
            base = folder / str(node.module).replace(".", "/") if node.module else folder
            if (PACKAGE / base).with_suffix(".py").exists():
                found.add(str(base))
            else:
                found |= {str(base / a.name) for a in node.names if (PACKAGE / base / f"{a.name}.py").exists()}
    return {name for name in found if name not in sys.stdlib_module_names and name != "txmon"}


@pytest.mark.parametrize("module", modules())
def test_imports_are_in_the_table(module: str) -> None:
    table = allowed()
    assert module in table, f"docs/architecture.md has no row for {module}"
    assert imported(module) <= table[module]


def test_the_table_names_no_module_that_is_gone() -> None:
    assert set(allowed()) <= set(modules())


def test_a_forbidden_arrow_is_seen() -> None:
    assert "click" in imported("cli")
    assert "verdict" in imported("sinks/jsonl")


@pytest.mark.parametrize("module", [m for m in modules() if m.startswith("sinks/")])
def test_sinks_never_import_the_detector(module: str) -> None:
    assert not {"detector", "baseline", "judgement", "pipeline"} & imported(module)
