"""The score of `make mutants`, a module a line: how many of the mutants that were run a test noticed.

What `mutmut` calls a timeout is noticed too: the mutant never ends. A mutant that no test reaches is not noticed.
"""

import json
import sys
from collections import Counter
from pathlib import Path

NOTICED = (1, 3, 24, -24, 36, 152, 255)  # a failed test, or a time limit: mutmut's exit codes


def main() -> int:
    """Print the table; 1 where any module's score is less than 85 %."""
    least = 1.0
    print("| module | mutants | run | noticed | score |\n| --- | --- | --- | --- | --- |")
    for path in sorted(Path("mutants/src/txmon").glob("*.meta")):
        codes = json.loads(path.read_text())["exit_code_by_key"]
        found = Counter(code for code in codes.values() if code is not None)
        run, noticed = found.total(), sum(found[code] for code in NOTICED)
        if run:
            least = min(least, noticed / run)
            print(
                f"| `{path.name.removesuffix('.py.meta')}` | {len(codes)} | {run} | {noticed} | {noticed / run:.1%} |"
            )
    return int(least < 0.85)


if __name__ == "__main__":
    sys.exit(main())
