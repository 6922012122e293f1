"""axe-core, which finds faults of accessibility: an npm package that `make test` installs in .venv."""

import json
from pathlib import Path
from typing import Any

import pytest
from browser import Page
from paths import ROOT

# in .venv, which nothing commits; a developer's worktree may share the one of another
PLACES = [
    ROOT / ".venv" / "npm",
    *[folder / "npm" for folder in Path(pytest.__file__).parents if folder.name == ".venv"],
]
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


def script() -> str | None:
    """The library's text; None where it is not installed."""
    for place in PLACES:
        path = place / "node_modules" / "axe-core" / "axe.min.js"
        if path.exists():
            return path.read_text(encoding="utf-8")
    return None


def violations(page: Page) -> list[dict[str, Any]]:
    """What axe-core finds on the page as it is: the rule, and the elements."""
    text = script()
    if text is None:
        pytest.skip("axe-core is not installed: npm install --prefix .venv/npm axe-core@4.14.1")
    page.call("Runtime.evaluate", expression=text)
    wanted = json.dumps({"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]})
    found = page.ask(f"axe.run(document, {wanted}).then((r) => JSON.stringify([r.violations, r.passes.length]))")
    rows, passed = json.loads(found)
    assert passed > 15  # it did look
    return [
        {
            "rule": row["id"],
            "what": row["help"],
            "where": [(node["target"], node.get("failureSummary")) for node in row["nodes"]],
        }
        for row in rows
    ]
