"""The page as people use it, over the DevTools protocol."""

import csv
import io
import itertools
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe import violations
from browser import Page, browser, tabs
from serving import SAMPLE, START, Server, incident, minute, serving, warm
from test_nginx import BLOCKS, NGINX, free_port, nginx
from test_page import opened
from test_serve_cli import call, running, wait_for

from conftest import Start
from txmon.server.guard import Token
from txmon.settings.declarations import Settings
from txmon.sinks.log_folder import LogFolder

TOKEN = "a-long-and-secret-token"
WEIGHT = 150 * 1024  # bytes that the page may load


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture(scope="module")
def sample() -> Iterator[Server]:
    """A server that has the sample up to an incident that is open, and a key for each merchant."""
    rows = SAMPLE.read_text().splitlines()
    with serving(now=START + 14 * 3600 + 46 * 60 + 10) as server:
        server.post("\n".join(row for row in rows if row < "2026-03-02T14:47" or row == rows[0]).encode(), "text/csv")
        yield server


def visit(page: Page, server: Server, path: str, ready: str) -> None:
    page.open("about:blank")
    page.ask("1")
    page.complaints.clear()
    page.size(1440, 1000)
    page.open(f"http://127.0.0.1:{server.port}/{path}")
    page.wait(f"document.getElementById('state') && ({ready})")


def still(page: Page) -> None:
    """Wait until what is planned for the next frames is drawn."""
    page.ask("new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 200))")


def reload(page: Page, ready: str) -> None:
    page.ask("window.before = true")
    page.call("Page.reload")
    page.wait(f"!window.before && ({ready})")


def mouse(page: Page, kind: str, x: float, y: float, **more: object) -> None:
    page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)


def chart(page: Page, selector: str = "#alerting .u-over") -> dict[str, float]:
    """Where the plot of a chart is."""
    text = page.wait(f"JSON.stringify(document.querySelector('{selector}')?.getBoundingClientRect())")
    return dict(json.loads(text))


def first_label(page: Page) -> str:
    return str(page.ask("document.getElementById('shown').textContent"))


def test_dragging_zooms_all_charts_and_the_address_keeps_it(page: Page, sample: Server) -> None:
    visit(page, sample, "", "document.querySelectorAll('figure canvas').length === 8")
    still(page)
    assert first_label(page) == "2 Mar 08:45 to 14:45"
    place = chart(page)
    y = place["y"] + place["height"] / 2
    begin, end = place["x"] + place["width"] / 2, place["x"] + 5 * place["width"] / 6
    mouse(page, "mouseMoved", begin, y)
    mouse(page, "mousePressed", begin, y, button="left", buttons=1, clickCount=1)
    for x in (begin + 50, (begin + end) / 2, end):
        mouse(page, "mouseMoved", x, y, button="left", buttons=1)
    mouse(page, "mouseReleased", end, y, button="left", clickCount=1)
    page.wait("location.search.includes('from=')")
    shown = first_label(page)
    assert re.fullmatch(r"2 Mar 11:4\d to 13:4\d", shown), shown
    still(page)
    said = page.ask("document.querySelector('#panels figure .plot').getAttribute('aria-label')")
    assert re.search(r"2 Mar 11:4\d to 2 Mar 13:4\d", said)  # the other charts show the same time
    reload(page, f"document.getElementById('shown')?.textContent === '{shown}'")
    page.wait("document.querySelectorAll('figure canvas').length === 8")
    page.ask("history.back()")
    page.wait("document.getElementById('shown').textContent === '2 Mar 08:45 to 14:45'")
    page.ask("history.forward()")
    page.wait(f"document.getElementById('shown').textContent === '{shown}'")
    page.ask("document.getElementById('now').click()")
    page.wait("document.getElementById('shown').textContent === '2 Mar 08:45 to 14:45' && !location.search")
    assert page.complaints == []


