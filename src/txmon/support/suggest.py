"""Suggests the known word that is most similar to an unknown one."""

from collections.abc import Iterable, Sequence


def nearest(word: str, known: Iterable[str], alike: float = 0.6) -> str:
    """Return `; did you mean 'x'?`, or "" if no known word is similar enough. alike: from 0 to 1."""
    import difflib  # imported here because only an unknown word needs it

    close = difflib.get_close_matches(word, list(known), 1, alike)
    return f"; did you mean {close[0]!r}?" if close else ""


def choose(word: str, known: Sequence[str]) -> str:
    """Return the message for a word that is not in `known`: the accepted words, and a similar one if there is one."""
    listed = f"{', '.join(known[:-1])} or {known[-1]}" if len(known) > 1 else known[0]
    return f"{word!r} is not valid. Choose {listed}{nearest(word, known) or '.'}"
