"""Output for terminals: text from outside made harmless, tables that fit the width.

Whatever stands in a URL, a file name or an error goes through `escape` before it is
printed, so that it can neither command the terminal nor hide what it is.
"""

import math
import shutil
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import click
from rich.cells import cell_len

from novelty_dask.cli.marked import MarkedText, fit, mark
from novelty_dask.cli.streams import is_terminal
from novelty_dask.errors import escape as escape
from novelty_dask.kernels.text.wrapped import defang as defang

GAP = "  "
NARROWEST_TEXT = 16


class Column(NamedTuple):
    """Column of a table; text may be shortened, numbers not."""

    name: str
    is_text: bool = False


def number(value: float | None) -> str:
    """Return a novelty or similarity as text; ``nan`` where it is undefined.

    >>> number(0.25), number(None)
    ('0.250000', 'nan')
    """
    return "nan" if value is None or math.isnan(value) else f"{value:.6f}"


def table(columns: Sequence[Column], rows: Sequence[Sequence[str | MarkedText]]) -> Iterator[str]:
    """Yield the lines of a table: aligned and fitted to a terminal; separated by TAB, in full, for a pipe."""
    cells = [[cell if isinstance(cell, MarkedText) else mark(cell, ()) for cell in row] for row in rows]
    if not is_terminal():
        yield from ("\t".join(cell.text for cell in row) for row in cells)
        return
    header = [mark(column.name, ()) for column in columns]
    widths = _widths(columns, [header, *cells], shutil.get_terminal_size().columns)
    yield click.style(_line(columns, header, widths), bold=True)
    yield from (_line(columns, row, widths) for row in cells)


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[MarkedText]], terminal: int) -> list[int]:
    """Return the widths of the columns: texts share the width that numbers leave, up to their need."""
    widths = [max(cell_len(cell.text) for cell in cells) for cells in zip(*rows, strict=True)]
    texts = [index for index, column in enumerate(columns) if column.is_text]
    # The narrowest first: what they leave of their share goes to the wider ones.
    texts.sort(key=widths.__getitem__)
    left = terminal - len(GAP) * (len(columns) - 1) - sum(widths) + sum(widths[index] for index in texts)
    for waiting, index in zip(range(len(texts), 0, -1), texts, strict=True):
        widths[index] = min(widths[index], max(left // waiting, NARROWEST_TEXT))
        left -= widths[index]
    return widths


def _line(columns: Sequence[Column], cells: Sequence[MarkedText], widths: Sequence[int]) -> str:
    """Return one line of a table: texts to the left, numbers to the right."""
    padded = (
        fit(cell, width) if column.is_text else cell.text.rjust(width)
        for column, cell, width in zip(columns, cells, widths, strict=True)
    )
    return GAP.join(padded).rstrip()
