"""The protocol of engines that propose candidates, and what all of them share."""

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from novelty_dask.engines.dense import Metric as Metric
from novelty_dask.errors import SettingsError

Rows = Any
"""All rows: an ndarray of float32, or a csr_matrix of float64."""
Ids = NDArray[np.integer[Any]]
"""Numbers of candidates of some rows."""


@runtime_checkable
class CandidateEngine(Protocol):
    """Finder of candidates, among which `neighbors` then decides exactly.

    An object that has these members may be passed to `neighbors` as its engine.  It may miss neighbors,
    return them in any order, and name a row among its own: only the numbers of candidates are taken from it.

    Attributes
    ----------
    metrics : sequence of {"cosine", "euclidean", "inner_product"}
        Metrics by which it finds.
    takes_sparse : bool
        True if it takes sparse rows, and no dense ones.

    Notes
    -----
    Dense rows come as a contiguous array of float32, without NaN: for cosine of unit length, for Euclidean
    distances less their mean, and for these and for products divided by the largest value, which changes no
    order.  Rows of zeros have a column of their own for cosine, in which they have 1, as they are at right
    angles to all others.  Sparse rows come as a csr_matrix of float64, for cosine of unit length.

    Examples
    --------
    >>> import numpy as np
    >>> import novelty_dask
    >>> class Following:
    ...     metrics, takes_sparse = ["euclidean"], False
    ...     def index_bytes(self, n_rows, n_values):
    ...         return 0
    ...     def prepare(self, X, metric, n_candidates):
    ...         return len(X)
    ...     def search(self, index, X, part, n_candidates):
    ...         return (np.arange(index)[part, None] + np.arange(n_candidates)) % index
    >>> X = np.arange(40.0).reshape(-1, 1)
    >>> found = novelty_dask.neighbors(X, n_neighbors=1, metric="euclidean", engine=Following())
    >>> found.ids[:3, 0], found.recall.share
    (array([1, 2, 3]), 0.975)
    """

    @property
    def metrics(self) -> Sequence[Metric]: ...  # noqa: D102 - as above

    @property
    def takes_sparse(self) -> bool: ...  # noqa: D102 - as above

    def index_bytes(self, n_rows: int, n_values: int) -> int:
        """Return about how many bytes an index takes beside the rows.

        Parameters
        ----------
        n_rows : int
            Number of rows.
        n_values : int
            Values of all rows; of sparse ones those that are stored.
        """
        ...

    def prepare(self, X: Any, metric: Metric, n_candidates: int) -> Any:
        """Return an index of all rows.

        Parameters
        ----------
        X : ndarray or csr_matrix of shape (rows, columns)
        metric : {"cosine", "euclidean", "inner_product"}
        n_candidates : int
            Candidates that `search` will be asked for, fewer than there are rows.
        """
        ...

    def search(self, index: Any, X: Any, part: slice, n_candidates: int) -> Ids:
        """Return candidates of some rows.

        Parameters
        ----------
        index : object
            What `prepare` returned.
        X : ndarray or csr_matrix of shape (rows, columns)
            All rows, as `prepare` was given them.
        part : slice
            Rows whose candidates are wanted, consecutive ones.
        n_candidates : int
            Candidates of each, the row itself perhaps among them.

        Returns
        -------
        ndarray of int, shape (rows of the part, n_candidates or fewer)
            Numbers of rows; those below 0 are none.
        """
        ...


class LibraryEngine:
    """Base of the engines of libraries, whose fields are their options.

    Attributes
    ----------
    module : str
        Module that has to be installed; the extra has the name of its package.
    """

    module: ClassVar[str]
    metrics: ClassVar[Sequence[Metric]] = ("cosine", "euclidean", "inner_product")
    takes_sparse: ClassVar[bool] = False


def load(module: str) -> Any:
    """Return a module of another library.

    Raises
    ------
    SettingsError
        It is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        message = (
            f"{package} can't be imported; pip install 'novelty-dask[{package}]', or use engine='exact'."
        )
        raise SettingsError(message) from None


def thread_count() -> int:
    """Return how many threads a library may use: one, or as `OMP_NUM_THREADS` says."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return max(1, int(said)) if said.isdigit() else 1
