"""The live page: its files, and what it does in headless Chromium."""

import hashlib
import re
import signal
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from browser import Page, browser, tabs
from serving import SAMPLE, START, Server, incident, minute, serving, warm
from test_serve_cli import call, running

from txmon.server.assets import ASSETS, PAGE

FOLDER = files("txmon.server") / "page"
SCRIPTS = sorted(Path(str(FOLDER)).glob("*.js"))
UPLOT = {  # uPlot 1.6.32, as its package has them
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}
TOKEN = "a-long-and-secret-token"


@pytest.mark.parametrize("name", UPLOT)
def test_uplot_is_the_one_that_was_read(name: str) -> None:
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == UPLOT[name]


def test_uplot_says_its_version_and_licence() -> None:
    assert b"(v1.6.32)" in (FOLDER / "uPlot.iife.min.js").read_bytes()
    assert "MIT License" in (FOLDER / "uPlot.LICENSE").read_text()


def test_the_page_holds_no_inline_script_or_style_and_nothing_from_elsewhere() -> None:
    text = (FOLDER / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?://", text)
    assert re.findall(r"<script(?![^>]* src=\"assets/)", text) == []
    scripts = [path for path in SCRIPTS if not path.name.startswith("uPlot")]
    for path in scripts:
        script = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?://", script)
    named = set(re.findall(r'"assets/([^"]+)"', text))  # relative: a proxy may show the page under any path
    imported = {name for path in scripts for name in re.findall(r'from "\./([^"]+)"', path.read_text())}
    assert {f"/assets/{name}" for name in named | imported} == set(ASSETS)


def test_every_file_is_served_as_what_it_is() -> None:
    with serving() as server:
        assert server.client.get("/").body == PAGE().body
        for path in ASSETS:
            answer = server.client.get(path)
            assert answer.status == 200
            file = (FOLDER / path.rpartition("/")[2]).read_bytes()
            bare = b"\n".join(line.lstrip(b" ") for line in file.split(b"\n"))  # without indentation
            assert answer.body == (file if "uPlot" in path else bare)
        assert server.client.get("/assets/main.js").headers["content-type"].startswith("text/javascript")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("chromium")) as found:
        yield found


def opened(page: Page, server: Server) -> str:
    """The page of `server`, live."""
    address = f"http://127.0.0.1:{server.port}/"
    page.open("about:blank")  # the page of the test before asks for nothing more
    page.ask("1")
    page.complaints.clear()
    page.requested.clear()
    page.open(address)
    page.wait("document.getElementById('state').textContent === 'live'")
    return address


def acknowledge(page: Page, author: str, note: str) -> None:
    """Acknowledge the first incident with the form, as somebody at the keyboard does."""
    page.wait("document.querySelector('#incident-list .acting button')?.click() ?? true")
    fields = page.wait("document.querySelectorAll('#incident-list form input').length")
    assert fields == 2
    for place, text in ((1, author), (2, note)):
        page.ask(f"document.querySelector('#incident-list form label:nth-of-type({place}) input').focus()")
        page.ask("document.activeElement.select()")
        page.call("Input.insertText", text=text)
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
    page.wait("document.querySelector('#incident-list li.acknowledged')")


def test_it_loads_without_complaints_and_from_nowhere_else(page: Page) -> None:
    with serving() as server:
        warm(server)
        address = opened(page, server)
        assert page.wait("document.querySelectorAll('figure canvas').length") == 4
        assert page.ask("[...document.querySelectorAll('#panels figure')].map(f => f.dataset.status)") == [
            "*", "failed", "denied", "approved",
        ]  # fmt: skip
        assert page.ask("document.getElementById('hour').rows.length") == 4
        assert page.complaints == []
        assert {url for url in page.requested if not url.startswith((address, "data:"))} == set()


def test_a_posted_incident_appears_and_is_acknowledged(page: Page) -> None:
    with serving() as server:
        warm(server)
        opened(page, server)
        assert page.ask("document.getElementById('no-incidents').hidden") is False
        incident(server)
        text = page.wait("document.querySelector('#incident-list li')?.innerText")
        assert "failures, since" in text
        assert "00:45" in text
        assert "60 failed, " in text
        assert page.wait("document.querySelector('figure[data-status=failed]').dataset.mark === '2'")
        assert "60 failed" in page.wait("document.querySelector('#log li')?.innerText")
        assert page.ask("document.getElementById('headline').dataset.kind") == "critical"
        assert "failures since" in page.ask("document.getElementById('headline').innerText")
        assert page.ask("document.title") == "(1) failures – txmon"
        assert page.ask("document.getElementById('icon').href").endswith("/icons/1")
        acknowledge(page, "Ana", "the gateway is being restarted")
        row = server.engine.incidents()[0]
        assert (row["acknowledged"], row["author"], row["note"]) == (True, "Ana", "the gateway is being restarted")
        page.ask("location.reload()")  # the name is known the next time
        page.wait("document.querySelector('#incident-list li.acknowledged')")
        assert page.ask("localStorage.getItem('txmon-author')") == "Ana"
        assert page.complaints == []


