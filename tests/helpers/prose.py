"""Checks the prose of README and docs: how long its sentences are, and phrases that nobody should have to decode.

The phrases are also looked for in the docstrings, comments and messages of src.

python tests/helpers/prose.py            prints a line per page: words, sentences, average, longest
python tests/helpers/prose.py FILE...    prints the sentences of these pages or modules that break a rule
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from paths import ROOT

AVERAGE: Final = 18.0  # words in a sentence of a page, at most
LONGEST: Final = 40  # words in any sentence, at most
# what the house style forbids: idioms, and grammar that reads as if translated
FORBIDDEN: Final = (
    r"\ba line an? \w+", r"\bis no time\b", r"\bis none of\b", r"\bwhere all is well\b", r"\bwhat holds\b",
    r"\bis told\b", r"\bare told\b",
    r"\bis said\b", r"\bso long\b", r"\bcr(?:y|ies|ying) wolf\b", r"\bin one go\b", r"\ba row an? \w+",
    r"\bonce a kind\b", r"\bif you like it\b", r"\btoo deaf\b", r"\bby itself alone\b", r"\bfor ever\b",
)  # fmt: skip
# of code besides: what reads as if a module or a value were a person, and contracted grammar
IN_CODE: Final = (
    *FORBIDDEN,
    r"\bnobody can be told\b", r"\bgo(?:es)? on as if\b", r"\bwhat became of\b", r"\bhas a moment\b", r"\bhas a turn\b",
    r"\bnothing is as\b", r"\ball is well\b", r"\bsays its name\b", r"\bof a kind of its own\b",
    r"(?<!there )\b(?:is|are|was|were) no (?!longer\b|such\b|more\b)\w+",
    r"\b(?:a|one) \w+ an? (?:line|kind|minute|day|bucket|file|key|status)\b", r"\bwhoever\b",
    r"\bwho (?:reads|asks|has|waits?|brings|listens?)\b", r"\bas \w+ takes (?:it|them)\b", r"\ba line each\b",
    r"\bwhat (?:came|comes) of\b", r"\blets? go of\b", r"\bthe first first\b", r"\bof (?:no )?use(?=[:;.,]|$)",
    r"\bhears? (?:of|whether)\b", r"\bwhere (?:that|it) cannot be\b(?! \w+ed)", r"\bif need be\b",
    r"\bgave; \w+(?:, \w+)*(?: or \w+)? where\b",
)  # fmt: skip
_FENCE: Final = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_CODE: Final = re.compile(r"`[^`\n]+`")
_LINK: Final = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_ITEM: Final = re.compile(r"^\s*(?:[-*+]|\d+\.)\s+")
_END: Final = re.compile(r"(?<=[.!?:])[\"')*_]*\s+(?=[\"'(*_]*[A-Z0-9`])")
_WORD: Final = re.compile(r"[A-Za-z0-9][\w'’.,/%-]*")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a page, code spans replaced by one word each."""

    text: str

    @property
    def words(self) -> int:
        """How many words it has."""
        return len(_WORD.findall(self.text))


def sentences(page: str) -> Iterator[Sentence]:
    """Yield the sentences of a page in Markdown: no code blocks, tables, headings or comments."""
    text = _COMMENT.sub("", _FENCE.sub("\n\n", page))
    for block in re.split(r"\n\s*\n", text):
        for paragraph in _paragraphs(block):
            plain = _LINK.sub(r"\1", _CODE.sub("code", paragraph))
            for sentence in _END.split(" ".join(plain.split())):
                if _WORD.search(sentence):
                    yield Sentence(sentence.strip())


def _paragraphs(block: str) -> Iterator[str]:
    """Yield the paragraphs of a block: each item of a list is one, and what is no prose is left out."""
    kept: list[str] = []
    for line in block.splitlines():
        if line.startswith(("#", "|", ">|", "    ")) or re.fullmatch(r"[-=*_\s]*", line):
            continue
        if _ITEM.match(line) and kept:
            yield " ".join(kept)
            kept = []
        kept.append(_ITEM.sub("", line))
    if kept:
        yield " ".join(kept)


def average(found: list[Sentence]) -> float:
    """Return the mean number of words of `found`; 0.0 for none."""
    return sum(sentence.words for sentence in found) / len(found) if found else 0.0


def faults(page: str) -> list[str]:
    """Return what breaks a rule in a page, one line for each fault."""
    found = list(sentences(page))
    lines = [f"{sentence.words} words: {sentence.text}" for sentence in found if sentence.words > LONGEST]
    lines += [
        f"{match[0]!r}: {sentence.text}"
        for sentence in found
        for pattern in FORBIDDEN
        if (match := re.search(pattern, sentence.text, re.IGNORECASE))
    ]
    if (mean := average(found)) > AVERAGE:
        lines.append(f"{mean:.1f} words in a sentence on average, at most {AVERAGE:g}")
    return lines


def texts(module: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of the docstrings, comments and other texts of a Python module."""
    for node in ast.walk(ast.parse(module)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, " ".join(node.value.split())
    for token in tokenize.generate_tokens(io.StringIO(module).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def code_faults(module: str) -> list[str]:
    """Return the forbidden phrases in the words of a Python module, one line for each."""
    return [
        f"line {line}: {match[0]!r}"
        for line, text in texts(module)
        for pattern in IN_CODE
        if (match := re.search(pattern, text, re.IGNORECASE))
    ]


def modules() -> list[Path]:
    """Return every module of src, in order of their names."""
    return sorted((ROOT / "src").rglob("*.py"))


def pages() -> list[Path]:
    """Return README and every page of docs, in order of their names."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def main(names: list[str]) -> None:
    """Print a table of all pages, or the faults of those named."""
    if names:
        for name in names:
            check = code_faults if name.endswith(".py") else faults
            print("\n".join([name, *(f"  {line}" for line in check(Path(name).read_text("utf-8")))]))
        return
    every: list[Sentence] = []
    for path in pages():
        text = path.read_text("utf-8")
        found = list(sentences(text))
        every += found
        longest = max([sentence.words for sentence in found], default=0)
        words = sum(sentence.words for sentence in found)
        print(f"{path.relative_to(ROOT)!s:40} {words:6} words {len(found):5} sentences "
              f"{average(found):5.1f} on average {longest:4} at most {len(faults(text)):4} faults")  # fmt: skip
    words = sum(one.words for one in every)
    print(f"{'all':40} {words:6} words {len(every):5} sentences {average(every):5.1f} on average")


if __name__ == "__main__":
    main(sys.argv[1:])
