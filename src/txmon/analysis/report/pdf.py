"""Writes a report as PDF: a headless Chromium prints its HTML page."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from txmon.analysis.report.html import write_html
from txmon.analysis.report.report import Report
from txmon.errors import ConfigError, IoFailure
from txmon.support.safe_open import create_bytes

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE: Final = 120  # seconds


def write_pdf(reports: list[Report], path: str) -> None:
    """Write all reports as one PDF. Raise ConfigError if Chromium is missing, IoFailure if it fails."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise ConfigError(
            "--pdf needs Chromium or Chrome, and there is none on the PATH. Install chromium, or print the page of"
            " --html FILE from any browser."
        )
    with TemporaryDirectory(prefix="txmon-") as folder:
        page, printed = Path(folder) / "report.html", Path(folder) / "report.pdf"
        with page.open("w", encoding="utf-8") as file:
            write_html(reports, file)
        root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root
        command = [
            browser, "--headless", *root, "--disable-gpu", "--no-first-run", f"--user-data-dir={folder}/profile",
            "--no-pdf-header-footer", f"--print-to-pdf={printed}", page.as_uri(),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        except (OSError, subprocess.TimeoutExpired) as bad:
            raise IoFailure(f"{browser}: did not print: {bad}") from bad
        if not printed.exists():
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise IoFailure(f"{browser}: did not print: {said[-1] if said else f'exit code {done.returncode}'}")
        with create_bytes(path) as out:
            out.write(printed.read_bytes())
