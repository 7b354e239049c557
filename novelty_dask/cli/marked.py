"""Text with marked characters, made harmless and fitted to a width as other text is."""

import os
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import click
from rich.cells import cell_len, set_cell_size

from novelty_dask.errors import escape


class MarkedText(NamedTuple):
    """Text for a terminal, with a mark for each of its characters or none.

    Parameters
    ----------
    text : str
    marks : sequence of bool
    """

    text: str
    marks: Sequence[bool]


def mark(text: str, parts: Iterable[tuple[int, int]], shown: Sequence[str] = ()) -> MarkedText:
    r"""Return a text, escaped, with marked parts.

    Parameters
    ----------
    text : str
    parts : iterable of (int, int)
        Start and end of each part.
    shown : sequence of str, optional
        For each character of the text, what stands for it.

    Examples
    --------
    >>> mark("a\tb", [(1, 2)])
    MarkedText(text='a\\x09b', marks=[False, True, True, True, True, False])
    """
    marked = {index for start, stop in parts for index in range(start, stop)}
    # Character by character, so that each knows its mark however many characters stand for it.
    pieces = [escape(char) for char in shown or text]
    marks = [index in marked for index, piece in enumerate(pieces) for _ in piece]
    return MarkedText("".join(pieces), marks)


def shorten(text: str, width: int) -> str:
    """Return a text without its middle, if it is wider than a number of columns.

    >>> shorten("https://www.example.com/a/long/path", 21)
    'https://ww…/long/path'
    """
    if cell_len(text) <= width:
        return text
    head = set_cell_size(text, width // 2)
    tail = set_cell_size(text[::-1], width - 1 - width // 2)[::-1]
    return f"{head}…{tail}"


def fit(cell: MarkedText, width: int) -> str:
    """Return a text in a number of columns: filled up, or without its middle; marked parts in red."""
    text, marks = cell.text, [*cell.marks]
    if (short := shorten(text, width)) != text:
        # Cut again, to count characters: wide ones take two columns, and a space stands for half of one.
        n_head = len(set_cell_size(text, width // 2))
        n_tail = len(short) - n_head - 1
        marks = [*marks[:n_head], False, *marks[len(marks) - n_tail :]]
    padded = set_cell_size(short, width)
    marks += [False] * (len(padded) - len(marks))
    return "".join(
        _style("".join(char for char, _ in run), is_marked)
        for is_marked, run in groupby(zip(padded, marks, strict=True), key=lambda pair: pair[1])
    )


def _style(text: str, is_marked: bool) -> str:  # noqa: FBT001 - as groupby gives it
    """Return a text as the terminal shows it."""
    # Underlined too, for those who see no red, or have asked for no color (https://no-color.org).
    color = None if os.environ.get("NO_COLOR") else "red"
    return click.style(text, fg=color, underline=True) if is_marked else text