def test_the_wheel_zooms_with_ctrl_and_leaves_scrolling_alone_without(page: Page, sample: Server) -> None:
    visit(page, sample, "?range=1h", "document.querySelectorAll('figure canvas').length === 8")
    still(page)
    assert first_label(page) == "2 Mar 13:45 to 14:45"
    place = chart(page)
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    mouse(page, "mouseWheel", x, y, deltaX=0, deltaY=-120, modifiers=2)
    page.wait("document.getElementById('shown').textContent !== '2 Mar 13:45 to 14:45'")
    assert re.fullmatch(r"2 Mar 13:5\d to 14:3\d", first_label(page))
    shown = first_label(page)
    mouse(page, "mouseWheel", x, y, deltaX=0, deltaY=120)
    still(page)
    assert first_label(page) == shown
    page.ask("document.getElementById('back').click()")
    page.wait(f"document.getElementById('shown').textContent !== '{shown}'")
    assert page.complaints == []


def test_one_crosshair_reads_all_statuses(page: Page, sample: Server) -> None:
    visit(page, sample, "", "document.querySelectorAll('figure canvas').length === 8")
    still(page)
    place = chart(page)
    mouse(page, "mouseMoved", place["x"] + place["width"] - 20, place["y"] + 30)
    text = page.wait("document.querySelector('#readout b') && document.getElementById('readout').innerText")
    assert re.match(r"2 Mar 14:[34]\d\ndenied\n", text)
    assert len(page.ask("[...document.querySelectorAll('#readout > span')].map((e) => e.innerText)")) == 8
    away = "e.style.transform.startsWith('translate(-')"  # where it is not shown
    cursors = f"[...document.querySelectorAll('figure .u-cursor-x')].filter((e) => !({away})).length"
    assert page.wait(f"{cursors} === 8")


@pytest.mark.parametrize(("zone", "clock"), [("America/Sao_Paulo", "11:45"), ("Asia/Kolkata", "20:15")])
def test_times_are_of_the_browsers_zone_until_somebody_wants_utc(
    page: Page, sample: Server, zone: str, clock: str
) -> None:
    page.call("Emulation.setTimezoneOverride", timezoneId=zone)
    try:
        visit(page, sample, "", "document.querySelectorAll('figure canvas').length === 8")
        page.wait(f"document.getElementById('shown').textContent.endsWith('to {clock}')")
        page.ask("document.getElementById('zone').click()")
        page.wait("document.getElementById('shown').textContent === '2 Mar 08:45 to 14:45'")
        assert page.ask("document.getElementById('fresh').textContent") == "last data 14:44 UTC"
        reload(page, "document.getElementById('shown')?.textContent === '2 Mar 08:45 to 14:45'")  # the choice is kept
        page.ask("document.getElementById('zone').click()")
    finally:
        page.call("Emulation.setTimezoneOverride", timezoneId="")


def test_an_incident_has_a_page_that_can_be_copied_and_downloaded(page: Page, sample: Server) -> None:
    identity = str(sample.engine.incidents()[-1]["id"])
    sample.engine.notified([identity], "opened", "teams", "sent")
    visit(page, sample, "", "document.querySelector('#incident-list a')")
    page.ask("document.querySelector('#incident-list .what a').click()")
    page.wait(
        f"location.pathname === '/incidents/{identity}' && document.querySelectorAll('figure canvas').length === 8"
    )
    text = page.ask("document.getElementById('incident').innerText")
    for words in ("issuer declines", "critical", "14:30", "opened", "to teams", "denied"):
        assert words in text, words
    assert page.ask("document.querySelector('#around figure').dataset.status") == "denied"
    page.ask("document.querySelector('#acting button').click()")
    page.ask("document.querySelector('#acting form label:nth-of-type(1) input').focus()")
    page.call("Input.insertText", text="Ana")
    page.ask("document.querySelector('#acting form label:nth-of-type(2) input').focus()")
    page.call("Input.insertText", text="the issuer | was *called*")
    page.ask("document.querySelector('#acting form button').click()")
    page.wait("document.getElementById('timeline').innerText.includes('acknowledged by Ana')")
    assert "Acknowledged by Ana: the issuer | was *called*" in page.ask("document.getElementById('acting').innerText")
    page.ask("document.getElementById('copy').click()")
    page.wait("document.getElementById('copy-said').textContent")
    copied = page.ask("document.getElementById('copied').value")
    assert copied.startswith("## issuer declines")
    assert "| denied | 2026-03-02T14:" in copied
    assert "the issuer \\| was \\*called\\*" in copied
    assert f"/incidents/{identity}" in copied
    found = page.ask("fetch(document.getElementById('csv').href).then((a) => a.text())")
    rows = list(csv.DictReader(io.StringIO(found)))
    assert {"time": "2026-03-02T14:44:00Z", "status": "denied", "count": "64"}.items() <= rows[
        next(i for i, row in enumerate(rows) if row["time"] == "2026-03-02T14:44:00Z" and row["status"] == "denied")
    ].items()
    row = page.ask("fetch(document.getElementById('json').href).then((a) => a.json())")
    assert row["id"] == identity
    assert row["timeline"][0]["what"] == "opened"
    assert page.complaints == []


