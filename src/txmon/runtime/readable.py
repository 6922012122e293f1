"""Whether enough of an input could be read for its verdicts to mean anything."""

from typing import Final

from txmon.errors import BadData
from txmon.ingest.rejects import RejectLog
from txmon.support.plurals import counted

FEW: Final = 3  # repeats that no file is refused for
MOST: Final = 0.01  # share of the rows with an id that may repeat another row: more and the column is probably no id
# what mends most of the bad records of a kind
FIXES: Final = {
    "time": "Name the column of the times with --map time=COLUMN, or their form with --time-format.",
    "status": "Name the column of the statuses with --map status=COLUMN.",
    "count": "Name the column of the counts with --map count=COLUMN.",
    "columns": "Look at the delimiter and the quotes in these lines.",
    "json": "Each line must be one JSON object; --format csv reads the input as CSV.",
    "encoding": "Name the encoding, for example --encoding latin-1.",
    "too-long": "--max-line SIZE reads longer lines.",
    "future": "--max-ahead TIME accepts times further ahead of the clock.",
}


def check_readable(source: str, read: int, log: RejectLog) -> None:
    """Raise BadData where nothing was read of `source`, or less than half; read: records."""
    bad = log.count
    if read and read >= bad:
        return
    if not bad:
        raise BadData(f"{source}: no record could be read, because no line follows the header")
    kind, reject = log.commonest()
    some = "no record could be read" if not read else f"only {read} of {counted(read + bad, 'record')} could be read"
    fix = FIXES.get(kind, "")
    example = f"for example in line {reject.line}: {reject.reason}"
    kept = "" if log.keeps else " --rejects FILE saves all bad records."
    raise BadData(f"{source}: {some}. {example[:1].upper()}{example[1:]}. {fix}{kept}".replace(".. ", ". "))


def refuse_repeats(source: str, repeated: int, marked: int) -> None:
    """Raise BadData where so many rows repeat another one that the column of the ids is probably not the rows' own.

    marked: rows that have an id. repeated: those of them whose id, status and time an earlier one has.
    """
    if repeated <= max(FEW, MOST * marked):
        return
    raise BadData(
        f"{source}: {repeated} of {counted(marked, 'row')} repeat the id, status and time of another row. "
        "Use --map id= to count every row, or --map id=COLUMN to count each id of that column once."
    )


def repeats_text(repeated: int) -> list[str]:
    """Return a line that says how many rows were not counted since they repeat another; none where all were."""
    if not repeated:
        return []
    verb = "repeats" if repeated == 1 else "repeat"
    return [f"{counted(repeated, 'record')} {verb} the id, status and time of one counted before"]
