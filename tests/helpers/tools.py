"""Programs that some tests need. A machine without one skips these tests; .ci/run installs all of them."""

import shutil
from collections.abc import Iterable
from typing import Final

import pytest

PACKAGES: Final = {
    "chromium": "chromium", "curl": "curl", "openssl": "openssl", "ps": "procps", "promtool": "prometheus",
}  # fmt: skip


def need(name: str) -> str:
    """Return the path of the program, or skip the test."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"needs {name} (Debian: {PACKAGES.get(name, name)})")
    return found


def need_all_in(scripts: Iterable[str]) -> None:
    """Skip the test where one of these shell texts names a program of PACKAGES that is missing."""
    words = {word for script in scripts for word in script.split()}
    for name in PACKAGES:
        if name in words:
            need(name)
