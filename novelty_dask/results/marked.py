"""URLs with marks around what none of their neighbors has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING

import pyarrow as pa

from novelty_dask.errors import SettingsError
from novelty_dask.features.choose import make_features
from novelty_dask.features.marks import choose_marks
from novelty_dask.kernels.text.secrets import hide

if TYPE_CHECKING:
    from novelty_dask.features.marks import FindMarks, Marks
    from novelty_dask.settings import ResultSettings

Mark = tuple[str, str]
"""Text before each part that is new, and behind it."""
Marker = Callable[[pa.Table], pa.Table]
"""Adds a column of marked URLs to a table of rows with all their neighbors."""


def make_marker(settings: ResultSettings, mark: Mark, *, redacted: bool = False) -> Marker:
    """Return what adds a column of marked URLs to a table of rows with all their neighbors.

    Parameters
    ----------
    settings : ResultSettings
        Settings of the run.
    mark : tuple of (str, str)
        Text before each part that is new, and behind it.
    redacted : bool
        True to hide secrets, also whether they are new.

    Raises
    ------
    SettingsError
        The mark is something else.
    """
    if not (
        isinstance(mark, tuple | list) and len(mark) == 2 and all(isinstance(text, str) for text in mark)
    ):
        message = 'A mark is what stands before and behind, as in mark=("<b>", "</b>").'
        raise SettingsError(message)
    return partial(_add_marked, choose_marks(settings, make_features), mark, redacted)


def _add_marked(
    find_marks: FindMarks,
    mark: Mark,
    redacted: bool,  # noqa: FBT001 - bound before
    table: pa.Table,
) -> pa.Table:
    """Return a table with its URLs once more, in which the new parts are marked."""
    rows = zip(table["url"].to_pylist(), table["neighbor_urls"].to_pylist(), strict=True)
    # Marks are found in what was compared, and then moved to what is shown.
    parts = ((url, find_marks(url, neighbors)) for url, neighbors in rows)
    shown = starmap(hide, parts) if redacted else parts
    marked = [put_marks(url, places, mark) for url, places in shown]
    return table.append_column("marked_url", pa.array(marked, pa.string()))


def put_marks(url: str, parts: Marks, mark: Mark) -> str:
    """Return a URL with marks around some parts of it.

    >>> put_marks("a.example/new", [(10, 13)], ("[", "]"))
    'a.example/[new]'
    """
    pieces, end = [], 0
    for start, stop in parts:
        pieces += [url[end:start], mark[0], url[start:stop], mark[1]]
        end = stop
    return "".join([*pieces, url[end:]])
