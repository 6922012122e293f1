"""txmon: learns what is normal in a stream of transactions and says when it is not.

`Detector` is the detector for programs; see txmon.api.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .api import Detector as Detector

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Imports the public names when they are asked for, so that `txmon --version` waits for none of them."""
    if name == "Detector":
        from .api import Detector

        return Detector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