def denied_incident(server: Server) -> str:
    """Make an incident of failures that goes on; its id."""
    for i in range(49):
        failed = 1 if i < 45 else 60
        server.post([{"time": minute(i), "status": s, "count": n} for s, n in (("failed", failed), ("approved", 99))])
    return str(server.engine.incidents()[-1]["id"])


def act(page: Page, action: str, note: str, selector: str = "#incident-list") -> None:
    """Press the button of an action and fill in its form, with the keyboard alone."""
    page.wait(f"[...document.querySelectorAll('{selector} .acting button')].find((e) => e.textContent === '{action}')")
    page.ask(
        f"[...document.querySelectorAll('{selector} .acting button')].find((e) => e.textContent === '{action}').focus()"
    )
    press(page, "Enter", "\r")
    page.wait(
        f"document.querySelector('{selector} form[aria-label^=\"{action}: \"]')?.contains(document.activeElement)"
    )
    labels = page.ask(f"[...document.querySelectorAll('{selector} form label')].map((e) => e.firstChild.data.trim())")
    for _ in range(
        labels.index("Note") - labels.index(page.ask("document.activeElement.parentNode.firstChild.data.trim()"))
    ):
        press(page, "Tab")
    page.call("Input.insertText", text=note)
    press(page, "Enter", "\r")
    page.wait(f"!document.querySelector('{selector} form')")


def press(page: Page, key: str, text: str = "") -> None:
    code = {"Tab": 9, "Enter": 13}[key]
    page.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code, text=text)


CARD = "document.querySelector('#incident-list li')?.innerText"


def test_people_acknowledge_accept_ignore_and_silence_and_the_other_page_shows_it(page: Page) -> None:
    with serving() as server, tabs(page, 2) as (mine, other):
        identity = denied_incident(server)
        for tab, path in ((mine, ""), (other, f"incidents/{identity}")):
            tab.open(f"http://127.0.0.1:{server.port}/{path}")
            tab.wait("document.getElementById('state')?.textContent === 'live'")
            tab.ask("localStorage.setItem('txmon-author', 'Ana')")
        mine.call("Page.bringToFront")

        def incident() -> dict[str, object]:
            return dict(server.client.get(f"/v1/incidents/{identity}").json())

        act(mine, "Acknowledge", "known")
        assert (incident()["acknowledged"], incident()["author"], incident()["note"]) == (True, "Ana", "known")
        assert "Acknowledged by Ana: known" in mine.wait(CARD)
        assert mine.ask("document.activeElement.textContent") == "failures"  # focus stays with the incident
        assert mine.ask("document.getElementById('said').textContent") == "Acknowledge: done."
        other.wait("document.getElementById('acting').innerText.includes('Acknowledged by Ana: known')")
        act(mine, "Undo", "")
        assert incident()["acknowledged"] is False
        other.wait("!document.getElementById('acting').innerText.includes('Acknowledged by')")

        act(mine, "Silence", "load test")
        assert [(s["status"], s["until"], s["author"], s["note"]) for s in server.engine.silences()] == [
            ("failed", "2026-03-12T02:00:00Z", "Ana", "load test")
        ]
        for tab in (mine, other):
            text = tab.wait("document.getElementById('silences').innerText")
            assert re.match(r"Silenced until \d\d:\d\d: failed \(Ana: load test\)\.", text), text
        other.wait(
            "document.getElementById('timeline').innerText.includes('silenced until 2026-03-12 02:00 UTC by Ana')"
        )
        mine.ask("document.querySelector('#silences button').focus()")
        press(mine, "Enter", "\r")
        for tab in (mine, other):
            tab.wait("document.getElementById('silences').hidden")
        assert server.engine.silences() == []

        act(mine, "Ignore", "a test")
        other.wait("document.getElementById('timeline').innerText.includes('ignored by Ana')")
        assert incident()["acknowledged"] is True

        act(mine, "Accept", "new price")
        for tab, place in ((mine, CARD), (other, "document.getElementById('acting').innerText")):
            tab.wait(f"{place}.includes('accepted as normal by Ana: new price; it ends with the next bucket')")
        for i in range(49, 60):  # the level stays
            levels = (("failed", 60), ("approved", 99))
            server.post([{"time": minute(i), "status": status, "count": count} for status, count in levels])
        mine.wait("document.querySelectorAll('#incident-list li').length === 0")
        other.wait("document.getElementById('facts').innerText.includes('resolved')")
        assert incident()["state"] == "resolved"
        assert mine.complaints == other.complaints == []
        mine.ask("localStorage.clear()")


