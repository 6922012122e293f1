"""Proposes the known word that is nearest to an unknown one."""

from collections.abc import Iterable, Sequence


def nearest(word: str, known: Iterable[str], alike: float = 0.6) -> str:
    """Return `; did you mean 'x'?`, or nothing where no known word is at least so much `alike`, from 0 to 1."""
    import difflib  # here, because only an unknown word needs it

    close = difflib.get_close_matches(word, list(known), 1, alike)
    return f"; did you mean {close[0]!r}?" if close else ""


def choose(word: str, known: Sequence[str]) -> str:
    """Return the message for a word that is not one of `known`: what is accepted, and the nearest where one is near."""
    listed = f"{', '.join(known[:-1])} or {known[-1]}" if len(known) > 1 else known[0]
    return f"{word!r} is not valid. Choose {listed}{nearest(word, known) or '.'}"
