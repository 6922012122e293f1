"""What txmon brings along: known licences, and no version below what pyproject.toml asks for."""

import re
import tomllib
from email.message import Message

import pytest
from audit import Library, libraries, licence_of, normal
from packaging.requirements import Requirement
from paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FOUND = {one.name: one for one in libraries()}


def test_every_licence_is_allowed() -> None:
    assert [one for one in FOUND.values() if not one.allowed()] == []


def test_what_the_project_asks_for_is_there_and_new_enough() -> None:
    asked = [Requirement(text) for text in PROJECT["dependencies"]]
    assert len(asked) >= 8
    for requirement in asked:
        assert FOUND[normal(requirement.name)].version in requirement.specifier, requirement
        assert re.match(r">=\d", str(requirement.specifier)), f"{requirement} has no floor"
    assert len(FOUND) > 2 * len(asked)  # with what those need in turn


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True), ("", False), ("GPL-3.0-only", False), ("MIT AND GPL-3.0-only", False),
        ("LGPL-2.1-or-later", False),
        ("MIT OR GPL-2.0-only", True), ("(MIT OR GPL-2.0-only) AND BSD-3-Clause", True),
        ("AGPL-3.0-only AND MIT", False),
        ("MPL-2.0", True), ("Proprietary", False), ("SSPL-1.0", False),
    ],
)  # fmt: skip
def test_what_is_allowed(licence: str, allowed: bool) -> None:
    assert Library("x", "1", licence, "txmon").allowed() is allowed


class Fake:
    """A distribution that states so much of its licence."""

    def __init__(self, **metadata: str) -> None:
        self.metadata = Message()
        for name, value in metadata.items():
            self.metadata[name] = value


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ({"License_Expression": "MIT"}, ""),
        ({"License-Expression": "MIT", "License": "GPL"}, "MIT"),
        ({"Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
        ({"Classifier": "License :: OSI Approved :: GNU General Public License v3 (GPLv3)", "License": ""}, ""),
        ({"License": "BSD 3-Clause License\n\nCopyright"}, "BSD-3-Clause"),
        ({"License": "see the file"}, ""),
        ({}, ""),
    ],
)
def test_how_licences_are_stated(metadata: dict[str, str], licence: str) -> None:
    assert licence_of(Fake(Name="x", **metadata)) == licence  # type: ignore[arg-type]
