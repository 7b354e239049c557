"""Other libraries that find neighbors among vectors, as engines of the package, and what each sweeps.

Each takes float32 rows of unit length and finds the k nearest by cosine, the row itself perhaps among them.
Approximate ones have one parameter that trades time for recall, and all others as the engines have them.  All
use one thread.
"""

from dataclasses import replace
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from novelty_dask.vectors.libraries.choose import LIBRARIES, choose_engine

Rows = NDArray[np.float32]
Ids = NDArray[np.int64]
BATCH = 1_000


class Peer(NamedTuple):
    """A method of a library.

    Parameters
    ----------
    engine : str
        Its name; that of NumPy's recipe is of this module.
    parameter : str
        Name of the option that is swept; empty if the method is exact.
    values : tuple
        Values of the parameter.
    most_rows : int
        Rows beyond which it takes too long to be worth measuring.
    """

    engine: str
    parameter: str = ""
    values: tuple[Any, ...] = (None,)
    most_rows: int = 10**9

    @property
    def is_installed(self) -> bool:
        """True if its library can be imported."""
        return self.engine == "numpy" or bool(find_spec(LIBRARIES[self.engine].module.partition(".")[0]))

    def build(self, X: Rows, k: int) -> Any:
        """Return an index of rows."""
        return self._engine(self.values[0]).prepare(X, "cosine", k)

    def search(self, index: Any, X: Rows, k: int, value: Any) -> Ids:
        """Return ids of the nearest of all rows, by one value of the parameter."""
        found: Ids = self._engine(value).search(index, X, slice(0, len(X)), k)
        return found

    def _engine(self, value: Any) -> Any:
        """Return the engine with a value of the parameter."""
        engine: Any = Recipe() if self.engine == "numpy" else choose_engine(self.engine)
        return replace(engine, **{self.parameter: value}) if self.parameter else engine


class Recipe:
    """Products of some rows with all, partitioned: the recipe that many write with NumPy."""

    metrics, takes_sparse = ("cosine", "inner_product"), False

    def index_bytes(self, n_rows: int, n_values: int) -> int:
        """Return the bytes of the products that are held at once."""
        return 24 * BATCH * n_rows

    def prepare(self, X: Rows, metric: Any, n_candidates: int) -> Any:
        """Return nothing, as nothing is built."""

    def search(self, index: Any, X: Rows, part: slice, n_candidates: int) -> Ids:
        """Return the rows with the largest products."""
        parts, k = [], n_candidates
        for start in range(part.start, part.stop, BATCH):
            products = X[start : min(start + BATCH, part.stop)] @ X.T
            near = np.argpartition(products, -k, axis=1)[:, -k:]
            order = np.argsort(-np.take_along_axis(products, near, axis=1), axis=1, kind="stable")
            parts.append(np.take_along_axis(near, order, axis=1))
        return np.concatenate(parts)


PEERS = {
    "faiss flat": Peer("faiss-flat"),
    "scikit-learn brute": Peer("sklearn-brute", most_rows=20_000),
    "scikit-learn KDTree": Peer("sklearn-kd-tree", most_rows=20_000),
    "scikit-learn BallTree": Peer("sklearn-ball-tree", most_rows=20_000),
    "NumPy": Peer("numpy", most_rows=100_000),
    "torch": Peer("torch", most_rows=100_000),
    "faiss IVF": Peer("faiss-ivf", "nprobe", (1, 4, 16, 64)),
    "faiss HNSW": Peer("faiss-hnsw", "ef_search", (16, 64, 256)),
    "Annoy": Peer("annoy", "search_k", (500, 2_000, 8_000)),
    "hnswlib": Peer("hnswlib", "ef", (16, 64, 256)),
    "usearch": Peer("usearch", "expansion_search", (16, 64, 256)),
    "voyager": Peer("voyager", "query_ef", (16, 64, 256)),
    "PyNNDescent": Peer("pynndescent"),
    "ScaNN": Peer("scann", "leaves_to_search", (4, 16, 64)),
}
"""Methods by their names, exact ones first."""
