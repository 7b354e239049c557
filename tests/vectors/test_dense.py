"""Neighbors of vectors: those of a plain loop, wherever the rows are, by each metric, and of columns."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import zarr
from dask.delayed import delayed
from numpy.typing import NDArray

import novelty_dask
from novelty_dask.engines.dense import Metric
from novelty_dask.errors import BudgetError, InputError, SettingsError

METRICS: tuple[Metric, ...] = ("cosine", "euclidean", "inner_product")


def closeness(x: NDArray[np.float64], y: NDArray[np.float64], metric: Metric) -> float:
    """Return how close two vectors are, by the definition."""
    if metric == "euclidean":
        return -float(np.sqrt(((x - y) ** 2).sum()))
    product = float(x @ y)
    return product / float(np.linalg.norm(x) * np.linalg.norm(y)) if metric == "cosine" else product


def brute_force(X: NDArray[np.float64], metric: Metric, k: int) -> list[list[float]]:
    """Return the closeness of the k closest other rows of each row."""
    found = []
    for i, x in enumerate(X):
        values = [closeness(x, y, metric) for j, y in enumerate(X) if j != i]
        found.append(sorted(values, reverse=True)[:k])
    return found


def make_vectors(n_rows: int = 240, n_columns: int = 12) -> NDArray[np.float64]:
    """Return rows in clusters, some of which are equal, as float32 has them too."""
    chance = np.random.default_rng(7)
    centers = chance.normal(size=(12, n_columns))
    X = centers[chance.integers(0, 12, n_rows)] + 0.3 * chance.normal(size=(n_rows, n_columns))
    X[200:] = X[chance.integers(0, 200, n_rows - 200)]
    return X.astype(np.float32).astype(np.float64)


def write_npy(folder: Path, X: Any) -> str:
    np.save(folder / "x.npy", X)
    return str(folder / "x.npy")


def write_npz(folder: Path, X: Any) -> Path:
    np.savez(folder / "x.npz", vectors=X)
    return folder / "x.npz"


def write_zarr(folder: Path, X: Any) -> Path:
    zarr.create_array(folder / "x.zarr", data=X, chunks=(50, 5))
    return folder / "x.zarr"


def as_lists(X: Any, kind: Any) -> Any:
    """Return a table with a column of lists among others."""
    return pa.table({"name": [str(row) for row in range(len(X))], "vector": pa.array(list(X), kind)})


def write_parquet(folder: Path, X: Any, kind: Any, group: int = 70) -> Path:
    pq.write_table(as_lists(X, kind), folder / "x.parquet", row_group_size=group)
    return folder / "x.parquet"


def write_arrow(folder: Path, X: Any) -> Path:
    table = as_lists(X, pa.list_(pa.float64(), X.shape[1]))
    with pa.ipc.new_file(folder / "x.arrow", table.schema) as file:
        file.write_table(table, max_chunksize=90)
    return folder / "x.arrow"


def unknown_rows(X: Any) -> Any:
    """Return a Dask array that does not know how many rows its blocks have."""
    parts = [X[start : start + 70] for start in range(0, len(X), 70)]
    arrays = [da.from_delayed(delayed(part), (np.nan, X.shape[1]), meta=part[:0]) for part in parts]
    return da.concatenate(arrays, allow_unknown_chunksizes=True)


SOURCES: dict[str, Callable[[Path, Any], Any]] = {
    "array": lambda _, X: X,
    "by columns": lambda _, X: np.asfortranarray(X),
    "float32": lambda _, X: X.astype(np.float32),
    "npy": write_npy,
    "npz": write_npz,
    "zarr": write_zarr,
    "zarr array": lambda folder, X: zarr.open_array(write_zarr(folder, X), mode="r"),
    "dask": lambda _, X: da.from_array(X, chunks=(70, 5)),
    "parquet": lambda folder, X: write_parquet(folder, X, pa.list_(pa.float32())),
    "parquet of fixed lists": lambda folder, X: write_parquet(folder, X, pa.list_(pa.float64(), X.shape[1])),
    "arrow": write_arrow,
}
OF_ROWS: dict[str, Callable[[Path, Any], Any]] = {
    **SOURCES,
    "dask of unknown rows": lambda _, X: unknown_rows(X),
}


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float64]:
    return make_vectors()


@pytest.mark.parametrize("metric", METRICS)
def test_neighbors_are_those_of_a_plain_loop(vectors: NDArray[np.float64], metric: Metric) -> None:
    found = novelty_dask.neighbors(vectors, n_neighbors=6, metric=metric)
    values = -found.distances if metric == "euclidean" else found.similarities
    np.testing.assert_allclose(values, brute_force(vectors, metric, 6), rtol=1e-12, atol=1e-12)
    for row, (ids, close) in enumerate(zip(found.ids.tolist(), values.tolist(), strict=True)):
        assert row not in ids
        assert len({*ids}) == 6
        for other, value in zip(ids, close, strict=True):
            assert closeness(vectors[row], vectors[other], metric) == pytest.approx(
                value, rel=1e-12, abs=1e-12
            )
        # Of equally close rows the lower number is first.
        assert [*zip(np.negative(close), ids, strict=True)] == sorted(
            zip(np.negative(close), ids, strict=True)
        )


@pytest.mark.parametrize("kind", OF_ROWS)
@pytest.mark.parametrize("metric", METRICS)
def test_neighbors_do_not_depend_on_where_the_rows_are(
    kind: str, metric: Metric, vectors: NDArray[np.float64], tmp_path: Path
) -> None:
    expected = novelty_dask.neighbors(vectors, n_neighbors=6, metric=metric)
    found = novelty_dask.neighbors(
        OF_ROWS[kind](tmp_path, vectors), n_neighbors=6, metric=metric, block_rows=97
    )
    assert [array.tobytes() for array in found] == [array.tobytes() for array in expected]


@pytest.mark.parametrize("kind", SOURCES)
def test_neighbors_of_columns_are_those_of_the_rows_of_the_transpose(
    kind: str, vectors: NDArray[np.float64], tmp_path: Path
) -> None:
    expected = novelty_dask.neighbors(vectors, n_neighbors=6, block_rows=50)
    wide = np.ascontiguousarray(vectors.T)
    found = novelty_dask.neighbors(SOURCES[kind](tmp_path, wide), n_neighbors=6, axis=1, block_rows=50)
    assert [array.tobytes() for array in found] == [array.tobytes() for array in expected]


@pytest.mark.parametrize(
    "form", ["csr", "csc", "coo", "npz", "group", "dask of csr", "dask of csr, cut by columns"]
)
def test_items_of_a_sparse_matrix_have_the_neighbors_of_the_transpose(form: str, tmp_path: Path) -> None:
    users: Any = sp.random(300, 90, density=0.1, random_state=3, format="csr")
    expected = novelty_dask.neighbors(sp.csr_matrix(users.T), n_neighbors=5)
    X: Any = users
    if form == "npz":
        X = tmp_path / "x.npz"
        sp.save_npz(X, users)
    elif form == "group":
        X = zarr.open_group(tmp_path / "x.zarr", mode="w")
        X.attrs.update({"encoding-type": "csr_matrix", "shape": list(users.shape)})
        for name in ("indptr", "indices", "data"):
            X.create_array(name, data=getattr(users, name))
    elif form.startswith("dask"):
        width = 40 if "cut" in form else 90
        X = da.block([[_block(users, a, b, width) for b in range(0, 90, width)] for a in range(0, 300, 100)])
    else:
        X = users.asformat(form)
    found = novelty_dask.neighbors(X, n_neighbors=5, axis=1, block_rows=40)
    assert [array.tobytes() for array in found] == [array.tobytes() for array in expected]


def _block(matrix: Any, row: int, column: int, width: int) -> Any:
    """Return a block of a sparse matrix as a Dask array."""
    part = matrix[row : row + 100, column : column + width]
    return da.from_delayed(delayed(part), part.shape, meta=part[:0, :0])


@pytest.mark.parametrize("metric", ["euclidean", "inner_product"])
def test_sparse_rows_have_the_neighbors_of_dense_ones(metric: Metric) -> None:
    chance = np.random.default_rng(2)
    X: Any = sp.random(200, 30, density=0.3, random_state=chance, format="csr")
    X.data -= 0.5
    found = novelty_dask.neighbors(X, n_neighbors=4, metric=metric, block_rows=70)
    dense = novelty_dask.neighbors(X.toarray(), n_neighbors=4, metric=metric)
    assert found.ids.tolist() == dense.ids.tolist()
    for values, others in zip([*found][1:], [*dense][1:], strict=True):
        np.testing.assert_allclose(values, others, atol=1e-9)


def test_moving_all_rows_changes_no_neighbor_by_distance(vectors: NDArray[np.float64]) -> None:
    at_home = novelty_dask.neighbors(vectors[:200], n_neighbors=6, metric="euclidean")
    # Numbers whose sums are exact, so that differences stay what they were.
    away = novelty_dask.neighbors(vectors[:200] + 1024, n_neighbors=6, metric="euclidean")
    assert (at_home.ids == away.ids).mean() > 0.999
    np.testing.assert_allclose(at_home.distances, away.distances, rtol=1e-6)


def test_fewer_rows_than_neighbors_leave_places_free() -> None:
    X = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    by_cosine = novelty_dask.neighbors(X, n_neighbors=4)
    assert by_cosine.ids.tolist() == [[1, 2, -1, -1], [0, 2, -1, -1], [1, 0, -1, -1]]
    assert by_cosine.similarities[:, 2:].tolist() == [[0, 0]] * 3
    by_distance = novelty_dask.neighbors(X, n_neighbors=3, metric="euclidean")
    assert by_distance.distances[0].tolist() == [1, np.sqrt(5), np.inf]
    assert by_distance.to_reader().read_all().num_rows == 6
    assert novelty_dask.neighbors(np.empty((0, 3)), n_neighbors=2).ids.shape == (0, 2)
    assert novelty_dask.neighbors(np.ones((1, 3)), n_neighbors=2).ids.tolist() == [[-1, -1]]


def test_rows_of_zeros_are_named() -> None:
    X = np.zeros((8, 3))
    X[3] = 1
    with pytest.warns(UserWarning, match=r"their cosines are 0: 7 rows, 0, 1, 2, 4, 5, \.\.\.\."):
        found = novelty_dask.neighbors(X, n_neighbors=2)
    assert found.ids[3].tolist() == [0, 1]
    assert novelty_dask.neighbors(X, n_neighbors=2, metric="euclidean").ids[0].tolist() == [1, 2]


def test_whole_numbers_and_truth_values_are_numbers() -> None:
    X = np.random.default_rng(1).integers(0, 2, (50, 9))
    X[:, 0] = 1
    expected = novelty_dask.neighbors(X.astype(float), n_neighbors=3)
    for kind in (np.uint8, np.int64, np.bool_, np.float16):
        assert novelty_dask.neighbors(X.astype(kind), n_neighbors=3).ids.tolist() == expected.ids.tolist()


def test_forms_have_distances_where_these_are_what_is_found(vectors: NDArray[np.float64]) -> None:
    found = novelty_dask.neighbors(vectors, n_neighbors=3, metric="euclidean")
    with pytest.raises(SettingsError, match="have no similarities; use distances"):
        _ = found.similarities
    assert found.to_csr().data.tobytes() == found.distances.tobytes()
    itself = found.to_csr(include_self=True)
    assert (itself.diagonal() == 0).all()
    assert itself.nnz == 4 * len(vectors)
    [edges] = found.to_reader()
    assert edges.schema.names == ["row", "neighbor", "rank", "distance"]
    assert edges["distance"].to_numpy().tobytes() == found.distances.tobytes()
    indices, distances = found.to_umap()
    assert indices[:, 1:].tobytes() == found.ids.tobytes()
    assert distances[:, 1:].tobytes() == found.distances.astype(np.float32).tobytes()
    by_cosine = novelty_dask.neighbors(vectors, n_neighbors=3)
    np.testing.assert_array_equal(by_cosine.to_csr("distance").data, by_cosine.distances.ravel())


def test_products_are_no_distances(vectors: NDArray[np.float64]) -> None:
    found = novelty_dask.neighbors(vectors, n_neighbors=3, metric="inner_product")
    assert found.to_csr().data.tobytes() == found.similarities.tobytes()
    for form in (found.to_umap, lambda: found.distances, lambda: found.to_csr("distance")):
        with pytest.raises(SettingsError, match="An inner product is no distance; use similarities"):
            form()
    with pytest.raises(SettingsError, match="leave include_self out"):
        [*found.stream_edges(include_self=True)]


def bad_parquet(folder: Path, lists: Any) -> Path:
    pq.write_table(pa.table({"vector": pa.array(lists, pa.list_(pa.float64()))}), folder / "x.parquet")
    return folder / "x.parquet"


def two_columns(folder: Path) -> Path:
    lists = pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float64()))
    pq.write_table(pa.table({"a": lists, "b": lists}), folder / "x.parquet")
    return folder / "x.parquet"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda _: np.array([[0, 1], [2, np.nan]]), "^Row 1 of X has NaN or an infinite value; fill it in"),
        (lambda _: np.array([[np.inf, 1], [2, 3]]), "^Row 0 of X has NaN"),
        (lambda _: da.from_array(np.diag([1.0, 1.0, 1.0, np.nan]), chunks=(2, 4)), "^Row 3 of X has NaN"),
        (lambda _: np.array([["a"]]), "X holds values of type <U1; pass real numbers"),
        (lambda _: np.array([[None, 1]]), "X holds values of type object; pass real numbers"),
        (lambda _: np.ones((2, 2), complex), "X holds values of type complex128"),
        (lambda _: np.ones(3), "X has 1 dimensions; pass a matrix, one row for each vector"),
        (lambda _: np.ones((2, 3, 4)), "X has 3 dimensions"),
        (lambda folder: write_zarr(folder, np.ones((2, 2), complex)), "X holds values of type complex128"),
        (lambda folder: folder / "none.npy", "Can't read an array from .*none.npy"),
        (lambda folder: write_npy(folder, np.array([[print]])), "Can't read an array from"),
        (lambda folder: folder / "none.parquet", "Can't read .*none.parquet"),
        (lambda folder: bad_parquet(folder, [[1, 2], [1]]), "Row 1 of .*'vector' has 1 values, and the"),
        (lambda folder: bad_parquet(folder, [[1, 2], None]), "Row 1 of .*'vector' has no list"),
        (lambda folder: bad_parquet(folder, [[1, 2], [None, 1]]), "Row 1 of X has NaN"),
    ],
)  # fmt: skip
def test_what_is_no_matrix_of_numbers_is_refused(make: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        novelty_dask.neighbors(make(tmp_path))


def test_blocks_that_are_not_alike_are_refused() -> None:
    parts: list[Any] = [np.ones((2, 3)), np.ones((2, 4)), sp.eye(3, format="csr")]
    for other, kind in ((1, "dense with 4 columns"), (2, "sparse with 3 columns")):
        arrays = [da.from_delayed(delayed(parts[p]), (np.nan, 3), meta=parts[0][:0]) for p in (0, other)]
        blocks = da.concatenate(arrays, allow_unknown_chunksizes=True)
        with pytest.raises(InputError, match=f"Block 1 is {kind}, and those before it are dense with 3"):
            novelty_dask.neighbors(blocks)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"metric": "manhattan"}, "There is no metric 'manhattan'; pass 'cosine', 'euclidean' or"),
        ({"axis": 2}, "axis is 2; pass 0 for neighbors of rows"),
        ({"column": "a"}, "column is 'a', and X has no columns to choose from"),
        ({"n_neighbors": True}, "n_neighbors is True; pass an integer from 1"),
    ],
)
def test_impossible_choices_are_refused(options: Any, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        novelty_dask.neighbors(np.eye(3), **options)


def test_a_column_is_chosen_by_its_name(tmp_path: Path) -> None:
    path = two_columns(tmp_path)
    with pytest.raises(SettingsError, match="several columns of lists: 'a', 'b'; name one with column"):
        novelty_dask.neighbors(path)
    with pytest.raises(InputError, match="has no column 'c' of lists of numbers; it has 'a', 'b'"):
        novelty_dask.neighbors(path, column="c")
    assert novelty_dask.neighbors(path, column="b", n_neighbors=1).ids.ravel().tolist() == [1, 0, 0]
    np.savez(tmp_path / "two.npz", x=np.eye(3), y=np.ones((4, 2)))
    with pytest.raises(SettingsError, match="several arrays: 'x', 'y'; name one with column"):
        novelty_dask.neighbors(tmp_path / "two.npz")
    assert len(novelty_dask.neighbors(tmp_path / "two.npz", column="y")) == 4
    with pytest.raises(InputError, match="has no array 'z'; it has 'x', 'y'"):
        novelty_dask.neighbors(tmp_path / "two.npz", column="z")
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "none.parquet")
    with pytest.raises(InputError, match="has no column of lists of numbers; store each vector as a list"):
        novelty_dask.neighbors(tmp_path / "none.parquet")


def test_a_block_for_which_there_is_no_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # Mapped, so that nothing is there to be read.
    X = np.broadcast_to(np.float64(1), (10**6, 10**6))
    with pytest.raises(BudgetError, match=r"The search is projected to need .* pass smaller block_rows"):
        novelty_dask.neighbors(X, block_rows=10**6)


@pytest.mark.process
def test_columns_are_read_in_bounded_memory(tmp_path: Path) -> None:
    # 640 MB; a block of 40 columns has 64 MB, and is copied where it is put together.
    array = zarr.create_array(
        tmp_path / "x.zarr", shape=(200_000, 400), dtype="f8", chunks=(20_000, 40), compressors=None
    )
    for start in range(0, 200_000, 20_000):
        array[start : start + 20_000] = np.full((20_000, 400), start + 1.0)
    code = (
        "import resource, sys\n"
        "from novelty_dask.vectors.checked import CheckedBlocks\n"
        "from novelty_dask.vectors.sources import open_vectors\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"blocks = CheckedBlocks(open_vectors({str(tmp_path / 'x.zarr')!r}, 40, axis=1), 'cosine')\n"
        "assert blocks.n_rows == 400 and blocks.read(9).shape == (40, 200_000)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 300
