"""Marked text keeps its marks however it is escaped, defanged and shortened, and lines keep their width."""

import re
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

import novelty_dask
from novelty_dask.cli.marked import fit, mark
from novelty_dask.cli.terminal import defang
from tests.support.files import write_lines
from tests.support.processes import terminal_output

RED = re.compile(r"\x1b\[31m\x1b\[4m(.*?)\x1b\[0m")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
marks = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=3)


@given(texts, marks, st.integers(2, 70), st.booleans())
def test_a_marked_text_has_the_width_and_the_letters_of_any_other(
    text: str, parts: list[tuple[int, int]], width: int, is_defanged: bool
) -> None:
    shown = defang(text) if is_defanged else text
    line = fit(mark(text, parts, shown), width)
    assert click.unstyle(line) == fit(mark(text, (), shown), width)
    assert cell_len(click.unstyle(line)) == width


@pytest.mark.parametrize(
    ("text", "parts", "width", "marked"),
    [
        ("a.example/new", [(10, 13)], 20, ["new"]),
        ("a\tb", [(1, 2)], 20, [r"\x09"]),
        ("abcdefghij", [(0, 2), (8, 10)], 5, ["ab", "ij"]),
        ("abcdefghij", [(4, 6)], 5, []),
        ("abcdefghij", [(0, 10)], 5, ["ab", "ij"]),
        ("日本x", [(1, 2)], 9, ["本"]),
    ],
)
def test_what_is_marked(
    monkeypatch: pytest.MonkeyPatch, text: str, parts: list[tuple[int, int]], width: int, marked: list[str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert RED.findall(fit(mark(text, parts), width)) == marked


def test_marks_are_underlined_where_no_color_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert fit(mark("ab", [(0, 1)]), 2) == "\x1b[4ma\x1b[0mb"


@pytest.mark.sampled
@pytest.mark.parametrize("features", ["url", "ngrams"])
def test_top_marks_what_is_new_on_a_terminal(tmp_path: Path, features: str) -> None:
    lines = [f"https://a.example/item/{letter}" for letter in "abcdefgh"] + ["https://a.example/item/a?admin"]
    out = tmp_path / "run.zarr"
    novelty_dask.score(write_lines(tmp_path / "urls.txt", lines), out, features=features, n_neighbors=3)
    output = terminal_output("top", out, columns=200)
    assert [part for part in RED.findall(output) if "admin" in part]
    assert click.unstyle(output).count("https://a.example/item/a?admin") >= 1
