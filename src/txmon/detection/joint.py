"""The minute as a whole: how far all statuses together are on the wrong side, and each one's part in it.

A robust Mahalanobis distance whose matrix is diagonal: every residual is already in sigmas of its own MAD dispersion,
and what statuses share, the volume, was taken out of them first (docs/methods.md has the correlations left).
Only the wrong side counts, so among k statuses chance gives a chi-bar-squared (Kudo 1963): about (k + 1) / 2 of them
are on that side. That many degrees of freedom give its tail; a cube root makes it sigmas (Wilson & Hilferty 1931).
"""

from math import fsum, sqrt  # fsum: mypyc takes the sum of a list for whole numbers
from typing import Final

from mypy_extensions import mypyc_attr

MOST: Final = 0.7  # of the squared distance


@mypyc_attr(acyclic=True, free_list_len=1)
class JointDeviation:
    """The statuses of one bucket, and how far each is on the wrong side."""

    __slots__ = ("_names", "_scores", "_squares", "_statuses")

    def __init__(self) -> None:
        self._statuses = 0
        self._squares = 0.0
        self._names: list[str] = []  # of those on the wrong side
        self._scores: list[float] = []

    def add(self, status: str, score: float) -> None:
        """Take a status; score: sigmas towards the wrong side, 0 or less where it is on the other."""
        self._statuses += 1
        if score > 0.0:
            self._squares += score * score
            self._names.append(status)
            self._scores.append(score)

    def distance(self) -> float:
        """Return the distance of the bucket in sigmas; 0 for no status."""
        if not self._statuses:
            return 0.0
        freedom = (self._statuses + 1) / 2.0
        spread = 2.0 / (9.0 * freedom)
        root: float = (self._squares / freedom) ** (1.0 / 3.0)  # of a type that mypy knows
        return (root - (1.0 - spread)) / sqrt(spread)

    def is_shared(self) -> bool:
        """Return whether no single status makes up most of the distance: one that does has gates of its own to pass."""
        squares = [score * score for score in self._scores]
        return bool(squares) and max(squares) <= MOST * fsum(squares)

    def parts(self) -> str:
        """`denied 72 %, failed 20 %`: statuses that make up at least a tenth of the squared distance, largest first."""
        total = fsum([score * score for score in self._scores])
        if total <= 0.0:
            return ""
        shares = sorted(
            [(-score * score / total, status) for status, score in zip(self._names, self._scores, strict=True)]
        )
        return ", ".join([f"{status} {-100.0 * share:.0f} %" for share, status in shares if share <= -0.1])
