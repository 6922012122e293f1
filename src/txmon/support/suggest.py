"""Proposes the known word that is nearest to an unknown one."""

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], alike: float = 0.6) -> str:
    """`; did you mean 'x'?`, or nothing where no known word is at least so much `alike`, from 0 to 1."""
    import difflib  # here, because only an unknown word needs it

    close = difflib.get_close_matches(word, list(known), 1, alike)
    return f"; did you mean {close[0]!r}?" if close else ""
