"""What drawing a day of minutes costs the live page in headless Chromium: python benchmarks/page.py [STATUSES].

Both the time on the clock and the processor time of the page's thread, which other programs hardly change.
"""

import statistics
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "helpers")]

from browser import Page, browser  # noqa: E402
from serving import START, minute, serving  # noqa: E402

RUNS = 15
# from the click to the frame that shows the other range
CLICK = """new Promise((done) => {{
  const began = performance.now();
  document.querySelector('[data-minutes="{minutes}"]').click();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
}})"""
LOADED = """new Promise((done) => {
  const drawn = () => document.querySelectorAll('figure canvas').length >= 8;
  const look = () => (drawn() ? done(performance.now()) : setTimeout(look, 5));
  look();
})"""


def work(page: Page) -> float:
    """Return the processor time that the page's thread took so far, in milliseconds."""
    metrics = page.call("Performance.getMetrics")["metrics"]
    return 1000.0 * next(float(row["value"]) for row in metrics if row["name"] == "TaskDuration")


def main(statuses: int) -> None:
    """Print the medians and the slowest of 15 runs, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder)) as page, serving(now=START + 86460) as server:
        for i in range(0, 1440, 20):
            rows = ["time,status,count"]
            rows += [
                f"{minute(m)},s{n:02d},{20 + (m * (n + 3)) % 7}" for m in range(i, i + 20) for n in range(statuses)
            ]
            server.post("\n".join(rows).encode(), "text/csv")
        page.size(1440, 1000)
        page.call("Performance.enable", timeDomain="threadTicks")
        loads, clicks = [], []
        for _ in range(RUNS):
            page.open("about:blank")
            page.ask("1")
            page.open(f"http://127.0.0.1:{server.port}/?range=24h")
            took = float(page.ask(LOADED))
            loads.append((took, work(page)))
            page.ask(CLICK.format(minutes=60))
            before = work(page)
            took = float(page.ask(CLICK.format(minutes=1440)))
            clicks.append((took, work(page) - before))
    for name, pairs in (("a day loaded and drawn", loads), ("from 1 h to 24 h", clicks)):
        clock, own = (statistics.median(times) for times in zip(*pairs, strict=True))
        print(f"{statuses} statuses, {name}: median {clock:.0f} ms on the clock, {own:.0f} ms of processor time")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
