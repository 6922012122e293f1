"""Pictures of the page in docs/pictures, each taken in Chromium; TXMON_GOLDEN=write takes them anew."""

import base64
import io
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from browser import Page, browser
from paths import ROOT
from PIL import Image
from serving import SAMPLE, START, Server, minute, serving

from txmon.settings.declarations import Settings

FOLDER = ROOT / "docs" / "pictures"
LARGEST = 90_000  # bytes of a picture in the repository
TOKEN = "a-long-and-secret-token"
# what is wider than its place, and is not a name that ends in an ellipsis, is cut
CUT = """[...document.querySelectorAll('body *')].filter((e) => e.offsetParent && e.clientWidth > 0
  && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === 'hidden'
  && !e.matches('.name, .note, .unseen, .u-over')).map((e) => e.outerHTML.slice(0, 100))"""
BEYOND = """[...document.querySelectorAll('body *')].filter((e) => e.offsetParent
  && !e.closest('.scroll, .skip, svg, .u-wrap')
  && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 100))"""
# two charts, cards or sections that lie on each other
OVERLAP = """[...document.querySelectorAll('section, figure, #incident-list > li')].filter((e) => e.offsetParent)
  .flatMap(
  (a, i, all) => all.slice(i + 1).filter((b) => {
    if (a.contains(b) || b.contains(a)) return false;
    const [p, q] = [a.getBoundingClientRect(), b.getBoundingClientRect()];
    return p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 1 && q.top < p.bottom - 1;
  }).map((b) => `${a.id || a.className} ${b.id || b.className}`))"""