def test_text_from_outside_stays_text(page: Page) -> None:
    name = "<img src=x onerror=document.title='broken'>"
    with serving() as server:
        server.post([{"time": minute(i), "status": name, "count": 5} for i in range(6)])
        opened(page, server)
        assert page.wait("[...document.querySelectorAll('#hour th')].map(h => h.textContent)[1]") == name
        assert page.ask("document.querySelectorAll('main img').length") == 0
        assert "broken" not in page.ask("document.title")
        assert page.complaints == []


def test_it_comes_back_after_a_break_and_shows_what_it_missed(page: Page) -> None:
    with serving() as server:
        warm(server)
        opened(page, server)
        hub = server.engine.feed.hub
        with hub._lock:  # every listener is hung up on, and reconnects by itself
            for waiting in hub._listeners:
                waiting.put(None)
        incident(server)
        page.wait("document.querySelector('#incident-list li')")
        page.wait("document.getElementById('state').textContent === 'live'")


def test_the_token_is_asked_for_and_the_session_kept(page: Page) -> None:
    with serving(token=TOKEN) as server:
        page.complaints.clear()
        page.open(f"http://127.0.0.1:{server.port}/")
        page.wait("document.getElementById('login').hidden === false")
        submit = "document.getElementById('token').value = '{}'; document.querySelector('#login-form button').click()"
        page.ask(submit.format("wrong"))
        page.wait("document.getElementById('login-error').textContent")
        page.ask(submit.format(TOKEN))
        page.wait("document.getElementById('state').textContent === 'live'")
        assert page.ask("document.cookie") == ""
        assert page.ask(f"document.documentElement.outerHTML.includes('{TOKEN}')") is False
        page.open(f"http://127.0.0.1:{server.port}/?again")
        page.wait("document.getElementById('state').textContent === 'live'")
        assert page.ask("document.getElementById('logout').hidden") is False  # also after the page was loaded anew
        page.ask("document.getElementById('logout').click()")
        page.wait("document.getElementById('login').hidden === false")
        page.open(f"http://127.0.0.1:{server.port}/")
        page.wait("document.getElementById('login').hidden === false")


def test_it_can_be_used_with_the_keyboard_and_heard(page: Page) -> None:
    with serving() as server:
        warm(server)
        opened(page, server)
        page.wait("document.querySelectorAll('figure canvas').length")
        named = "e.getAttribute('aria-label') || e.textContent || e.labels?.length"
        everything = "[...document.querySelectorAll('button, input, select, [role=img]')]"
        assert page.ask(f"{everything}.filter(e => !({named})).length") == 0
        page.ask("document.querySelector('figure[data-status=failed] .plot').focus()")
        for _ in range(2):
            page.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft", code="ArrowLeft")
        said = page.ask("document.activeElement.getAttribute('aria-label')")
        assert re.fullmatch(r"00:4\d: 1 failed, normal 0 to \d+", said)


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_narrow_screen_needs_no_sideways_scrolling(page: Page, width: int) -> None:
    with serving() as server:
        warm(server)
        incident(server)
        page.size(width, 800)
        opened(page, server)
        page.wait("document.querySelectorAll('figure canvas').length")
        assert page.ask("document.documentElement.scrollWidth") <= width
        assert (
            page.ask("(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.querySelector('.scroll'))")
            == 0
        )
        page.call("Emulation.clearDeviceMetricsOverride")


def test_a_day_of_minutes_is_drawn_and_kept_up_with(page: Page) -> None:
    with serving() as server:
        rows = SAMPLE.read_text().splitlines()
        server.post("\n".join(rows[:-40]).encode(), "text/csv")
        page.size(1280, 1000)
        opened(page, server)
        page.ask("document.querySelector('[data-minutes=\"1440\"]').click()")
        page.wait("document.querySelectorAll('figure canvas').length >= 5")
        for row in rows[-40:]:
            assert server.post(f"{rows[0]}\n{row}".encode(), "text/csv").status == 200
        server.engine.tick()
        assert page.wait("document.getElementById('fresh').textContent.startsWith('last data')")
        page.wait("document.getElementById('mix-now').getAttribute('aria-label').includes('approved')")
        assert page.complaints == []


def test_an_incident_of_the_sample_is_shown_while_it_lasts(page: Page) -> None:
    rows = SAMPLE.read_text().splitlines()
    with serving() as server:
        server.post("\n".join(row for row in rows if row < "2026-03-02T14:47" or row == rows[0]).encode(), "text/csv")
        page.size(1280, 1100)
        opened(page, server)
        assert "issuer declines" in page.wait("document.querySelector('#incident-list li')?.innerText")
        page.wait("document.querySelectorAll('figure canvas').length >= 5")


