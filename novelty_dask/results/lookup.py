"""A URL and a run: whether it is one of the rows, and how it compares with them if it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from novelty_dask.errors import InputError
from novelty_dask.kernels.density import outlier_factors, reachability_densities
from novelty_dask.kernels.scores import novelty_scores
from novelty_dask.kernels.search.bounds import SMALLEST
from novelty_dask.kernels.text.lines import Reason, decode_line
from novelty_dask.kernels.text.urls import normalize
from novelty_dask.results.places import find_place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.kernels.choices import NormalForm
    from novelty_dask.results.results import Results


COLUMNS = ("idf", "document_frequency")
"""Arrays of the weights of columns, and of the number of rows that have each."""


class WeighedUrl(NamedTuple):
    """The features of a URL in the order in which products are added up.

    Parameters
    ----------
    columns : ndarray of shape (n,), int64
        By rank, and behind these the columns that the run lacks.
    ranks : ndarray of shape (n,), int32
        -1 for a column that the run lacks.
    weights : ndarray of shape (n,), float32
    """

    columns: NDArray[np.int64]
    ranks: NDArray[np.int32]
    weights: NDArray[np.float32]


class Standing(NamedTuple):
    """What a run says of a URL: its neighbors and the columns that follow from them.

    Parameters
    ----------
    urls : list of str
    similarities : list of float
    views : dict of str to float
        NaN where undefined.
    density : float
    """

    urls: list[str]
    similarities: list[float]
    views: dict[str, float]
    density: float


def check_url(url: str, form: NormalForm) -> str:
    """Return the text of a URL as a run would take it.

    Raises
    ------
    InputError
        A run would reject it.
    """
    raw = url.encode("utf-8", "surrogatepass")
    text = Reason.MALFORMED if b"\n" in raw.strip() else decode_line(raw)
    if not isinstance(text, Reason):
        if normalize(text, form) is not None:
            return text
        text = Reason.NOT_A_URL
    message = f"Can't explain {url!r}: a run would reject it ({text}); pass one URL."
    raise InputError(message)


def find_row(results: Results, url: str, form: NormalForm) -> int | None:
    """Return the number of the row that holds a URL, by its normal form; None if no row does."""

    def url_of(row: int) -> str:
        return str(results.urls(np.array([row]))[0])

    row, is_there = find_place(url, results.n_rows, url_of, form)
    return row if is_there else None


def normal_form(url: str, form: NormalForm) -> str:
    """Return the normal form of a URL that has one."""
    return normalize(url, form) or ""


def read_standing(results: Results, row: int) -> Standing:
    """Return what a run stores of a row."""
    block, within = divmod(row, results.block_rows)
    table = results.table(block, np.array([within]), lists=True)
    views = {name: table[name][0].as_py() for name in results.views}
    return Standing(
        table["neighbor_urls"][0].as_py(),
        table["neighbor_similarities"][0].as_py(),
        {name: np.nan if view is None else view for name, view in views.items()},
        float(results.read("density", block)[within]),
    )


def read_columns(results: Results, row: int | None) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return weights of columns, and their document frequencies, by all rows before the period of a row.

    They are those of all rows for a URL that is none.
    """
    if row is None:
        group: tuple[str, tuple[int, ...]] = ("columns/", ())
    else:
        starts = results.arrays.read("periods/start")
        block, within = divmod(row, results.block_rows)
        seen = results.read("rows/first_seen", block)[within]
        group = ("periods/", (int(np.searchsorted(starts, seen, side="right")) - 1,))
    idf, frequency = (results.arrays.read(f"{group[0]}{name}", *group[1]) for name in COLUMNS)
    return idf, frequency


def compare(results: Results, weighed: WeighedUrl, n_columns: int, k: int) -> Standing:
    """Return what a run that is a reference would say of a URL that it does not hold.

    Parameters
    ----------
    results : Results
        The run.
    weighed : WeighedUrl
    n_columns : int
        Columns of the run.
    k : int
        Neighbors to find.
    """
    ids, similarities = _find_neighbors(results, weighed, n_columns, k)
    possible = min(k, results.n_rows)
    has_features = np.array([weighed.columns.size > 0])
    novelty = novelty_scores(similarities, results.n_rows, has_features)
    densities, factors = np.full(1, np.nan), np.full(1, np.nan)
    # No more neighbors than there are rows, in one layout, for which the kernels are compiled.
    ids = np.ascontiguousarray(ids[:, :possible])
    similarities = np.ascontiguousarray(similarities[:, :possible])
    near = 1 - np.asarray(similarities, np.float64)
    reachability_densities(ids, near, _gather(results, "novelty_kth", ids), densities)
    outlier_factors(ids, _gather(results, "density", ids), densities, factors)
    is_there = ids[0] >= 0
    views = {
        "novelty": novelty.mean[0],
        "novelty_nearest": novelty.nearest[0],
        "novelty_kth": novelty.kth[0],
        # It needs the features of the neighbors, which whoever explains has.
        "uncovered": np.nan,
        "lof": factors[0] if has_features[0] else np.nan,
    }
    return Standing(
        results.urls(ids[0][is_there]).tolist(),
        similarities[0][is_there].tolist(),
        {name: float(view) for name, view in views.items()},
        float(densities[0]),
    )


def _find_neighbors(
    results: Results, weighed: WeighedUrl, n_columns: int, k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the nearest rows of a run, ties by lower id, shape (1, k); -1 where there are fewer."""
    x = np.zeros(n_columns)
    met = weighed.ranks >= 0
    x[weighed.ranks[met]] = weighed.weights[met]
    ids, best = np.empty(0, np.int64), np.empty(0, np.float32)
    for block in range(results.n_blocks):
        start = block * results.block_rows
        n_rows = min(results.block_rows, results.n_rows - start)
        # Each sum runs in double precision and in the order of columns, and is rounded once: these are the
        # bits that the search of a run would find.
        sums = results.arrays.read_csr("weights", block, (n_rows, n_columns)) @ x
        similarities = np.minimum(sums, 1).astype(np.float32)
        found = np.flatnonzero(similarities >= SMALLEST)
        ids, best = np.append(ids, start + found), np.append(best, similarities[found])
        order = np.lexsort((ids, -best))[:k]
        ids, best = ids[order], best[order]
    n_missing = k - len(ids)
    padded = np.append(ids, np.full(n_missing, -1)), np.append(best, np.zeros(n_missing, np.float32))
    return padded[0][None], padded[1][None]


def _gather(results: Results, name: str, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a number of each neighbor; NaN for those that are missing."""
    values = np.full(ids.shape, np.nan)
    for place in np.argwhere(ids >= 0).tolist():
        block, within = divmod(int(ids[tuple(place)]), results.block_rows)
        values[tuple(place)] = results.read(name, block)[within]
    return values