EMPTY = """[...document.querySelectorAll('section, .plot, tbody, ul, ol')].filter((e) => e.offsetParent
  && e.getBoundingClientRect().height > 40 && !e.innerText.trim() && !e.querySelector('canvas, svg, div'))
  .map((e) => e.outerHTML.slice(0, 100))"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@contextmanager
def sample(before: str) -> Iterator[Server]:
    """A server that has the sample up to a time of day, and whose clock is a little after that."""
    rows = SAMPLE.read_text().splitlines()
    kept = [rows[0], *[row for row in rows[1:] if row < f"2026-03-02T{before}"]]
    hours, minutes = before.split(":")
    # the two newest minutes wait for late rows
    with serving(now=START + 3600 * int(hours) + 60 * int(minutes) - 50) as server:
        assert server.post("\n".join(kept).encode(), "text/csv").status == 200
        yield server


def shown(page: Page, server: Server, path: str, size: tuple[int, int], ready: str) -> None:
    """Open a page at a size, and wait for what makes it whole."""
    page.open("about:blank")
    page.ask("1")
    page.complaints.clear()
    page.size(*size)
    page.open(f"http://127.0.0.1:{server.port}/{path}")
    page.wait(f"document.querySelector('#state') && ({ready})")
    # two frames later all charts are drawn
    page.ask("new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 500))")


def few_colours(image: Image.Image) -> Image.Image:
    """The picture with a palette: the colours of its surfaces as they are, and 96 for lines and letters."""
    raw = image.tobytes()
    pixels = Counter(raw[i : i + 3] for i in range(0, 3 * image.width * image.height, 3))
    palette = [part for colour, _ in pixels.most_common(64) for part in colour]
    rest = image.quantize(96, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).getpalette() or []
    table = Image.new("P", (1, 1))
    table.putpalette((palette + rest)[: 3 * 256])
    return image.quantize(palette=table, dither=Image.Dither.NONE)


def taken(page: Page, name: str) -> None:
    """Take the picture, and look for what is cut, blank or on top of something else."""
    assert page.ask(CUT) == []
    assert page.ask(BEYOND) == []
    assert page.ask(OVERLAP) == []
    assert page.ask(EMPTY) == []
    assert page.ask("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.complaints == []
    raw = base64.b64decode(page.call("Page.captureScreenshot", format="png")["data"])
    image = Image.open(io.BytesIO(raw))
    path = FOLDER / f"{name}.png"
    if os.environ.get("TXMON_GOLDEN") == "write":
        FOLDER.mkdir(exist_ok=True)
        few_colours(image.convert("RGB")).save(path, optimize=True)
    with Image.open(path) as kept:
        assert kept.size == image.size
        assert kept.mode == "P"
    assert path.stat().st_size < LARGEST


LIVE = "document.getElementById('state').textContent === 'live'"


def test_all_normal(page: Page) -> None:
    with sample("09:00") as server:
        shown(page, server, "", (1440, 1100), f"{LIVE} && document.querySelectorAll('figure canvas').length === 8")
        assert page.ask("document.getElementById('headline').dataset.kind") == "normal"
        assert page.ask("document.getElementById('headline').innerText").startswith("✓ All normal.")
        taken(page, "all-normal")


def test_an_incident(page: Page) -> None:
    with sample("14:47") as server:
        shown(page, server, "", (1440, 1250), f"{LIVE} && document.querySelectorAll('figure canvas').length === 8")
        assert page.ask("document.querySelector('#alerting figure').dataset.status") == "denied"
        taken(page, "incident")


def test_the_page_of_an_incident(page: Page) -> None:
    with sample("14:47") as server:
        row = server.engine.incidents()[-1]
        path = f"incidents/{row['id']}"
        server.client.post(f"/v1/{path}/ack", {"author": "Ana", "note": "the issuer was called"})
        server.engine.notified([str(row["id"])], "opened", "teams", "sent")
        shown(page, server, path, (1440, 1250), "document.querySelectorAll('figure canvas').length === 8")
        assert "the issuer was called" in page.ask("document.getElementById('timeline').innerText")
        taken(page, "incident-page")


def test_a_phone(page: Page) -> None:
    with sample("14:47") as server:
        shown(page, server, "", (390, 1500), f"{LIVE} && document.querySelectorAll('figure canvas').length === 8")
        taken(page, "phone")


def test_a_wall(page: Page) -> None:
    with sample("14:47") as server:
        shown(
            page, server, "?kiosk", (1920, 1080), f"{LIVE} && document.querySelectorAll('figure canvas').length === 8"
        )
        assert page.ask("[...document.querySelectorAll('button, input')].filter((e) => e.offsetParent).length") == 0
        taken(page, "kiosk")


def test_the_login(page: Page) -> None:
    with serving(token=TOKEN) as server:
        page.open("about:blank")
        page.ask("1")
        page.size(1440, 600)
        page.open(f"http://127.0.0.1:{server.port}/")
        page.wait("document.getElementById('login').hidden === false")
        assert page.ask("document.activeElement.id") == "token"
        page.ask("new Promise((done) => setTimeout(done, 300))")
        page.complaints.clear()  # that the first question was refused
        taken(page, "login")


def test_30_statuses(page: Page) -> None:
    names = [f"{kind}_{n:02d}" for kind in ("card", "pix", "boleto") for n in range(10)]
    draw = random.Random(7)
    with serving(now=START + 182 * 60) as server:
        rows = [
            {"time": minute(i), "status": name, "count": int(draw.gauss(60 - n, 5))}
            for i in range(180)
            for n, name in enumerate(names)
        ]
        rows += [{"time": minute(i), "status": "pix_03", "count": 190} for i in range(172, 180)]
        for start in range(0, len(rows), 1500):
            assert server.post(rows[start : start + 1500]).status == 200
        server.post([{"time": minute(181), "status": "card_00"}] * 500)
        shown(page, server, "", (1440, 1500), f"{LIVE} && document.querySelectorAll('figure canvas').length >= 13")
        assert page.ask("document.querySelector('#alerting figure').dataset.status") == "pix_03"
        assert page.ask("document.getElementById('show-all').innerText") == "Show all 30"
        taken(page, "30-statuses")


def test_500_merchants(page: Page) -> None:
    draw = random.Random(7)
    with serving(Settings(group_by=("merchant",)), now=START + 42 * 60) as server:
        for i in range(41):
            rows = ["time,status,merchant,count"]
            for m in range(500):
                many = 30 if m == 137 and i >= 38 else 0
                for status, mean in (("approved", 40 - m // 20), ("denied", 6), ("failed", 1)):
                    count = max(0, int(draw.gauss(mean, mean**0.5))) + (many if status == "failed" else 0)
                    rows.append(f"{minute(i)},{status},m{m:03d},{count}")
            assert server.post("\n".join(rows).encode(), "text/csv").status == 200
        server.post([{"time": minute(43), "status": "approved", "merchant": "m000"}] * 20_000)
        shown(page, server, "", (1440, 1600), f"{LIVE} && document.querySelectorAll('#heat-body tr').length === 20")
        assert page.ask("document.querySelector('#heat-body tr th').innerText") == "merchant m137"
        taken(page, "500-merchants")
        page.ask("document.getElementById('key-search').value = 'M49'")
        page.ask("document.getElementById('key-search').dispatchEvent(new Event('input'))")
        page.wait("document.querySelectorAll('#heat-body tr').length === 10")
        page.ask("document.getElementById('key-search').value = 'm137'")
        page.ask("document.getElementById('key-search').dispatchEvent(new Event('input'))")
        page.wait("document.querySelectorAll('#heat-body tr').length === 1")
        page.ask("document.querySelector('#heat-body a').click()")
        page.wait(
            "location.pathname === '/keys/merchant=m137' && document.querySelectorAll('figure canvas').length === 4"
        )
        assert page.wait("document.querySelectorAll('#key-incidents tr').length") >= 1
