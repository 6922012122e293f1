"""Where things are: the checkout, its tests, and the folder that developers share."""

from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]
ROOT: Final = TESTS.parent
SHARED: Final = ROOT.parent / "shared"
