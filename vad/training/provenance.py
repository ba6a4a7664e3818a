"""What a data set says of itself, for the model card: the first lines of its papers that say so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAPERS = ("PROVENANCE.md", "README.md", "README.txt", "README")

LICENCE_WORDS = ("licence:", "license:", "terms:")
CITATION_WORDS = ("citation:", "cite:", "original authors:", "authors:")

UNKNOWN_LICENCE = "not stated: the terms of the data it was trained on apply"

KNOWN_LICENCES = re.compile(r"CC0(?: 1\.0)?|CC[ -]BY(?:-(?:SA|NC|ND))*[ -]\d\.\d|Apache[ -]2\.0|MIT\b|BSD[ -][23]")
"""Of licences that are named within a line, those that cannot be mistaken for anything else."""

LONGEST = 600
"""Characters of a line that go into a card."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Title, licence and citation; the folder's name, "not stated" and an empty citation where nothing says so."""

    title: str
    licence: str
    citation: str


def read_provenance(folder: Path) -> Provenance:
    """Look for a heading, and for lines that begin with one of the words above or name a licence further on."""
    title, licence, citation = folder.resolve().name, UNKNOWN_LICENCE, ""
    papers = next((folder / name for name in PAPERS if (folder / name).is_file()), None)
    if papers is None:
        return Provenance(title, licence, citation)
    lines = [line.strip() for line in papers.read_text(encoding="utf-8", errors="replace").splitlines()]
    headings = [line.lstrip("# ") for line in lines if line.startswith("#")]
    return Provenance(
        headings[0][:LONGEST] if headings else title,
        _after(lines, LICENCE_WORDS) or _named_within(lines) or licence,
        _after(lines, CITATION_WORDS),
    )


def _after(lines: list[str], words: tuple[str, ...]) -> str:
    """What follows the first of the words that begins a line."""
    for line in lines:
        plain = line.lstrip("-* ").replace("**", "")
        for word in words:
            if plain.lower().startswith(word):
                return plain[len(word) :].strip()[:LONGEST]
    return ""


def _named_within(lines: list[str]) -> str:
    """The licence that lines name further on, where they name one, and the same each time."""
    saying = [line for line in lines if re.search(r"\blicen[cs]e", line, re.IGNORECASE)]
    named = [match.group(0) for line in saying for match in KNOWN_LICENCES.finditer(line)]
    is_clear = len(set(named)) == 1 and all(KNOWN_LICENCES.search(line) for line in saying)
    return named[0] if is_clear else ""