def test_a_token_that_may_only_read_cannot_act(page: Page) -> None:
    reader = Token(b"may-only-read-this", frozenset({"read"}))
    with serving(token=TOKEN, tokens=[reader]) as server, tabs(page, 1) as (tab,):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        for i in range(49):
            rows = [
                {"time": minute(i), "status": s, "count": n}
                for s, n in (("failed", 1 if i < 45 else 60), ("approved", 99))
            ]
            server.client.ask("POST", "/v1/transactions", rows, headers=headers)
        tab.open(f"http://127.0.0.1:{server.port}/")
        tab.wait("document.getElementById('login')?.hidden === false")
        tab.ask("document.getElementById('token').value = 'may-only-read-this'")
        tab.ask("document.querySelector('#login-form button').click()")
        tab.wait(CARD)
        for action in ("Acknowledge", "Accept", "Ignore", "Silence"):
            tab.ask(
                f"[...document.querySelectorAll('.acting button')].find((e) => e.textContent === '{action}').click()"
            )
            tab.ask("document.querySelector('#incident-list form button').click()")
            said = tab.wait("document.querySelector('#incident-list form [role=alert]').textContent")
            assert said == "Not done: this token does not have the scope 'admin'."
            tab.ask("document.querySelector('#incident-list form button:last-of-type').click()")
            assert tab.ask("document.activeElement.textContent") == action  # back where one was
        assert server.engine.silences() == []
        assert server.engine.incidents()[-1]["acknowledged"] is False


def test_what_was_resolved_is_listed_and_found(page: Page, sample: Server) -> None:
    visit(page, sample, "", "document.querySelectorAll('#resolved tr').length === 3")
    assert "volume loss" in page.ask("document.querySelector('#resolved tr').innerText")
    page.ask("document.getElementById('resolved-search').value = 'REVERSAL'")
    page.ask("document.getElementById('resolved-search').dispatchEvent(new Event('input'))")
    page.wait("document.querySelectorAll('#resolved tr').length === 1")
    page.ask("document.querySelector('#resolved a').click()")
    page.wait("location.pathname.startsWith('/incidents/') && document.querySelectorAll('figure canvas').length === 8")
    text = page.ask("document.getElementById('facts').innerText")
    assert "resolved" in text
    assert page.ask("document.querySelector('#acting button')") is None
    visit(
        page, sample, "incidents/none", "document.getElementById('incident-title').textContent === 'No such incident'"
    )


def test_a_new_incident_reaches_somebody_who_does_not_look(page: Page) -> None:
    with serving() as server:
        warm(server)
        page.call("Browser.grantPermissions", permissions=["notifications"], origin=f"http://127.0.0.1:{server.port}")
        opened(page, server)
        page.wait("document.body.dataset.leads === 'true'")
        page.ask(
            "(() => { window.made = []; window.tones = 0; const Real = Notification;"
            " window.Notification = class extends Real { constructor(title, options) { super(title, options);"
            " window.made.push([title, options.tag]); } };"
            " const start = OscillatorNode.prototype.start;"
            " OscillatorNode.prototype.start = function (...when) { window.tones += 1; start.apply(this, when); }; })()"
        )
        page.ask("document.getElementById('notify').click()")
        page.wait("document.getElementById('notify').getAttribute('aria-pressed') === 'true'")
        page.ask("document.getElementById('sound').click()")
        assert page.wait("window.tones") == 2  # so that one hears how it sounds
        incident(server)
        page.wait("window.made.length === 1 && window.tones === 4")
        title, tag = page.ask("window.made[0]")
        assert (title, tag) == ("txmon: failures", server.engine.incidents()[0]["id"])
        page.wait("document.title === '(1) failures – txmon'")
        assert page.ask("document.getElementById('icon').href").endswith("/icons/1")
        server.post([{"time": minute(i), "status": "approved", "count": 100} for i in range(48, 75)])
        page.wait("document.title === 'txmon'")
        assert page.ask("document.getElementById('icon').href").endswith("/assets/icon.svg")
        page.ask("localStorage.clear()")


