"""Prose is plain: some turns of phrase don't occur, and tables have one thought in a cell."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")])
PACKAGE = sorted((ROOT / "novelty_dask").rglob("*.py"))
PHRASES = (
    "are told",
    "at work on",
    "beyond all",
    "in the way",
    "is told",
    "of which",
    "says of itself",
    "so many",
    "that is left",
    "what it says of",
)
"""Turns of phrase that save a word and cost a second reading."""
AS_A_WHOLE = re.compile(rf"\b({'|'.join(PHRASES)})\b", re.IGNORECASE)
LONGEST_CELL, LONGEST_ROW = 115, 124


def found_phrases(text: str) -> list[str]:
    """Return forbidden phrases, also those that a line break divides."""
    return [match[1].lower() for match in AS_A_WHOLE.finditer(" ".join(text.split()))]


def strings(path: Path) -> Iterator[str]:
    """Yield the texts of a module: docstrings, messages, comments."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
    yield " ".join(re.findall(r"#(.*)", source))


def rows(text: str) -> list[str]:
    """Return the rows of all tables of a document."""
    return re.findall(r"^ *\|.*\|$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)


def test_phrases_are_found_across_lines() -> None:
    assert found_phrases("It holds so\n   many rows, as Is Told here.") == ["so many", "is told"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_documents_are_in_plain_words(path: Path) -> None:
    assert found_phrases(path.read_text(encoding="utf-8")) == []


def test_the_package_is_in_plain_words() -> None:
    texts = [(path.name, text) for path in PACKAGE for text in strings(path)]
    found = [(name, phrase) for name, text in texts for phrase in found_phrases(text)]
    assert found == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_tables_have_short_cells(path: Path) -> None:
    for row in rows(path.read_text(encoding="utf-8")):
        assert len(row) <= LONGEST_ROW, row
        assert max(len(cell.strip()) for cell in row.strip(" |").split(" | ")) <= LONGEST_CELL, row
