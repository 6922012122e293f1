"""What is shipped: an sdist and a pure wheel from a clean copy, and the unit that runs it."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from paths import ROOT

NEEDED = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "src")
SAMPLE = ROOT / "examples" / "transactions.csv"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what hatchling builds of a copy that holds nothing but sources, without a compiler."""
    folder = tmp_path_factory.mktemp("build")
    clean = folder / "clean"
    clean.mkdir()
    for name in NEEDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, clean / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        else:
            shutil.copy(source, clean / name)
    environment = {**os.environ, "TXMON_PURE": "1"}
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder / "dist")]
    subprocess.run(command, cwd=clean, env=environment, check=True, capture_output=True, timeout=120)
    return folder / "dist"


def test_the_pure_wheel_installs_and_runs(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path)
    assert not [name for name in names if name.endswith(".so")]
    assert {"txmon/py.typed", "txmon/query/sql/per-minute.sql", "txmon/analysis/report/page/chart.js"} <= set(names)
    run = [
        sys.executable,
        "-c",
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from txmon.__main__ import main; main()",
    ]
    version = subprocess.run([*run, str(tmp_path), "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert "(interpreted core" in version.stdout
    done = subprocess.run([*run, str(tmp_path), "replay", str(SAMPLE)], capture_output=True, check=True, timeout=120)
    installed = [str(Path(sys.executable).with_name("txmon")), "replay", str(SAMPLE)]
    assert done.stdout == subprocess.run(installed, capture_output=True, check=True, timeout=60).stdout


def test_the_sdist_holds_what_a_build_needs(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "src/txmon/detection/detector.py"} <= names


def test_the_compiled_modules_are_checked_without_any_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clean build has mypy and no library that txmon imports; what failed there would leave it interpreted."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    command = [sys.executable, "-m", "mypy", "--no-site-packages", *hook.CHECKS]
    monkeypatch.chdir(ROOT / "src")
    sources = hook.compiled_sources()
    assert {"txmon/detection/detector.py", "txmon/sinks/lines.py"} <= set(sources)
    done = subprocess.run([*command, *sources], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_the_container_copies_what_a_build_needs() -> None:
    text = (ROOT / "Containerfile").read_text()
    copied = {word for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE) for word in line.split()}
    assert copied == set(NEEDED)
    assert "USER 10001" in text


@pytest.mark.parametrize("name", ["txmon.service", "txmon-serve.service"])
def test_the_units_command_lines_are_txmons(name: str) -> None:
    unit = (ROOT / "examples" / name).read_text().replace("\\\n", " ")
    commands = re.findall(r"^Exec\w+=/opt/txmon/bin/txmon (.*)$", unit, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        subcommand, *arguments = shlex.split(command)
        help_text = subprocess.run(
            [Path(sys.executable).with_name("txmon"), subcommand, "--help"],
            capture_output=True, text=True, check=True, timeout=60,
        ).stdout  # fmt: skip
        flags = [argument for argument in arguments if argument.startswith("--")]
        assert flags
        assert [flag for flag in flags if not re.search(rf"{flag}\b", help_text)] == []


def test_every_extra_that_txmon_names_is_one_of_the_wheels(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode()
    extras = set(re.findall(r"^Provides-Extra: (\S+)$", metadata, re.MULTILINE))
    assert extras == {"all", "apprise", "holidays", "kafka", "otlp", "plot", "spark", "sql"}
    brought = {extra: re.findall(rf"^Requires-Dist: (\S+?)[<>=\[ ].*extra == '{extra}'$", metadata, re.MULTILINE)
               for extra in extras}  # fmt: skip
    assert brought["apprise"] == ["apprise"]
    assert brought["kafka"] == ["confluent-kafka"]
    assert brought["plot"] == ["matplotlib"]
    assert set(brought["spark"]) == {"pyspark", "pandas"}
    texts = [path.read_text() for folder in ("src/txmon", "docs") for path in (ROOT / folder).rglob("*.[pm][yd]")]
    named = {extra for text in texts for group in re.findall(r"txmon\[([a-z,]+)\]", text) for extra in group.split(",")}
    assert named >= {"apprise", "kafka", "plot", "spark"}
    assert named <= extras
