"""Forms the singular or plural of nouns in messages and reports."""


def plural(count: int, noun: str) -> str:
    """Return `noun` for a count of 1, otherwise with an "s"."""
    return noun if count == 1 else f"{noun}s"


def counted(count: int, noun: str) -> str:
    """Return the count and its noun, such as "1 line" or "0 lines"."""
    return f"{count} {plural(count, noun)}"
