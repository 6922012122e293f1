"""The tail of the normal distribution is that of the standard library."""

from math import exp
from statistics import NormalDist

import pytest

from txmon.detection.normal import upper_quantile, upper_tail


def test_quantiles_are_those_of_the_standard_library() -> None:
    for step in range(4600):
        p = 0.07 * exp(-0.15 * step)
        if p > 0.0:
            assert upper_quantile(p) == -NormalDist().inv_cdf(p), p


def test_tails_are_those_of_the_standard_library() -> None:
    for step in range(800):
        assert upper_tail(step / 100) == pytest.approx(1.0 - NormalDist().cdf(step / 100), rel=1e-9, abs=1e-15)


def test_no_quantile_without_a_probability() -> None:
    with pytest.raises(ValueError, match=r"math|positive"):
        upper_quantile(0.0)
