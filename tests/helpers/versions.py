"""Run the unit tests on every Python that txmon supports: `make test-versions`, or `python tests/helpers/versions.py`.

The versions come from the classifiers in pyproject.toml, or from the arguments ("3.13"). Other arguments go to pytest.
uv finds each version on this machine, or downloads it. The report names each version that uv could not provide. Every
version gets an environment of its own in .venv/versions, with txmon as plain Python.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

from paths import ROOT, TESTS

UNITS: Final = (
    "analysis", "cli", "detection", "evaluation", "ingest", "model", "notify", "pipeline", "query", "runtime",
    "settings", "sinks", "terminal",
)  # fmt: skip
LIBRARIES: Final = ("pytest", "hypothesis", "jsonschema", "pexpect", "matplotlib", "apprise")
DOWNLOAD: Final = 120.0  # seconds for which uv may try to download one interpreter
FOLDER: Final = ROOT / ".venv" / "versions"


def supported() -> list[str]:
    """Return the Python versions that pyproject.toml names, such as "3.11"."""
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    found = [text.rpartition(" ")[2] for text in classifiers if text.startswith("Programming Language :: Python :: 3.")]
    return sorted(found, key=lambda version: int(version.partition(".")[2]))


def interpreter(uv: str, version: str) -> tuple[str | None, str]:
    """Return the path of this Python, or None and the reason why uv could not provide it."""
    environment = {**os.environ, "UV_HTTP_TIMEOUT": "10", "UV_NO_PROGRESS": "1"}
    found = _find(uv, version)
    if found is not None:
        return found, "found on this machine"
    try:
        done = subprocess.run(
            [uv, "python", "install", "--no-bin", version], env=environment, capture_output=True, text=True,
            timeout=DOWNLOAD, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None, f"not on this machine, and uv did not download it within {DOWNLOAD:g} s"
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = lines[-1].removeprefix("cause: ") if lines else f"exit code {done.returncode}"
        return None, f"not on this machine, and uv could not download it ({reason})"
    found = _find(uv, version)
    return (found, "downloaded by uv") if found is not None else (None, "uv downloaded it and does not find it")


def _find(uv: str, version: str) -> str | None:
    command = [uv, "python", "find", "--no-project", "--system", "--no-python-downloads", version]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout.strip()
    # uv asks pyenv's shim, which refuses every version that is installed but not selected
    installed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return next((str(path) for path in sorted(installed.glob(f"{version}.*/bin/python"))), None)


def check(uv: str, version: str, python: str, arguments: list[str]) -> str:
    """Install txmon under this Python and run the unit tests; return what came of it, "passed" where all passed."""
    folder = FOLDER / version
    shutil.rmtree(folder, ignore_errors=True)
    environment = {**os.environ, "TXMON_PURE": "1"}
    steps = (
        [uv, "venv", "--quiet", "--python", python, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(folder), str(ROOT), *LIBRARIES],
    )
    for step in steps:
        if subprocess.run(step, env=environment, check=False).returncode != 0:
            return f"not tested: `{' '.join(step[:3])}` failed"
    tests = [str(TESTS / name) for name in UNITS]
    command = [str(folder / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, *arguments]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    return "passed" if code == 0 else f"failed (pytest exit code {code})"


def main(arguments: list[str]) -> int:
    """Test the versions and print a line for each; 1 where a test failed or no version could be tested."""
    chosen = [argument for argument in arguments if argument in supported()] or supported()
    others = [argument for argument in arguments if argument not in supported()]
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        print("test-versions: uv is not installed. Run `make test-versions`, which installs it.", file=sys.stderr)
        return 1
    report: list[str] = []
    results: list[str] = []
    for version in chosen:
        python, origin = interpreter(uv, version)
        if python is None:
            report.append(f"Python {version}: not tested, {origin}")
            print(report[-1], flush=True)
            continue
        print(f"Python {version}: {python}, {origin}", flush=True)
        results.append(check(uv, version, python, others))
        report.append(f"Python {version}: {results[-1]} ({python})")
    print("", *report, sep="\n")
    if not results:
        print("test-versions: no Python could be tested. Install one of the versions above.", file=sys.stderr)
        return 1
    return int(any(result != "passed" for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
