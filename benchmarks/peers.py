"""Other libraries that find neighbors among vectors: how each is built and searched, and what it sweeps.

Each takes float32 rows of unit length and finds the k nearest by cosine, the row itself perhaps among them.
Approximate ones have one parameter that trades time for recall, and all others as their documentation has
them or, where that names none, as stated here.  All use one thread.
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Ids = NDArray[np.int64]
TREES, LEAVES_PER_ROOT, BATCH = 50, 4, 1_000


class Peer(NamedTuple):
    """A method of a library.

    Parameters
    ----------
    module : str
        What it imports.
    build : callable
        Takes rows, and returns an index.
    search : callable
        Takes the index, rows, k and the parameter, and returns ids of the nearest.
    parameter : str
        Name of what is swept; empty if the method is exact.
    values : tuple
        Values of the parameter.
    most_rows : int
        Rows beyond which it takes too long to be worth measuring.
    """

    module: str
    build: Callable[[Rows], Any]
    search: Callable[[Any, Rows, int, Any], Ids]
    parameter: str = ""
    values: tuple[Any, ...] = (None,)
    most_rows: int = 10**9


def load(name: str) -> Any:
    """Return a module, which need not be installed."""
    return importlib.import_module(name)


def build_faiss(kind: str) -> Callable[[Rows], Any]:
    """Return a function that builds an index of faiss."""

    def build(X: Rows) -> Any:
        faiss = load("faiss")
        faiss.omp_set_num_threads(1)
        index = faiss.index_factory(X.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
        index.train(X)
        index.add(X)
        return index

    return build


def build_ivf(X: Rows) -> Any:
    """Build an inverted file of faiss, of as many cells as its guide advises for this many rows."""
    return build_faiss(f"IVF{int(LEAVES_PER_ROOT * np.sqrt(len(X)))},Flat")(X)


def search_faiss(index: Any, X: Rows, k: int, value: Any) -> Ids:
    """Search an index of faiss, with the cells or candidates that are visited."""
    if value is not None:
        name = "nprobe" if hasattr(index, "nprobe") else "efSearch"
        load("faiss").ParameterSpace().set_index_parameter(index, name, value)
    found: Ids = index.search(X, k)[1]
    return found


def build_sklearn(algorithm: str) -> Callable[[Rows], Any]:
    """Return a function that fits neighbors of scikit-learn; trees take distances, in the same order."""

    def build(X: Rows) -> Any:
        metric = "cosine" if algorithm == "brute" else "euclidean"
        return load("sklearn.neighbors").NearestNeighbors(algorithm=algorithm, metric=metric, n_jobs=1).fit(X)

    return build


def search_sklearn(index: Any, X: Rows, k: int, _: Any) -> Ids:
    """Search neighbors of scikit-learn."""
    found: Ids = index.kneighbors(X, k, return_distance=False)
    return found


def search_numpy(X: Rows, _: Rows, k: int, __: Any) -> Ids:
    """Multiply some rows at a time with all, and partition the products: the recipe that many write."""
    parts = []
    for start in range(0, len(X), BATCH):
        products = X[start : start + BATCH] @ X.T
        near = np.argpartition(products, -k, axis=1)[:, -k:]
        order = np.argsort(-np.take_along_axis(products, near, axis=1), axis=1, kind="stable")
        parts.append(np.take_along_axis(near, order, axis=1))
    return np.concatenate(parts)


def build_torch(X: Rows) -> Any:
    """Hand rows to torch."""
    torch = load("torch")
    torch.set_num_threads(1)
    return torch.from_numpy(X)


def search_torch(tensor: Any, _: Rows, k: int, __: Any) -> Ids:
    """Multiply some rows at a time with all, and take the largest products."""
    torch = load("torch")
    parts = [
        torch.topk(tensor[start : start + BATCH] @ tensor.T, k).indices.numpy()
        for start in range(0, len(tensor), BATCH)
    ]
    return np.concatenate(parts)


def build_annoy(X: Rows) -> Any:
    """Build trees of Annoy."""
    index = load("annoy").AnnoyIndex(X.shape[1], "angular")
    index.set_seed(1)
    for row, values in enumerate(X):
        index.add_item(row, values)
    index.build(TREES, n_jobs=1)
    return index


def search_annoy(index: Any, X: Rows, k: int, nodes: int) -> Ids:
    """Search trees of Annoy by the numbers of items."""
    found = np.full((len(X), k), -1)
    for row in range(len(X)):
        ids = index.get_nns_by_item(row, k, search_k=nodes)
        found[row, : len(ids)] = ids
    return found


def build_hnswlib(X: Rows) -> Any:
    """Build a graph of hnswlib."""
    index = load("hnswlib").Index(space="cosine", dim=X.shape[1])
    index.init_index(max_elements=len(X), ef_construction=200, M=16, random_seed=1)
    index.set_num_threads(1)
    index.add_items(X, np.arange(len(X)), num_threads=1)
    return index


def search_hnswlib(index: Any, X: Rows, k: int, candidates: int) -> Ids:
    """Search a graph of hnswlib."""
    index.set_ef(candidates)
    return np.asarray(index.knn_query(X, k, num_threads=1)[0]).astype(np.int64)


def build_usearch(X: Rows) -> Any:
    """Build a graph of usearch."""
    index = load("usearch.index").Index(ndim=X.shape[1], metric="cos", dtype="f32")
    index.add(np.arange(len(X)), X, threads=1)
    return index


def search_usearch(index: Any, X: Rows, k: int, candidates: int) -> Ids:
    """Search a graph of usearch."""
    index.expansion_search = candidates
    return np.asarray(index.search(X, k, threads=1).keys).astype(np.int64)


def build_voyager(X: Rows) -> Any:
    """Build a graph of voyager."""
    voyager = load("voyager")
    index = voyager.Index(
        voyager.Space.Cosine, num_dimensions=X.shape[1], M=16, ef_construction=200, random_seed=1
    )
    index.add_items(X, num_threads=1)
    return index


def search_voyager(index: Any, X: Rows, k: int, candidates: int) -> Ids:
    """Search a graph of voyager."""
    return np.asarray(index.query(X, k, num_threads=1, query_ef=candidates)[0]).astype(np.int64)


def build_pynndescent(X: Rows) -> Any:
    """Build a graph of PyNNDescent, and prepare it for being searched."""
    index = load("pynndescent").NNDescent(X, metric="cosine", n_neighbors=30, random_state=1, n_jobs=1)
    index.prepare()
    return index


def search_pynndescent(index: Any, X: Rows, k: int, epsilon: float) -> Ids:
    """Search a graph of PyNNDescent."""
    return np.asarray(index.query(X, k, epsilon=epsilon)[0]).astype(np.int64)


def build_scann(X: Rows) -> Any:
    """Build leaves and hashes of ScaNN, as its example has them."""
    leaves = int(np.sqrt(len(X)))
    builder = load("scann").scann_ops_pybind.builder(X, 10, "dot_product").set_n_training_threads(1)
    tree = builder.tree(num_leaves=leaves, num_leaves_to_search=leaves // 10, training_sample_size=len(X))
    return tree.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(100).build()


def search_scann(index: Any, X: Rows, k: int, leaves: int) -> Ids:
    """Search leaves of ScaNN."""
    ids = index.search_batched(X, final_num_neighbors=k, leaves_to_search=leaves)[0]
    return np.asarray(ids).astype(np.int64)


def keep(X: Rows) -> Rows:
    """Return rows as they are, where nothing is built."""
    return X


PEERS = {
    "faiss flat": Peer("faiss", build_faiss("Flat"), search_faiss),
    "scikit-learn brute": Peer("sklearn", build_sklearn("brute"), search_sklearn, most_rows=20_000),
    "scikit-learn KDTree": Peer("sklearn", build_sklearn("kd_tree"), search_sklearn, most_rows=20_000),
    "scikit-learn BallTree": Peer("sklearn", build_sklearn("ball_tree"), search_sklearn, most_rows=20_000),
    "NumPy": Peer("numpy", keep, search_numpy, most_rows=100_000),
    "torch": Peer("torch", build_torch, search_torch, most_rows=100_000),
    "faiss IVF": Peer("faiss", build_ivf, search_faiss, "nprobe", (1, 4, 16, 64)),
    "faiss HNSW": Peer("faiss", build_faiss("HNSW32"), search_faiss, "efSearch", (16, 64, 256)),
    "Annoy": Peer("annoy", build_annoy, search_annoy, "search_k", (500, 2_000, 8_000)),
    "hnswlib": Peer("hnswlib", build_hnswlib, search_hnswlib, "ef", (16, 64, 256)),
    "usearch": Peer("usearch", build_usearch, search_usearch, "expansion", (16, 64, 256)),
    "voyager": Peer("voyager", build_voyager, search_voyager, "query_ef", (16, 64, 256)),
    "PyNNDescent": Peer("pynndescent", build_pynndescent, search_pynndescent, "epsilon", (0.0, 0.1, 0.3)),
    "ScaNN": Peer("scann", build_scann, search_scann, "leaves", (4, 16, 64)),
}
"""Methods by their names, exact ones first."""
