"""Arrays as NumPy has them: Zarr's types leave open what a selection of an array is."""

from typing import Any

import numpy as np
import scipy.sparse as sp


def listed(values: object) -> list[Any]:
    """Return the elements of a selection of an array."""
    elements: list[Any] = np.asarray(values).tolist()
    return elements


def random_rows(
    n_rows: int, n_columns: int, *, density: float, seed: int | np.random.Generator
) -> sp.csr_matrix:
    """Return a matrix of numbers between 0 and 1 at random columns."""
    X: Any = sp.random(n_rows, n_columns, density, format="csr", dtype=np.float32, random_state=seed)
    return sp.csr_matrix(X)
