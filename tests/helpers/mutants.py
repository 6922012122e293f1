"""The score of `make mutants`, a module a line: how many of the mutants that were run a test noticed.

What `mutmut` calls a timeout is noticed too: the mutant never ends. A mutant that no test reaches is not noticed.
"""

import json
import sys
from collections import Counter
from pathlib import Path

NOTICED = (1, 3, 24, -24, 36, 152, 255)  # a failed test, or a time limit: mutmut's exit codes


def main() -> int:
    """Print the table; 1 where a module's score is below 85 %, or where no mutant was run."""
    folder = Path("mutants/src/txmon")
    least = None
    print("| module | mutants | run | noticed | score |\n| --- | --- | --- | --- | --- |")
    for path in sorted(folder.rglob("*.meta")):
        codes = json.loads(path.read_text())["exit_code_by_key"]
        found = Counter(code for code in codes.values() if code is not None)
        run, noticed = found.total(), sum(found[code] for code in NOTICED)
        if run:
            score = noticed / run
            least = score if least is None else min(least, score)
            name = str(path.relative_to(folder)).removesuffix(".py.meta")
            print(f"| `{name}` | {len(codes)} | {run} | {noticed} | {score:.1%} |")
    if least is None:
        print(f"{folder}: no mutant was run. Run `make mutants`.", file=sys.stderr)
        return 1
    return int(least < 0.85)


if __name__ == "__main__":
    sys.exit(main())
