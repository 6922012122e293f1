"""Fixtures that several test modules share."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from paths import SHARED, TESTS

# Commands that tests start do not say how they read their input; tests of the reading ask for it. What a run says
# besides is then all that it says.
os.environ["TXMON_NO_READING"] = "1"
# A shell starts background jobs, for example in CI, with SIGINT ignored, and nohup ignores SIGHUP. The commands that
# tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
if "PYTHONPATH" in os.environ:  # the commands run in folders of their own
    os.environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, os.environ["PYTHONPATH"].split(os.pathsep)))

# for `make mutants`: every mutant meets the same cases, and a failure is not looked into
settings.register_profile(
    "mutants", derandomize=True, database=None, deadline=None, max_examples=30, phases=[Phase.explicit, Phase.generate]
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skip is a failure: what a test needs, .ci/run installs. But for ../shared, where that is missing."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail") and SHARED.exists():
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


SIGNATURE = "Zq7-kX93mVtR2bLw8NfYp4sHc6JdGa1eUo5iTy0xQAE"
FLOW = "d41f8c0be5a94e07a3b2c6d8e9f01234"


@dataclass(frozen=True)
class Endpoint:
    """A receiver that runs."""

    port: int
    log: Path

    @property
    def url(self) -> str:
        """As Workflows gives them: a path with an id, and a signature that is the secret."""
        route = f"/workflows/{FLOW}/triggers/manual/paths/invoke"
        return f"http://127.0.0.1:{self.port}{route}?api-version=2016-06-01&sp=%2Ftriggers&sv=1.0&sig={SIGNATURE}"

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What arrived so far, the first first."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    @property
    def taken(self) -> list[str]:
        """The notification ids of all cards that were answered with a 2xx."""
        return [card_id(row["body"]) for row in self.requests if row["code"] < 300 and not row["hang"]]


def card_id(body: str) -> str:
    """The stable id of an adaptive card, or of a document."""
    row = json.loads(body)
    return str(row["attachments"][0]["content"]["body"][0]["id"] if "attachments" in row else row["id"])


Start = Callable[..., Endpoint]


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Start]:
    """Starts receivers: receiver(answer, answer, ...), the last for all that follow."""
    running: list[subprocess.Popen[str]] = []

    def start(*answers: dict[str, Any]) -> Endpoint:
        log = tmp_path / f"received-{len(running)}.jsonl"
        command = [sys.executable, str(TESTS / "helpers" / "receiver.py"), json.dumps(answers or ({},)), str(log)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        return Endpoint(int(process.stdout.readline()), log)

    yield start
    for process in running:
        process.kill()
        process.communicate()
