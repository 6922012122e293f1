"""The normal distribution's tail. The standard library has it in `statistics`, which takes long to import."""

from math import erfc, log, sqrt
from typing import Final

ROOT_2: Final = sqrt(2.0)
FAR: Final = 5.0  # of the root of -log p, where the second approximation begins


def upper_tail(sigma: float) -> float:
    """Return the probability that a standard normal value exceeds `sigma`."""
    return 0.5 * erfc(sigma / ROOT_2)


def upper_quantile(p: float) -> float:
    """Return the value that a standard normal one exceeds with probability `p`, 0 < p <= 0.07.

    Wichura (1988), Algorithm AS 241, Applied Statistics 37(3), 477-484: 16 digits. ValueError where p is not above 0.
    """
    r = sqrt(-log(p))
    if r <= FAR:
        r -= 1.6
        over = (
            ((((((7.74545014278341407640e-4 * r + 2.27238449892691845833e-2) * r + 2.41780725177450611770e-1) * r
            + 1.27045825245236838258e0) * r + 3.64784832476320460504e0) * r + 5.76949722146069140550e0) * r
            + 4.63033784615654529590e0) * r + 1.42343711074968357734e0
        )  # fmt: skip
        under = (
            ((((((1.05075007164441684324e-9 * r + 5.47593808499534494600e-4) * r + 1.51986665636164571966e-2) * r
            + 1.48103976427480074590e-1) * r + 6.89767334985100004550e-1) * r + 1.67638483018380384940e0) * r
            + 2.05319162663775882187e0) * r + 1.0
        )  # fmt: skip
        return over / under
    r -= FAR
    over = (
        ((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r + 1.24266094738807843860e-3) * r
        + 2.65321895265761230930e-2) * r + 2.96560571828504891230e-1) * r + 1.78482653991729133580e0) * r
        + 5.46378491116411436990e0) * r + 6.65790464350110377720e0
    )  # fmt: skip
    under = (
        ((((((2.04426310338993978564e-15 * r + 1.42151175831644588870e-7) * r + 1.84631831751005468180e-5) * r
        + 7.86869131145613259100e-4) * r + 1.48753612908506148525e-2) * r + 1.36929880922735805310e-1) * r
        + 5.99832206555887937690e-1) * r + 1.0
    )  # fmt: skip
    return over / under
