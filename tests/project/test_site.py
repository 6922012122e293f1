"""The pages made of docs/ and of the commands' help: the reference, the man pages, the site."""

import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from browser import browser
from paths import ROOT
from test_packaging import built  # noqa: F401 - a fixture: the wheel

from txmon.cli.main import COMMANDS
from txmon.server.openapi import document
from txmon.settings.declarations import DECLARATIONS

DOCS = ROOT / "docs"
MAN = sorted((ROOT / "src" / "man").glob("*.1"))


@pytest.mark.parametrize("script", ["reference_pages.py", "man_pages.py"])
def test_the_pages_are_current(script: str) -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / script), "--check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_pages_that_are_not_current_are_seen(tmp_path: Path) -> None:
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copytree(ROOT / "src" / "man", tmp_path / "src" / "man")
    page = tmp_path / "docs" / "reference" / "configuration.md"
    page.write_text(page.read_text().replace("10s to 1h", "10s to 2h"))
    manual = tmp_path / "src" / "man" / "txmon-ack.1"
    manual.write_text(manual.read_text().replace("reminders", "remainders"))
    for script, name in (("reference_pages.py", "configuration.md"), ("man_pages.py", "txmon-ack.1")):
        done = subprocess.run(
            [sys.executable, str(tmp_path / "docs" / script), "--check"], capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert f"not current: {name}" in done.stderr


def test_every_setting_is_on_the_configurations_page() -> None:
    page = (DOCS / "reference" / "configuration.md").read_text()
    assert [name for name in DECLARATIONS if f"| `{name}` |" not in page] == []


def test_every_route_and_error_is_on_the_apis_page() -> None:
    page = (DOCS / "reference" / "http-api.md").read_text()
    routes = [f"`{method.upper()} {path}`" for path, methods in document()["paths"].items() for method in methods]
    assert len(routes) > 12
    assert [route for route in routes if route not in page] == []
    sources = "".join(path.read_text() for path in (ROOT / "src" / "txmon" / "server").rglob("*.py"))
    codes = set(re.findall(r"HttpError\(\s*(\d{3})", sources))
    shown = set(re.findall(r"\b[45]\d\d\b", "".join(re.findall(r"^\| [45].*? \|", page, re.MULTILINE))))
    assert shown == codes


# man


def test_every_command_has_a_man_page() -> None:
    names = {path.stem for path in MAN}
    assert {"txmon", *(f"txmon-{name}" for name in COMMANDS)} <= names
    for path in MAN:
        text = path.read_text()
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS", "SEE ALSO"):
            assert f".SH {section}\n" in text, path
        assert re.search(r"^\.SH EXAMPLES\n\.nf\n.*txmon", text, re.MULTILINE), path
        assert set(re.findall(r"^\.BR (\S+) \(1\)", text.replace("\\-", "-"), re.MULTILINE)) <= names


@pytest.mark.skipif(shutil.which("man") is None, reason="needs man (Debian: man-db)")
@pytest.mark.parametrize("path", MAN, ids=lambda path: path.stem)
def test_man_renders_them_without_a_warning(path: Path) -> None:
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", str(path)], capture_output=True, text=True, timeout=60,
        env=os.environ | {"MANWIDTH": "100", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"}, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert path.stem.upper() in done.stdout
    shown = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
    assert "--help" in shown
    assert "\\" not in shown


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="needs mandoc")
@pytest.mark.parametrize("path", MAN, ids=lambda path: path.stem)
def test_mandoc_has_nothing_against_them(path: Path) -> None:
    done = subprocess.run(
        ["mandoc", "-Tlint", "-Wwarning", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    # they carry no date: the same help gives the same page on every day
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []


def test_the_wheel_puts_them_where_man_looks(built: Path) -> None:  # noqa: F811
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    shipped = {name.rpartition("/")[2] for name in names if ".data/data/share/man/man1/" in name}
    assert shipped == {path.name for path in MAN}
    assert not [name for name in names if name.startswith("txmon/man")]


# the site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it, with every warning an error, and no network: none would answer."""
    folder = tmp_path_factory.mktemp("site")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)], cwd=ROOT,
        env=os.environ | nowhere | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_has_every_page_and_no_script(site: Path) -> None:
    pages = [path.relative_to(DOCS) for path in DOCS.rglob("*.md")]
    assert len(pages) > 20
    assert [page for page in pages if not (site / page.with_suffix(".html")).exists()] == []
    assert list(site.rglob("*.py")) == []
    assert (site / "verdict.schema.json").exists()


def test_the_site_asks_for_nothing_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text()
        loaded = re.findall(r'<(?:script|img|iframe|source)[^>]* src="?([^" >]+)', text)
        loaded += re.findall(r'<link[^>]* rel="?(?:stylesheet|preconnect|icon|preload)"?[^>]* href="?([^" >]+)', text)
        loaded += re.findall(r'<link[^>]* href="?([^" >]+)[^>]* rel="?(?:stylesheet|preconnect|icon|preload)', text)
        assert loaded, path
        assert [address for address in loaded if re.match(r"(https?:)?//", address)] == [], path


def test_a_browser_reads_it_without_complaint_and_asks_nobody_else(site: Path, tmp_path: Path) -> None:
    quiet = partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), quiet) as server, browser(tmp_path) as page:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            here = f"http://127.0.0.1:{server.server_port}/"
            for name in ("index.html", "tutorial.html", "reference/configuration.html", "analysis.html"):
                page.open(here + name)
                page.wait("document.readyState == 'complete' && document.querySelector('h1')")
            page.open(f"{here}index.html?q=promtool")
            found = page.wait("document.querySelector('.md-search-result__item a')?.href")
            assert "how-to/prometheus.html" in found
            assert page.complaints == []
            assert [url for url in page.requested if not url.startswith((here, "data:"))] == []
        finally:
            server.shutdown()
