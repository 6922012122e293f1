"""txmon: learns what is normal in a stream of transactions and says when it is not.

`Detector` is the detector for programs, `score_counts` its scores of one series; see txmon.api.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from txmon.api import Detector as Detector
    from txmon.api import score_counts as score_counts


def __getattr__(name: str) -> object:
    """Imports the public names when they are asked for, so that `txmon --version` waits for none of them."""
    if name in ("Detector", "score_counts"):
        from txmon import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
