"""The files that contributors edit by hand keep their format: CHANGELOG.md, and the hooks of pre-commit."""

import re

import pytest
import yaml
from paths import ROOT

SECTIONS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
RELEASE = re.compile(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d")


def problems(text: str) -> list[str]:
    """Return what is wrong with a changelog."""
    title, *versions = re.split(r"^## ", text, flags=re.MULTILINE)
    found = [] if title.startswith("# Changelog\n") else ["the first line is not `# Changelog`"]
    names = [version.partition("\n")[0] for version in versions]
    if names[:1] != ["Unreleased"]:
        found.append("the first version is not `## Unreleased`")
    found += [f"`## {name}` is not `## VERSION - YYYY-MM-DD`" for name in names[1:] if not RELEASE.fullmatch(name)]
    for name, version in zip(names, versions, strict=True):
        found += [f"{name}: {problem}" for problem in version_problems(version.partition("\n")[2])]
    return found


def version_problems(text: str) -> list[str]:
    """Return what is wrong with the sections of one version."""
    before, *sections = re.split(r"^### ", text, flags=re.MULTILINE)
    found = [f"{before.strip():.40} stands in no section"] if before.strip() else []
    names = [section.partition("\n")[0] for section in sections]
    found += [f"the section {name} is not one of {', '.join(SECTIONS)}" for name in names if name not in SECTIONS]
    found += [f"two sections {name}" for name in sorted(set(names)) if names.count(name) > 1]
    for name, section in zip(names, sections, strict=True):
        stray, *entries = re.split(r"^- ", section.partition("\n")[2], flags=re.MULTILINE)
        if stray.strip() or not entries:
            found.append(f"{name} does not begin with an entry")
        for entry in entries:
            first, *more = entry.rstrip("\n").split("\n")
            if not " ".join([first, *more]).endswith("."):
                found.append(f"{name}: the entry {first!r:.40} does not end with a full stop")
            found += [f"{name}: {line!r:.40} is not an entry" for line in more if not re.match(r"  \S", line)]
    return found


def test_the_changelog_has_its_format() -> None:
    assert problems((ROOT / "CHANGELOG.md").read_text()) == []


GOOD = """\
# Changelog

Versions follow Semantic Versioning.

## Unreleased

### Added

- `txmon replay` reads a new format,
  in two lines.
- A second entry.

## 1.0.0 - 2026-12-01

### Fixed

- A defect.
"""


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("# Changelog", "# History", "the first line is not `# Changelog`"),
        ("## Unreleased", "## [Unreleased]", "the first version is not `## Unreleased`"),
        ("1.0.0 - 2026-12-01", "1.0", "`## 1.0` is not `## VERSION"),
        ("### Fixed", "### Mended", "1.0.0 - 2026-12-01: the section Mended is not one of Added"),
        ("- A second entry.", "- A second entry.\n\n### Added\n\n- Again.", "Unreleased: two sections Added"),
        ("- A defect.\n", "", "1.0.0 - 2026-12-01: Fixed does not begin with an entry"),
        ("- A defect.", "A defect.", "1.0.0 - 2026-12-01: Fixed does not begin with an entry"),
        ("in two lines.", "in two lines", "Unreleased: Added: the entry '`txmon replay` reads"),
        ("  in two lines.", "in two lines.", "Unreleased: Added: 'in two lines.' is not an entry"),
        ("### Added\n\n", "", "Unreleased: - `txmon replay` reads"),
    ],
)
def test_a_mistake_in_a_changelog_is_found(before: str, after: str, problem: str) -> None:
    assert problems(GOOD) == []
    found = problems(GOOD.replace(before, after, 1))
    assert [text for text in found if text.startswith(problem)], found


def test_no_hook_needs_a_network_and_each_runs_a_check_of_make_test() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}
    recipe = (ROOT / "Makefile").read_text().partition("\ntest: ")[2].partition("\n\n")[0]
    checks = re.findall(r"\$\(BIN\)/(ruff check|ruff format --check|mypy|lint-imports)", recipe)
    assert len(checks) == 4
    entries = [hook["entry"] for hook in hooks]
    assert [check for check in checks if not any(f".venv/bin/{check}" in entry for entry in entries)] == []


def test_every_test_that_the_readme_of_the_tests_names_exists() -> None:
    named = re.findall(r"`(\w+/test_\w+\.py)::(\w+)`", (ROOT / "tests" / "README.md").read_text())
    assert len(named) > 50
    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in (ROOT / "tests" / file).read_text()]
    assert missing == []
