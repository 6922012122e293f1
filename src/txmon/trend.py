"""Trend by status: the slope of its counts over the last 18 minutes, and the name of that slope."""

from dataclasses import dataclass
from typing import Literal

TrendName = Literal["rising a lot", "rising", "stable", "falling", "falling a lot"]


@dataclass(frozen=True, slots=True)
class Trend:
    """A least-squares slope in transactions a minute per minute, and its name."""

    slope: float
    name: TrendName
