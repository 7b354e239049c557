"""Groups of a run: the rows that its pairs connect, directly or through others."""

from __future__ import annotations

from os import PathLike, fspath
from typing import TYPE_CHECKING, NamedTuple, Unpack

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from novelty_dask.results.export import write_stream
from novelty_dask.results.results import Results
from novelty_dask.similar.forests import Reducer
from novelty_dask.similar.pairs import Work, search_tiles
from novelty_dask.similar.tables import TABLE_ROWS, urls_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from novelty_dask.engines.threshold import Pairs
    from novelty_dask.similar.find import Tiles
    from novelty_dask.storage.runs import StoredRun


class Groups(NamedTuple):
    """The groups of two rows or more, the largest first, ties by their first rows.

    Parameters
    ----------
    numbers : ndarray of shape (rows,), int64
        Group of each row of the run, from 0; -1 where it is in none.
    sizes : ndarray of shape (groups,), int64
        Rows of each.
    pairs : ndarray of shape (groups,), int64
        Pairs of its rows that are at least so similar as the threshold.
    least : ndarray of shape (groups,), float32
        The highest threshold at which it would hold together.
    rows : ndarray of shape (groups,), int64
        Its representative: the row in most of these pairs, the first of several.
    """

    numbers: NDArray[np.int64]
    sizes: NDArray[np.int64]
    pairs: NDArray[np.int64]
    least: NDArray[np.float32]
    rows: NDArray[np.int64]


def groups(
    run: str | PathLike[str],
    out: str | PathLike[str] | None = None,
    *,
    at_least: float,
    members: bool = False,
    overwrite: bool = False,
    redact: bool = False,
    **work: Unpack[Work],
) -> pd.DataFrame | None:
    """Find the groups of a complete run: rows that pairs at least so similar connect, exactly.

    Parameters
    ----------
    run : Run, str or path
        A complete run, which stays as it is.
    out : str or path, optional
        File for the groups, as for `pairs`.  Without it they are returned.
    at_least : float
        Least similarity of a pair, above 0 and at most 1.
    members : bool
        True to give the rows of all groups in place of the groups.
    overwrite, redact
        As for `pairs`.
    **work
        As for `pairs`.

    Returns
    -------
    pandas.DataFrame or None
        Columns group, from 0, the largest first; size; pairs; least_similarity, the highest threshold at
        which the group would hold together; row and url of its representative, which is in most of its
        pairs.  With `members`: group, row and url, in the order of groups and rows.

    Raises
    ------
    SettingsError, StoreError, BudgetError
        As for `pairs`.

    Notes
    -----
    Memory is that of a forest of the rows, whatever the number of pairs.

    Examples
    --------
    >>> import novelty_dask
    >>> urls = ["http://a.example/shop/cart?item=1", "http://a.example/shop/cart?item=2", "http://b.example/"]
    >>> novelty_dask.groups(novelty_dask.score(urls=urls), at_least=0.3)[["group", "size", "pairs", "row"]]
       group  size  pairs  row
    0      0     2      1    0
    """
    with search_tiles(run, out, at_least, work, is_reduced=True, overwrite=overwrite) as tiles:
        found = join_groups(tiles)
        tables = (member_tables if members else group_tables)(tiles.run, found)
        if out is not None:
            write_stream(tiles.run, tables, fspath(out), overwrite=overwrite, redact=redact)
            return None
        frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
        return frame


def groups_and_members(
    run: str | PathLike[str], *, at_least: float, **work: Unpack[Work]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find the groups of a complete run, and their rows, by one search.

    Parameters
    ----------
    run : Run, str or path
        A complete run, which stays as it is.
    at_least : float
        Least similarity of a pair, above 0 and at most 1.
    **work
        As for `pairs`.

    Returns
    -------
    groups, members : pandas.DataFrame
        What `groups` returns without `members`, and with it.

    Raises
    ------
    SettingsError, StoreError, BudgetError
        As for `pairs`.
    """
    with search_tiles(run, None, at_least, work, is_reduced=True, overwrite=False) as tiles:
        found = join_groups(tiles)
        frames = (
            pa.concat_tables(make(tiles.run, found)).to_pandas() for make in (group_tables, member_tables)
        )
        of_groups, of_members = frames
        return of_groups, of_members


def find_groups(run: str | PathLike[str], at_least: float, **work: Unpack[Work]) -> Groups:
    """Return the groups of a complete run as arrays; errors are those of `groups`."""
    with search_tiles(run, None, at_least, work, is_reduced=True, overwrite=False) as tiles:
        return join_groups(tiles)


def join_groups(tiles: Tiles) -> Groups:
    """Return the groups of a run from the forests of its tiles."""
    reducer = Reducer(tiles.plan.n_rows)
    for part in tiles.parts:
        reducer.join(tiles.read(part.key))
    degrees = np.zeros(tiles.plan.n_rows, np.int64)
    for some in tiles.degrees():
        degrees[some.rows] += some.others
    return make_groups(reducer.forest(), degrees)


def make_groups(forest: Pairs, degrees: NDArray[np.int64]) -> Groups:
    """Return the groups of rows that a forest connects.

    Parameters
    ----------
    forest : Pairs
        A maximum spanning forest of all pairs.
    degrees : ndarray of shape (rows,), int64
        Pairs of each row.
    """
    n_rows = degrees.size
    edges = sp.coo_matrix(
        (np.ones(forest.rows.size, np.int8), (forest.rows, forest.others)), (n_rows, n_rows)
    )
    n_labels, labels = connected_components(edges, directed=False)
    sizes = np.bincount(labels, minlength=n_labels)
    first = np.full(n_labels, n_rows)
    np.minimum.at(first, labels, np.arange(n_rows))
    order = np.lexsort((first, -sizes))[: int((sizes > 1).sum())]
    number = np.full(n_labels, -1, np.int64)
    number[order] = np.arange(order.size)
    numbers = number[labels]
    least = np.full(order.size, np.inf, np.float32)
    np.minimum.at(least, numbers[forest.rows], forest.similarities)
    inside = np.flatnonzero(numbers >= 0)
    # Each pair counts in the degrees of both its rows.
    pairs = np.bincount(numbers[inside], degrees[inside], order.size).astype(np.int64) // 2
    # Of each group the row that comes first by degree, then by number.
    ranked = inside[np.lexsort((inside, -degrees[inside], numbers[inside]))]
    _, at = np.unique(numbers[ranked], return_index=True)
    return Groups(numbers, sizes[order].astype(np.int64), pairs, least, ranked[at])


def group_tables(run: StoredRun, groups: Groups) -> Iterator[pa.Table]:
    """Yield tables of groups, at least one."""
    results = Results(run)
    for start in range(0, max(groups.sizes.size, 1), TABLE_ROWS):
        some = slice(start, start + TABLE_ROWS)
        yield pa.table(
            {
                "group": np.arange(start, start + groups.sizes[some].size),
                "size": groups.sizes[some],
                "pairs": groups.pairs[some],
                "least_similarity": groups.least[some],
                "row": groups.rows[some],
                "url": urls_of(results, groups.rows[some]),
            }
        )


def member_tables(run: StoredRun, groups: Groups) -> Iterator[pa.Table]:
    """Yield tables of the rows of all groups, at least one."""
    results = Results(run)
    inside = np.flatnonzero(groups.numbers >= 0)
    rows = inside[np.argsort(groups.numbers[inside], kind="stable")]
    for start in range(0, max(rows.size, 1), TABLE_ROWS):
        some = rows[start : start + TABLE_ROWS]
        yield pa.table({"group": groups.numbers[some], "row": some, "url": urls_of(results, some)})
