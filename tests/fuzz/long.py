"""Coverage-guided fuzzing at length: `make fuzz-long TARGET=records SECONDS=1800`.

libFuzzer (by atheris) mutates the kept corpus and whatever reaches new code. A run ends at a crash, at a case of more
than a second of processor time, or above 500 MB; the case is then kept in build/fuzz. Otherwise what it found is
reduced to what adds coverage and kept in tests/fuzz/corpus, which the ordinary test run replays.

The sources are run as plain Python, so that their coverage is seen. --compiled runs the installed, compiled core, where
only the corpus guides; so does the HTTP target, whose server is plain Python in either case.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import corpus

ROOT: Final = Path(__file__).parents[2]
SECOND: Final = 1.0  # of processor time that a case may take
MEMORY: Final = 500  # MB
LENGTHS: Final = {"records": 700, "rules": 400, "config": 400, "state": 1500, "http": 1500}
# what guides: where not all of txmon does, instrumenting it would only cost cases
GUIDES: Final = {
    "records": [
        "txmon.ingest.records",
        "txmon.ingest.aggregate.ledger",
        "txmon.ingest.timestamps",
        "txmon.ingest.rejects",
        "fuzz_targets",
    ],
    "http": ["txmon.server", "fuzz_http"],
}
KEPT: Final = 180_000  # bytes of a target's corpus


def child(target: str, arguments: list[str], compiled: bool) -> None:
    """Fuzz, in this process; does not return."""
    import atheris

    sys.path.insert(0, str(ROOT / "tests"))
    compiled = compiled or target == "http"  # a request may bring a day of silence, which is judged at once
    if not compiled:
        sys.path.insert(0, str(ROOT / "src"))
    with atheris.instrument_imports(include=GUIDES.get(target, ["txmon", "fuzz_targets", "fuzz_http"])):
        import fuzz_targets

        from txmon.ingest import timestamps as times

        assert times.__file__.endswith(".py") != compiled, times.__file__
        case: Callable[[bytes], None]
        if target == "http":
            import fuzz_http

            case = fuzz_http.HttpTarget()
        else:
            case = fuzz_targets.TARGETS[target]

    slowest = 0.0

    def one(data: bytes) -> None:
        nonlocal slowest
        began = time.process_time()
        case(data)
        took = time.process_time() - began
        if took > slowest:
            slowest = took
            print(f"SLOWEST {took:.3f}", file=sys.stderr)
        if took > SECOND:
            raise TimeoutError(f"{took:.2f} s of processor time")

    # libFuzzer starts itself again to reduce a corpus, by a shell
    itself = [sys.executable, __file__, target, *(["--compiled"] if compiled else []), "--child"]
    atheris.Setup([" ".join(itself), *arguments], one)
    atheris.Fuzz()


def run(target: str, arguments: list[str], compiled: bool, log: Path) -> int:
    """Run libFuzzer with `arguments` in a process of its own; its exit code."""
    command = [sys.executable, __file__, target, *(["--compiled"] if compiled else []), "--child", *arguments]
    with log.open("wb") as file:
        return subprocess.run(command, stdout=file, stderr=file, check=False).returncode


def fill(folder: Path, target: str) -> None:
    """Put the kept cases where libFuzzer reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    for case in corpus.read(target):
        (folder / hashlib.sha1(case).hexdigest()).write_bytes(case)


def keep(target: str, folder: Path, work: Path) -> int:
    """Reduce what is in `folder` to what adds coverage, and keep it; how many cases that are."""
    reduced = work / "reduced"
    subprocess.run(["rm", "-rf", reduced], check=True)
    reduced.mkdir()
    code = run(target, ["-merge=1", str(reduced), str(folder)], False, work / "merge.log")
    if code != 0 or not any(reduced.iterdir()):
        sys.exit(f"the corpus could not be reduced: see {work}/merge.log")
    cases = sorted((path.read_bytes() for path in reduced.iterdir()), key=len)
    kept, size = [], 0
    for case in cases:
        size += len(case) * 4 // 3 + 1
        if size > KEPT:
            break
        kept.append(case)
    corpus.write(target, kept)
    return len(kept)


def main() -> None:
    """Run a target for so long, and say in one line how it went."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=sorted(LENGTHS))
    parser.add_argument("--seconds", type=int, default=1800)
    parser.add_argument("--compiled", action="store_true", help="run the installed, compiled core")
    options = parser.parse_args()
    work = ROOT / "build" / "fuzz" / (options.target + ("-compiled" if options.compiled else ""))
    folder = work / "corpus"
    fill(folder, options.target)
    began = time.monotonic()
    arguments = [
        f"-max_total_time={options.seconds}", f"-max_len={LENGTHS[options.target]}", f"-rss_limit_mb={MEMORY}",
        "-timeout=60", "-print_final_stats=1", "-use_value_profile=0", f"-artifact_prefix={work}/failed-",
        f"-dict={Path(__file__).with_name('words.dict')}", str(folder),
    ]  # fmt: skip
    code = run(options.target, arguments, options.compiled, work / "log")
    text = (work / "log").read_text(errors="replace")
    stats = dict(re.findall(r"stat::(\w+):\s+(\d+)", text))
    slowest = max(map(float, re.findall(r"SLOWEST ([\d.]+)", text)), default=0.0)
    if code != 0:
        sys.exit(f"{options.target}: FAILED; the case is in {work}, the traceback in {work}/log")
    kept = "" if options.compiled else f", {keep(options.target, folder, work)} cases kept"
    cases, seconds = int(stats["number_of_executed_units"]), time.monotonic() - began
    print(
        f"{options.target}{' (compiled)' if options.compiled else ''}: {cases} cases in {seconds:.0f} s"
        f" ({cases / seconds:.0f}/s), no failure, slowest {slowest:.3f} s, peak {stats['peak_rss_mb']} MB{kept}"
    )


if __name__ == "__main__":
    if "--child" in sys.argv:
        at = sys.argv.index("--child")
        os.environ["PYTHONHASHSEED"] = "0"
        child(sys.argv[1], sys.argv[at + 1 :], "--compiled" in sys.argv)
    main()
