"""Writes the table of docs/reliability.md from the fault tests: `python docs/reliability.py` (--check compares only).

Each test in tests/faults/ carries `@pytest.mark.fault(fault, does)`: a row of the table is a test that holds.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- written by docs/reliability.py from tests/faults -->\n", "<!-- end -->\n"


def rows() -> list[tuple[str, str, str]]:
    """(fault, what txmon does, the test that asserts it), in the order of the files."""
    found = []
    for path in sorted((ROOT / "tests" / "faults").glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            for decorator in node.decorator_list if isinstance(node, ast.FunctionDef) else []:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fault":
                    fault, does = (ast.literal_eval(argument) for argument in decorator.args)
                    found.append((fault, does, f"{path.stem.removeprefix('test_fault_')}: {node.name}"))
    return found


def page(text: str) -> str:
    """`text` with the table as the tests say it."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = ["| fault | what txmon does | asserted by |", "| --- | --- | --- |"]
    table += [
        f"| {fault.replace('|', '&#124;')} | {does.replace('|', '&#124;')} | `{test}` |" for fault, does, test in rows()
    ]
    return f"{before}{BEGIN}\n" + "\n".join(table) + f"\n\n{END}{after}"


if __name__ == "__main__":
    text = PAGE.read_text()
    if "--check" not in sys.argv:
        PAGE.write_text(page(text))
    elif page(text) != text:
        sys.exit("docs/reliability.md is not current: run python docs/reliability.py")