def test_eight_tabs_load_and_all_of_them_follow(page: Page) -> None:
    with serving() as server:
        warm(server)
        with tabs(page, 8) as pages:
            for tab in pages:
                tab.open(f"http://127.0.0.1:{server.port}/")
            for tab in pages:
                tab.wait("document.getElementById('state').textContent === 'live'")
            assert len(server.engine.feed.hub) == 1
            incident(server)
            for tab in pages:
                tab.wait("document.querySelector('#incident-list li')")
            leader = next(tab for tab in pages if tab.ask("document.body.dataset.leads === 'true'"))
            leader.open("about:blank")  # another takes over
            rest = [tab for tab in pages if tab is not leader]
            for tab in rest:
                tab.wait("document.getElementById('state').textContent === 'live'")
            rest[0].wait("true")
            row = server.engine.incidents()[0]
            for _ in range(100):
                if len(server.engine.feed.hub) == 1 and any(
                    tab.ask("document.body.dataset.leads === 'true'") for tab in rest
                ):
                    break
                server.engine.feed.hub.publish("minute", "{}", keep=False)  # the hub notices who left on its next word
            server.client.post(f"/v1/incidents/{row['id']}/ack")
            for tab in rest:
                tab.wait("document.querySelector('#incident-list li.acknowledged')")
            assert sum(bool(tab.ask("document.body.dataset.leads === 'true'")) for tab in rest) == 1


def test_a_frozen_server_is_not_live(page: Page, tmp_path: Path) -> None:
    with running(tmp_path) as (process, port):
        call(port, "POST", "/v1/transactions", {"time": minute(0), "status": "failed"})
        page.open(f"http://127.0.0.1:{port}/")
        page.wait("document.getElementById('state').textContent === 'live'")
        process.send_signal(signal.SIGSTOP)
        try:
            page.wait("document.getElementById('state').dataset.live === 'no'")
        finally:
            process.send_signal(signal.SIGCONT)
        page.wait("document.getElementById('state').textContent === 'live'")


def test_a_feed_that_stopped_is_said_in_red(page: Page) -> None:
    with serving(now=START + 44 * 60 + 30) as server:
        warm(server)
        opened(page, server)
        assert page.ask("document.getElementById('state').dataset.live") == "yes"
        assert page.ask("document.getElementById('fresh').textContent") == "last data 00:42 UTC"
        server.clock.now += 4 * 60
        page.open(f"http://127.0.0.1:{server.port}/")
        page.wait("document.getElementById('fresh').className === 'old'")
        assert re.fullmatch(r"last data 00:42 UTC, 5 min ago", page.ask("document.getElementById('fresh').textContent"))
        page.wait("document.getElementById('state').dataset.live === 'stale'")


def test_trouble_appears_on_a_page_that_is_open(page: Page) -> None:
    with serving() as server:
        warm(server)
        opened(page, server)
        server.engine.session.troubles.add("state", "the state cannot be written")
        server.engine.tick()
        page.wait("document.getElementById('trouble').textContent === 'the state cannot be written'")
        server.engine.session.troubles.clear("state")
        server.engine.tick()
        page.wait("document.getElementById('trouble').hidden")


def test_of_many_statuses_those_that_alert_are_drawn_first(page: Page) -> None:
    names = [f"s{i:02d}" for i in range(30)]
    with serving() as server:
        server.post([{"time": minute(i), "status": name, "count": 20} for i in range(45) for name in names])
        shown = "[...document.querySelectorAll('.charts figure')].map(f => f.dataset.status)"
        opened(page, server)
        page.wait("document.querySelectorAll('figure canvas').length === 12")
        assert "s29" not in page.ask(shown)
        for i in (45, 46):
            server.post([{"time": minute(i), "status": n, "count": 20 if n != "s29" else 900} for n in names])
        server.post([{"time": minute(48), "status": "s00"}] * 500)  # the bulk closes the minutes before
        page.wait(f"{shown}[0] === 's29'")
        page.ask("document.getElementById('show-all').click()")
        page.wait("document.querySelectorAll('figure canvas').length === 31")
        page.ask("document.getElementById('search').value = 's1'")
        page.ask("document.getElementById('search').dispatchEvent(new Event('input'))")
        page.wait(f"{shown}.length === 10")
        assert page.complaints == []


def test_an_incident_explains_itself_with_its_own_statuses(page: Page) -> None:
    with serving() as server:
        warm(server)
        for i in (45, 46, 47):
            rows = {"approved": 100, "denied": 10, "refunded": 9, "reversed": 139}
            server.post([{"time": minute(i), "status": status, "count": count} for status, count in rows.items()])
        server.post([{"time": minute(49), "status": "approved"}] * 500)
        row = server.engine.incidents()[-1]
        assert row["label"] == "reversal wave"
        assert str(row["explanation"]).startswith("139 reversed")
        details = row["details"]
        assert isinstance(details, list)
        assert details[0]["status"] in ("reversed", "*")
        opened(page, server)
        text = page.wait("document.querySelector('#incident-list li')?.innerText")
        assert "reversed: 139 seen" in text


def test_labels_of_large_counts_are_whole(page: Page) -> None:
    with serving() as server:
        server.post([{"time": minute(i), "status": "approved", "count": 1_200_000 + i} for i in range(10)])
        page.size(1440, 900)
        opened(page, server)
        page.wait("document.querySelectorAll('figure canvas').length === 2")
        columns = page.ask("getComputedStyle(document.getElementById('panels')).gridTemplateColumns.split(' ').length")
        assert columns == 4
        page.call("Emulation.clearDeviceMetricsOverride")
