"""Which txmon this is, and whether its core is compiled."""

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES

__version__ = "0.2.0"


def compiled() -> bool:
    """Return whether the detection core is the compiled one; found without importing it."""
    here = os.path.join(os.path.dirname(__file__), "detection")
    return any(os.path.exists(os.path.join(here, f"baseline{suffix}")) for suffix in EXTENSION_SUFFIXES)


def describe() -> str:
    """Return the version line: version, core, Python."""
    core = "compiled" if compiled() else "interpreted"
    python = ".".join(map(str, sys.version_info[:3]))
    return f"txmon {__version__} ({core} core, Python {python})"
