"""Neighbors that are known already, for programs that would look for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from novelty_dask.errors import SettingsError
from novelty_dask.kernels.missing import fill_missing

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray


class FixedNeighbors:
    """Transformer of any data to neighbors that are known already, with the methods that scanpy calls.

    Parameters
    ----------
    indices, distances : ndarray of shape (n_rows, n_neighbors + 1)
        Neighbors of each row, itself first, and their distances.
    """

    def __init__(self, indices: NDArray[np.int64], distances: NDArray[np.float32]) -> None:
        self.indices = indices
        self.distances = distances

    def fit(self, X: Any, y: object = None) -> Self:
        """Refuse data of other rows.

        Raises
        ------
        SettingsError
            There are more or fewer.
        """
        if X.shape[0] != len(self.indices):
            message = (
                f"There are neighbors of {len(self.indices):,} rows, and X has {X.shape[0]:,}; pass the same."
            )
            raise SettingsError(message)
        return self

    def transform(self, X: Any) -> sp.csr_matrix:
        """Return the distances of the neighbors.

        Returns
        -------
        csr_matrix of float64, shape (n_rows, n_rows)
        """
        import scipy.sparse as sp  # noqa: PLC0415 - takes long to import

        n_rows, k = self.fit(X).indices.shape
        distances = self.distances.astype(np.float64).ravel()
        starts = np.arange(0, n_rows * k + 1, k)
        return sp.csr_matrix((distances, self.indices.ravel(), starts), (n_rows, n_rows))

    def fit_transform(self, X: Any, y: object = None) -> sp.csr_matrix:
        """Return the distances of the neighbors."""
        return self.transform(X)

    def get_params(self, *, deep: bool = True) -> dict[str, Any]:
        """Return the parameters that scanpy notes."""
        return {"n_neighbors": self.indices.shape[1] - 1, "metric": "cosine"}


def with_self(
    rows: NDArray[np.int64], ids: NDArray[np.int64], distances: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return neighbors and distances of some rows, each row first, and none missing."""
    ids = ids.copy()
    # Programs that want the same number for all rows take no -1.
    fill_missing(ids, rows)
    itself = np.zeros((len(rows), 1), np.float32)
    return np.hstack([rows[:, None], ids]), np.hstack([itself, distances.astype(np.float32)])
