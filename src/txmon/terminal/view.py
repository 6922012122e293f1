"""Records what the user chose to see on the live chart, and applies the effect of each key.

This module draws nothing.
"""

from typing import Final, Literal

from txmon.model.keys import Series
from txmon.terminal.board import Board

Mode = Literal["charts", "one", "incidents"]
Wish = Literal["", "quit", "faster", "slower", "hold"]
RANGES: Final = (3600, 6 * 3600, 86400)  # seconds
# the keys, what they do, and the word in the footer, in order of importance
KEYS: Final = (
    ("q", "quit", "quit"),
    ("?", "show or hide this help", "help"),
    ("i", "list the incidents: open ones, then those that are over", "incidents"),
    ("t", "show the last hour, 6 hours or 24 hours", "range"),
    ("up down", "choose a status, or move in a list", "choose"),
    ("Enter", "show the chosen status in full height, or go back", "look"),
    ("/", "show only series whose name contains the words you type; Enter keeps the filter, Esc clears it", "filter"),
    ("space", "pause, or go on", "pause"),
)
SPEED_KEYS: Final = (("+ -", "replay faster or slower", "speed"),)
MORE_KEYS: Final = (
    ("Esc", "go back to the charts", ""),
    ("PgUp PgDn", "move by ten", ""),
)
PAGE: Final = 10
LONGEST_FILTER: Final = 80


class View:
    """The state of the screen. Times are epoch seconds."""

    def __init__(self, paced: bool) -> None:
        """Create it. paced: the speed can be changed, as in a replay."""
        self.paced = paced
        self.mode: Mode = "charts"
        self.help = False
        self.range = 0  # index in RANGES
        self.chosen: Series | None = None
        self.words = ""  # the filter
        self.typing = False  # whether the filter is being typed
        self.top = 0  # index of the first incident shown in the list
        self.paused = False
        self.speed = ""  # of a replay, as text

    @property
    def seconds(self) -> int:
        """Return the time span of the charts, seconds."""
        return RANGES[self.range]

    def press(self, key: str, board: Board) -> Wish:
        """Handle a key. Return what the caller must do."""
        if self.typing:
            self._type(key)
            return ""
        if self.help and key != "q":
            self.help = False
            return ""
        if key == "q":
            return "quit"
        if key == "space" or key == " ":
            self.paused = not self.paused
            return "hold"
        if key in ("+", "=", "-"):
            return ("slower" if key == "-" else "faster") if self.paced else ""
        self._look(key, board)
        return ""

    def _look(self, key: str, board: Board) -> None:
        if key == "?":
            self.help = True
        elif key == "i":
            self.mode, self.top = ("charts" if self.mode == "incidents" else "incidents"), 0
        elif key == "t":
            self.range = (self.range + 1) % len(RANGES)
        elif key == "/":
            self.typing, self.mode = True, "charts" if self.mode == "incidents" else self.mode
        elif key == "enter":
            self._enter(board)
        elif key == "escape":
            self._back()
        else:
            self._move(key, board)

    def _type(self, key: str) -> None:
        if key == "enter":
            self.typing = False
        elif key == "escape":
            self.typing, self.words = False, ""
        elif key == "backspace":
            self.words = self.words[:-1]
        elif len(key) == 1 and len(self.words) < LONGEST_FILTER:
            self.words += key

    def _back(self) -> None:
        """Go back one step: from a series to the charts, then clear the choice, then clear the filter."""
        if self.mode != "charts":
            self.mode = "charts"
        elif self.chosen is not None:
            self.chosen = None
        else:
            self.words = ""

    def _enter(self, board: Board) -> None:
        if self.mode == "one":
            self.mode = "charts"
        elif self.mode == "charts":
            ranked = board.ranked(self.words)
            if ranked:
                self.mode = "one"
                if self.chosen not in board.tracks:
                    self.chosen = ranked[0].series

    def _move(self, key: str, board: Board) -> None:
        step = {"down": 1, "right": 1, "up": -1, "left": -1, "page down": PAGE, "page up": -PAGE}.get(key, 0)
        if key == "home":
            step = -(10**9)
        elif key == "end":
            step = 10**9
        if not step:
            return
        if self.mode == "incidents":
            self.top = min(max(0, self.top + step), max(0, len(board.incidents.all()) - 1))
            return
        names = [track.series for track in board.ranked(self.words)]
        if not names:
            return
        if self.chosen in names:
            self.chosen = names[min(max(0, names.index(self.chosen) + step), len(names) - 1)]
        else:
            self.chosen = names[0]
