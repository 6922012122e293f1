"""Draws docs/cards.png: cards as the official Adaptive Cards renderer shows them, in headless Chromium.

npm install adaptivecards@3.0.6
python docs/cards.py node_modules/adaptivecards/dist/adaptivecards.js
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any, Final

from txmon.model.drivers import Driver
from txmon.model.money import Money
from txmon.model.outcome import IncidentEvent
from txmon.notify.channels.teams_cards import adaptive_card
from txmon.notify.notification import Kind, Notification, Recent, worst_first

START: Final = 1772461980  # 2026-03-02T14:33:00Z
WIDTH: Final = 1264  # pixels of the picture
OPENED: Final = IncidentEvent(
    START, "opened", "20260302T1433-reversed", ("reversed", "denied"), (), "reversal wave", START, START, 122, 1.4,
    121.0, "", "critical", "reversed", 0, 6, 214,
    drivers=(Driver([("issuer", "B7"), ("response_code", "91")], 114, 0.3, 0.94),),
    money=(Money("BRL", 12480.0, 140.0, 810000.0, 0.0, 21900.0), Money("USD", 950.0, 12.0, 9000.0, 0.0, 2100.0)),
)  # fmt: skip
DECLINES: Final = IncidentEvent(
    START, "opened", "20260302T1433-denied-platform", ("denied",), (), "issuer declines", START, START, 140, 31.0,
    109.0, "", "warning", "denied", 14, 51, 900, 1,
    tuple(((("merchant", name),), size) for name, size in (("m17", 41.0), ("m4", 30.0), ("m9", 22.0), ("m2", 16.0))), 4,
)  # fmt: skip
RECENT: Final = Recent(
    60,
    {
        ("reversed", ()): (0, 1, 0, 2, 1, 0, 0, 1, 3, 1, 0, 1, 2, 0, 122),
        ("denied", ()): (24, 25, 23, 36, 34, 25, 34, 26, 35, 33, 24, 35, 36, 24, 140),
    },
)
PAGE: Final = """<!doctype html><meta charset=utf-8><style>
body { margin: 0; padding: 16px 16px 0; background: #f5f5f5; font-family: "DejaVu Sans", sans-serif;
  columns: 3; column-gap: 16px }
.card { background: #fff; border-radius: 6px; box-shadow: 0 1px 4px #0003; break-inside: avoid; margin-bottom: 16px;
  display: inline-block; width: 100% }
.ac-pushButton { background: #fff; border: 1px solid #d1d1d1; border-radius: 4px; padding: 5px 12px; font-weight: 600 }
</style><body><script src="adaptivecards.js"></script><script>
const colour = (value) => ({ default: value, subtle: value });
const host = new AdaptiveCards.HostConfig({
  fontFamily: '"DejaVu Sans", sans-serif',
  fontSizes: { small: 12, default: 13, medium: 15, large: 17, extraLarge: 22 },
  spacing: { small: 4, default: 8, medium: 12, large: 16, extraLarge: 24, padding: 14 },
  separator: { lineThickness: 1, lineColor: "#ddd" },
  supportsInteractivity: true,
  containerStyles: { default: { backgroundColor: "#fff", foregroundColors: {
    default: colour("#242424"), attention: colour("#c4314b"), warning: colour("#a15c00"), good: colour("#237b4b") } } },
  factSet: { title: { weight: "bolder", maxWidth: 110, wrap: true }, value: { wrap: true }, spacing: 10 },
});
for (const row of CARDS) {
  const card = new AdaptiveCards.AdaptiveCard();
  card.hostConfig = host;
  card.parse(row);
  const place = document.createElement("div");
  place.className = "card";
  place.appendChild(card.render());
  document.body.appendChild(place);
}
document.title = "height=" + document.documentElement.scrollHeight;
</script>"""


def card(kind: Kind, *events: IncidentEvent, minutes: int = 0) -> Any:
    """The card of a step that is sent `minutes` after the beginning."""
    time = START + 60 * minutes
    told = Notification(kind, time, worst_first([*events]), RECENT, link="http://127.0.0.1:8080/")
    return adaptive_card(told, UTC)["attachments"][0]["content"]


def cards() -> list[Any]:
    """One card of each kind."""
    worse = replace(
        OPENED, time=START + 1200, state="worsened", peak=START + 1140, observed=290, high=7, total=402, excess=3920.0,
        drivers=(Driver([("issuer", "B7")], 281, 0.3, 0.97),),
        money=(Money("BRL", 402300.0, 4600.0, 3.1e7, 0.0, 700000.0),),
    )  # fmt: skip
    silent = IncidentEvent(
        START + 1500, "no data", "20260302T1448-failed", ("failed",), (), "failures", START + 900, START + 960, 38, 2.2,
        412.0, "", "warning", "failed", 0, 8, 210, no_data_since=START + 1440,
    )  # fmt: skip
    over = replace(worse, state="resolved", time=START + 15300, excess=11219.0, times=4)
    later = (
        replace(OPENED, time=START + 1800, excess=2450.0, drivers=None, money=()),
        replace(DECLINES, time=START + 1800, id="20260302T1501-denied-m3", key=(("merchant", "m3"),), keys=(),
                key_count=0, start=START + 1680, peak=START + 1740, observed=44, low=0, high=9, total=61, excess=71.0),
    )  # fmt: skip
    return [
        card("opened", OPENED),
        card("worsened", worse, minutes=20),
        card("opened", DECLINES),
        card("no data", silent, minutes=25),
        card("resolved", over, minutes=255),
        card("digest", *later, minutes=30),
    ]


def main(renderer: str) -> None:
    """Write docs/cards.png with the renderer at this path."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(renderer, Path(folder) / "adaptivecards.js")
        page = Path(folder) / "cards.html"
        page.write_text(PAGE.replace("CARDS", json.dumps(cards())), encoding="utf-8")
        height = re.search(r"height=(\d+)", browse(folder, page, 400, "--dump-dom"))
        assert height is not None
        browse(folder, page, int(height[1]), f"--screenshot={Path(__file__).with_name('cards.png')}")


def browse(folder: str, page: Path, height: int, option: str) -> str:
    """Let Chromium show the page, and return what it prints."""
    return subprocess.run(
        [
            "timeout", "60", "chromium", "--headless", "--no-sandbox", "--disable-gpu",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={folder}/profile", f"--window-size={WIDTH},{height}",
            "--hide-scrollbars", "--virtual-time-budget=3000", option, page.as_uri(),
        ],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
