"""The minute as a whole: how far all statuses together are on the wrong side, and each one's part in it.

A robust Mahalanobis distance whose matrix is diagonal: every residual is already in sigmas of its own MAD dispersion,
and what statuses share, the volume, was taken out of them first (docs/methods.md has the correlations left).
Only the wrong side counts, so among k statuses chance gives a chi-bar-squared (Kudo 1963): about (k + 1) / 2 of them
are on that side. That many degrees of freedom give its tail; a cube root makes it sigmas (Wilson & Hilferty 1931).
"""

from math import fsum, sqrt  # fsum: mypyc takes the sum of a list for whole numbers
from typing import Final

MOST: Final = 0.7  # of the squared distance


def together(scores: list[float]) -> float:
    """The distance of one bucket in sigmas, given each status's score on the wrong side (>= 0); 0 for no status."""
    if not scores:
        return 0.0
    total = 0.0
    for score in scores:
        total += score * score
    freedom = (len(scores) + 1) / 2.0
    spread = 2.0 / (9.0 * freedom)
    return float(((total / freedom) ** (1.0 / 3.0) - (1.0 - spread)) / sqrt(spread))


def shared(scores: list[float]) -> bool:
    """Whether no single status makes up most of the distance: one that does has gates of its own to pass."""
    squares = [score * score for score in scores]
    return bool(squares) and max(squares) <= MOST * fsum(squares)


def parts(statuses: list[str], scores: list[float]) -> str:
    """`denied 72 %, failed 20 %`: the statuses that make up at least a tenth of the squared distance, largest first."""
    total = fsum([score * score for score in scores])
    if total <= 0.0:
        return ""
    shares = sorted([(-score * score / total, status) for status, score in zip(statuses, scores, strict=True)])
    return ", ".join([f"{status} {-100.0 * share:.0f} %" for share, status in shares if share <= -0.1])
