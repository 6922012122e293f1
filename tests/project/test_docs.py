"""What the README says is what happens."""

import json
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import doc_blocks
from paths import ROOT

from txmon.cli.main import COMMANDS
from txmon.settings.declarations import DECLARATIONS, flag

README = (ROOT / "README.md").read_text()
FOLDER = Path(sys.executable).parent


def test_the_python_example_runs() -> None:
    [code] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert done.stdout == b""


def test_what_the_pages_import_from_txmon_is_there() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    found = [
        (module, name.strip())
        for page in pages
        for block in doc_blocks.blocks(page.read_text())
        for module, names in re.findall(r"^from (txmon\S*) import (.+)$", block.text, re.MULTILINE)
        for name in names.split(",")
    ]
    assert len(found) > 2
    assert [f"{module}.{name}" for module, name in found if not hasattr(import_module(module), name)] == []


def test_every_command_is_in_the_readme_the_changelog_or_the_page_on_clusters() -> None:
    text = README + (ROOT / "CHANGELOG.md").read_text() + (ROOT / "docs" / "cluster.md").read_text()
    assert [name for name in COMMANDS if f"txmon {name}" not in text] == []


def test_every_setting_is_a_flag_of_some_command() -> None:
    found = ""
    for name in COMMANDS:
        done = subprocess.run([str(FOLDER / "txmon"), name, "--help"], capture_output=True, timeout=60, check=True)
        found += done.stdout.decode()
    assert [name for name in DECLARATIONS if flag(name) not in found] == []


def test_all_is_all_of_the_extras_and_the_readme_names_them() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (everything,) = extras.pop("all")
    assert everything == f"txmon[{','.join(sorted(extras))}]"
    assert [name for name in extras if f"`{name}`" not in README] == []


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) > 6
    assert [link for link in links if not link.startswith("https:") and not (ROOT / link).exists()] == []


def test_the_line_that_the_help_shows_is_that_of_readme() -> None:
    topic = (ROOT / "src/txmon/cli/topics/verdicts.txt").read_text("utf-8")
    shown = json.loads(" ".join(topic[topic.index("{") : topic.index("}") + 1].split()))
    line = next(line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if line.startswith('{"time"'))
    printed = json.loads(line)
    assert shown == {name: printed[name] for name in shown}
