"""Draws docs/cards.png: cards as the official Adaptive Cards renderer shows them, in headless Chromium.

npm install adaptivecards@3.0.6
python docs/cards.py node_modules/adaptivecards/dist/adaptivecards.js
"""

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any, Final

from txmon.model.outcome import IncidentEvent, IncidentState
from txmon.notify.channels.teams_cards import adaptive_card
from txmon.notify.notification import Notification, Recent

START: Final = 1772461980  # 2026-03-02T14:33:00Z
OPENED: Final = IncidentEvent(
    START, "opened", "20260302T1433-reversed", ("reversed", "denied"), (), "reversal wave", START, START, 122, 1.4,
    121.0, "", "critical", "reversed", 0, 6, 214,
)  # fmt: skip
RECENT: Final = Recent(
    60,
    {
        ("reversed", ()): (0, 1, 0, 2, 1, 0, 0, 1, 3, 1, 0, 1, 2, 0, 122),
        ("denied", ()): (4, 5, 3, 6, 4, 5, 4, 6, 5, 3, 4, 5, 6, 4, 31),
    },
)
PAGE: Final = """<!doctype html><meta charset=utf-8><style>
body { margin: 0; padding: 16px; background: #f5f5f5; font-family: "DejaVu Sans", sans-serif; display: grid;
  grid-template-columns: repeat(3, 400px); gap: 16px; align-items: start }
.card { background: #fff; border-radius: 6px; box-shadow: 0 1px 4px #0003 }
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
  factSet: { title: { weight: "bolder", maxWidth: 110, wrap: true }, value: { wrap: true }, spacing: 8 },
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
</script>"""


def card(state: IncidentState, **more: Any) -> object:
    """The card of one step of the incident."""
    event = replace(OPENED, state=state, **more)
    told = Notification(state, event.time, (event,), RECENT, link="http://127.0.0.1:8080/")
    return adaptive_card(told, UTC)["attachments"][0]["content"]


def main(renderer: str) -> None:
    """Write docs/cards.png with the renderer at this path."""
    cards = [
        card("opened"),
        card("changed level", time=START + 7200, excess=9800.0, usual=4.04),
        card("resolved", time=START + 15300, excess=11219.0, times=4),
    ]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(renderer, Path(folder) / "adaptivecards.js")
        page = Path(folder) / "cards.html"
        page.write_text(PAGE.replace("CARDS", json.dumps(cards)), encoding="utf-8")
        subprocess.run(
            [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", f"--user-data-dir={folder}/profile",
                "--window-size=1264,445", "--virtual-time-budget=3000",
                f"--screenshot={Path(__file__).with_name('cards.png')}", page.as_uri(),
            ],
            check=True,
        )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