def test_names_of_other_scripts_and_long_ones_stay_in_their_place(page: Page) -> None:
    long, right = "x" * 256, "مرفوض"
    with serving() as server:
        for i in range(48):
            for name in (long, right):
                server.post({"time": minute(i), "status": name, "count": 20 if i < 45 else 200})
        server.post([{"time": minute(49), "status": right}] * 500)
        for size in ((1440, 1000), (390, 800)):
            page.size(*size)
            opened(page, server)
            page.wait("document.querySelectorAll('#incident-list li').length")
            page.wait("document.querySelectorAll('figure canvas').length === 3")
            assert page.ask("document.documentElement.scrollWidth - innerWidth") <= 0
            names = page.ask("[...document.querySelectorAll('bdi')].map((e) => e.textContent)")
            assert {long, right} <= set(names)
            wide = "[...document.querySelectorAll('figcaption')].filter((e) => e.scrollWidth > e.clientWidth).length"
            assert page.ask(wide) == 0
            assert (
                page.ask(f"[...document.querySelectorAll('bdi')].find((e) => e.textContent === '{long}').title") == long
            )
        identity = server.engine.incidents()[-1]["id"]
        page.open(f"http://127.0.0.1:{server.port}/incidents/{identity}")
        page.wait("document.getElementById('facts')?.children.length")
        assert page.ask("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_logout_ends_all_tabs_and_lasts(page: Page) -> None:
    with serving(token=TOKEN) as server, tabs(page, 2) as pages:
        for tab in pages:
            tab.open(f"http://127.0.0.1:{server.port}/")
        first, second = pages
        first.wait("document.getElementById('login').hidden === false")
        first.ask("document.getElementById('token').value = '" + TOKEN + "'")
        first.ask("document.querySelector('#login-form button').click()")
        first.wait("document.getElementById('state').textContent === 'live'")
        reload(second, "document.getElementById('state')?.textContent === 'live'")
        first.ask("document.getElementById('logout').click()")
        for tab in pages:
            tab.wait("document.getElementById('login').hidden === false")
            assert tab.ask("getComputedStyle(document.getElementById('board')).display") == "none"
            reload(tab, "document.getElementById('login')?.hidden === false")


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
@pytest.mark.parametrize("base", ["", "/txmon"])
def test_pages_of_incidents_and_keys_under_a_path(page: Page, base: str, tmp_path: Path) -> None:
    settings = Settings(trusted_proxy=("127.0.0.1",), base_path=base, group_by=("merchant",))
    port = free_port()
    with serving(settings) as server:
        rows = [
            {"time": minute(i), "status": s, "merchant": "a b", "count": n}
            for i in range(45)
            for s, n in (("failed", 1), ("approved", 99))
        ]
        server.post(rows)
        for i in (45, 46):
            server.post([{"time": minute(i), "status": "failed", "merchant": "a b", "count": 60}])
        server.post([{"time": minute(48), "status": "approved", "merchant": "a b"}] * 500)
        identity = server.engine.incidents()[0]["id"]
        block = BLOCKS[1].replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
        with nginx(tmp_path, f"server {{ listen 127.0.0.1:{port}; {block} }}"):
            page.open("about:blank")
            page.ask("1")
            page.complaints.clear()
            page.requested.clear()
            page.open(f"http://127.0.0.1:{port}/txmon/incidents/{identity}")
            page.wait("document.querySelectorAll('#around canvas').length")
            page.ask("document.querySelector('#facts a')?.click() ?? document.querySelector('header h1 a').click()")
            page.wait("location.pathname.startsWith('/txmon/') && document.querySelectorAll('figure canvas').length")
            page.open(f"http://127.0.0.1:{port}/txmon/keys/merchant=a%2520b")
            page.wait("document.getElementById('key-title')?.textContent === 'merchant a b'")
            page.wait("document.querySelectorAll('#key-charts canvas').length >= 2")
            page.wait("document.getElementById('state').textContent === 'live'")
            inside = [url for url in page.requested if url.startswith("http")]
            assert all(url.startswith(f"http://127.0.0.1:{port}/txmon/") for url in inside)
            assert page.complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", ["board", "incident", "key", "login", "note", "silence"])
def test_axe_core_finds_nothing(page: Page, theme: str, view: str) -> None:
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
    settings = Settings(group_by=("merchant",))
    with serving(settings, token=TOKEN if view == "login" else None) as server:
        if view != "login":
            for i in range(45):
                server.post([{"time": minute(i), "status": s, "merchant": m, "count": n} for m in ("m1", "m2")
                             for s, n in (("failed", 1), ("approved", 99))])  # fmt: skip
            for i in (45, 46):
                server.post([{"time": minute(i), "status": "failed", "merchant": "m1", "count": 60}])
            server.post([{"time": minute(48), "status": "approved", "merchant": "m2"}] * 500)
            path = {"incident": f"incidents/{server.engine.incidents()[0]['id']}", "key": "keys/merchant=m1"}.get(
                view, ""
            )
            visit(page, server, path, "document.querySelectorAll('figure canvas').length")
            if view == "board":
                page.wait("document.querySelectorAll('#heat-body tr').length === 2")
            if view == "note":
                page.ask("document.querySelector('#incident-list .acting button').click()")
            if view == "silence":
                server.client.post("/v1/silences", {"status": "failed", "for": "2h"})
                page.wait("document.querySelector('#silences button')")
                page.ask("document.querySelector('#incident-list .acting button:last-child').click()")
        else:
            visit(page, server, "", "document.getElementById('login').hidden === false")
        still(page)
        assert page.ask("document.documentElement.dataset.theme") == theme
        assert violations(page) == []
    page.call("Emulation.setEmulatedMedia", features=[])


def test_the_keyboard_goes_from_the_top_to_the_bottom(page: Page, sample: Server) -> None:
    visit(page, sample, "", "document.querySelectorAll('figure canvas').length === 8")
    still(page)
    page.ask("document.body.focus()")
    places = []
    for _ in range(40):
        page.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        found = page.ask(
            "(() => { const e = document.activeElement; if (e === document.body) return null;"
            " const box = e.getBoundingClientRect(); const style = getComputedStyle(e);"
            " return [e.id || e.className || e.tagName, box.top + scrollY, style.outlineStyle]; })()"
        )
        if found is None:
            break
        places.append(found)
    names = [name for name, _, _ in places]
    assert names[:2] == ["skip", "A"]
    assert "search" in names
    assert "plot" in names
    assert {outline for _, _, outline in places} == {"solid"}  # one sees where one is
    tops = [top for _, top, _ in places[2:]]
    assert all(b >= a - 60 for a, b in itertools.pairwise(tops)), places  # rows, never back up
    page.ask("document.getElementById('skip').focus()")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
    assert page.ask("document.activeElement.id") == "incidents"


def test_the_page_is_light_and_holds_a_day(page: Page) -> None:
    with serving() as server:
        rows = SAMPLE.read_text().splitlines()
        server.post("\n".join(rows).encode(), "text/csv")
        page.call("Network.clearBrowserCache")
        visit(page, server, "?range=24h", "document.querySelectorAll('figure canvas').length === 8")
        sizes = page.ask(
            "performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
            ".filter((e) => !e.name.includes('/v1/')).map((e) => [e.name, e.transferSize, e.decodedBodySize])"
        )
        assert len(sizes) > 20
        assert sum(size for _, size, _ in sizes) < WEIGHT
        assert sum(size for _, _, size in sizes) < WEIGHT  # also where nothing packs it
        still(page)
        place = chart(page, "#panels .u-over")
        mouse(page, "mouseMoved", place["x"] + 40, place["y"] + 20)
        page.wait("document.querySelector('#readout b')")  # a day of minutes, and it answers
        assert page.complaints == []


def test_drivers_and_money_are_shown_where_the_api_has_them(page: Page) -> None:
    with serving(Settings(drivers=("issuer",))) as server:

        def rows(i: int, denied: int) -> list[dict[str, object]]:
            quiet = [(s, f"B{n % 9}") for s, count in (("approved", 40), ("denied", 9)) for n in range(count)]
            whole = enumerate(quiet + [("denied", "B7")] * denied)
            return [
                {"time": minute(i), "status": s, "issuer": b, "amount": 10, "currency": "BRL", "id": f"{i}-{n}"}
                for n, (s, b) in whole
            ]

        for i in range(60):
            assert server.post(rows(i, 0)).status == 200
        for i in range(60, 64):
            assert server.post(rows(i, 60)).status == 200
        server.post([{"time": minute(64), "status": "approved", "issuer": "B1", "id": f"e{n}"} for n in range(400)])
        row = server.engine.incidents()[-1]
        assert row["drivers"], row
        assert row["money"], row
        opened(page, server)
        text = page.wait("document.querySelector('#incident-list li')?.innerText")
        assert re.search(r"\d+ % of the excess is issuer B7 \(\d+ seen, [\d.]+ expected\)", text), text
        assert re.search(r"BRL above normal \(", text), text
        assert len(re.findall("of the excess is", text)) == 1  # said once
        page.ask("document.querySelector('#incident-list .what a').click()")
        page.wait("document.getElementById('facts')?.innerText.includes('issuer B7')")
        assert "BRL above normal" in page.ask("document.getElementById('facts').innerText")


def test_the_log_lets_one_look_back_beyond_a_day(page: Page, tmp_path: Path) -> None:
    log = LogFolder(str(tmp_path / "log"))
    with serving(Settings(log=str(tmp_path / "log")), sinks=[log.accept], now=START + 3 * 86400 + 120) as server:
        for day in range(3):
            rows = ["time,status,count"]
            for i in range(1440):
                rows += [f"{minute(1440 * day + i)},{s},{n}" for s, n in (("approved", 40), ("failed", 2))]
            assert server.post("\n".join(rows).encode(), "text/csv").status == 200
        visit(page, server, "", "document.querySelectorAll('figure canvas').length === 3")
        page.wait("document.querySelector('[data-minutes=\"10080\"]').hidden === false")
        page.ask("document.querySelector('[data-minutes=\"10080\"]').click()")
        page.wait("document.getElementById('shown').textContent.includes('each point is the mean of')")
        assert page.ask("location.search") == "?range=7d"
        said = "document.querySelector('#panels figure .plot').getAttribute('aria-label')"
        page.wait(f"{said}.includes('2 Mar 00:0')")
        address = "?from=2026-03-02T10:00:00Z&to=2026-03-02T11:00:00Z"
        visit(page, server, address, "document.querySelectorAll('figure canvas').length === 3")
        page.wait("document.getElementById('shown').textContent === '2 Mar 10:00 to 11:00'")
        page.wait(f"{said}.includes('40 to 40') || {said}.includes('42 to 42')")
        assert page.complaints == []
    log.close()


def test_what_was_notified_is_in_the_timeline(tmp_path: Path, receiver: Start) -> None:
    endpoint = receiver({"code": 202})
    with running(tmp_path, "--notify", TXMON_TEAMS_WEBHOOK=endpoint.url) as (_, port):
        now = int(time.time()) // 60 * 60 - 50 * 60
        for minutes, failed in ((range(45), 1), (range(45, 47), 60)):
            rows = [
                {"time": now + 60 * i, "status": s, "count": n}
                for i in minutes
                for s, n in (("approved", 99), ("failed", failed))
            ]
            call(port, "POST", "/v1/transactions", rows)
        bulk = [{"time": now + 60 * 48, "status": "approved", "count": 1}] * 500  # closes the minutes before
        call(port, "POST", "/v1/transactions", bulk)
        wait_for(lambda: call(port, "GET", "/v1/incidents")["incidents"])
        identity = call(port, "GET", "/v1/incidents")["incidents"][0]["id"]

        def told() -> list[tuple[str, str, str]]:
            steps = call(port, "GET", f"/v1/incidents/{identity}")["timeline"]
            return [(s["what"], s["by"], s["text"]) for s in steps if s["kind"] == "notification"]

        wait_for(told)
        assert told()[0] == ("opened", "teams", "sent")
