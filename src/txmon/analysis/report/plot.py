"""Draws a report's pictures as PNG or SVG with matplotlib (the extra `txmon[plot]`)."""

from typing import TYPE_CHECKING

from txmon.analysis.report.report import Picture, Report
from txmon.errors import ConfigError, IoFailure
from txmon.support.safe_open import create_bytes
from txmon.support.terminal_text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 11.0, 4.6  # inches per picture
SEEN, EXPECTED, BAND, FINDING = "#1b4f9c", "#444444", "#c9d7ea", "#d1495b"
OTHERS = ("#8a9a5b", "#b08968", "#7c9eb2", "#a78bba", "#c08497", "#6b9080")
MOST_LABELS = 24


def write_plot(reports: list[Report], path: str, kind: str) -> None:
    """Write the pictures of `reports` to `path`, one below the other. kind: png or svg.

    Raise ConfigError if matplotlib is not installed, IoFailure if the file cannot be written. The same reports produce
    the same bytes.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError(f"--{kind} needs matplotlib: pip install 'txmon[plot]'") from None
    pictures = [(report, picture) for report in reports for picture in report.pictures]
    mpl.rcParams["svg.hashsalt"] = "txmon"  # otherwise the ids in an SVG would differ from run to run
    mpl.rcParams["svg.fonttype"] = "none"  # text stays text, so the file is small and searchable
    figure = Figure(figsize=(WIDTH, HEIGHT * len(pictures)), layout="constrained")
    for n, (report, picture) in enumerate(pictures, 1):
        axes = figure.add_subplot(len(pictures), 1, n)
        _draw(axes, picture)
        # a dollar sign in a name would start a formula
        axes.set_title(printable(f"{report.title}: {picture.title}", None).replace("$", r"\$"), loc="left", fontsize=11)
    try:
        with create_bytes(path) as file:
            figure.savefig(file, format=kind, dpi=120, metadata={"Date": None} if kind == "svg" else {"Software": None})
    except OSError as bad:
        raise IoFailure(f"{path}: {bad.strerror}") from bad


def _draw(axes: "Axes", picture: Picture) -> None:
    places = list(range(len(picture.places)))
    for n, (first, last) in enumerate(picture.spans):
        label = "finding" if n == 0 else None
        axes.axvspan(first - 0.5, last + 0.5, color=FINDING, alpha=0.18, lw=0, label=label)
    if picture.high:
        axes.fill_between(places, picture.low, picture.high, color=BAND, lw=0, label="normal (95 %)", step=None)
    others = 0
    for line in picture.lines:
        values = [float("nan") if value is None else value for value in line.values]
        name = printable(line.name, None).replace("$", r"\$")
        if line.role == "seen":
            marker = "o" if len(places) <= 60 else None
            axes.plot(places, values, color=SEEN, lw=2.4, marker=marker, ms=4.5, label=name, zorder=5)
        elif line.role == "expected":
            axes.plot(places, values, color=EXPECTED, lw=1.2, ls="--", label=name, zorder=4)
        else:
            axes.plot(places, values, color=OTHERS[others % len(OTHERS)], lw=1.1, label=name)
            others += 1
    step = max(1, -(-len(places) // MOST_LABELS))
    axes.set_xticks(places[::step], [printable(place, None) for place in picture.places[::step]], fontsize=8)
    if len(picture.places[0]) > 5:
        axes.tick_params(axis="x", rotation=45)
    axes.set_xlim(-0.6, len(places) - 0.4)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(picture.unit)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e4e4", lw=0.7)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="upper left", bbox_to_anchor=(0, -0.12))
