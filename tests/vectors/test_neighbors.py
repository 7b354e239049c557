"""Neighbors of stored matrices: those of brute force and of a run, wherever the rows are, in few blocks."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import zarr
from dask.delayed import delayed

import novelty_dask
from novelty_dask.errors import InputError, SettingsError
from novelty_dask.estimators import UrlVectorizer
from novelty_dask.results.neighbors import NeighborArrays

URLS = novelty_dask.datasets.make_urls(700, seed=6)[0]


def write_zarr(path: Path, matrix: Any, **attributes: Any) -> Path:
    """Write a matrix as anndata does."""
    group = zarr.open_group(path, mode="w")
    for name in ("indptr", "indices", "data"):
        values = getattr(matrix, name)
        group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=(1_000,))[:] = values
    group.attrs.update({"encoding-type": "csr_matrix", "shape": list(matrix.shape), **attributes})
    return path


def write_identity(folder: Path, **attributes: Any) -> Path:
    """Write a small matrix with other attributes than it has."""
    return write_zarr(folder / "x.zarr", sp.eye(3, format="csr"), **attributes)


def write_with_group(folder: Path, name: str) -> Path:
    """Write a small matrix that has a group in place of one of its arrays."""
    path = write_identity(folder)
    zarr.open_group(path, mode="a").create_group(name, overwrite=True)
    return path


def write_npz(path: Path, matrix: Any) -> Path:
    """Write a matrix as SciPy does."""
    sp.save_npz(path / "matrix.npz", matrix)
    return path / "matrix.npz"


def dask_array(matrix: Any, size: int = 150) -> Any:
    """Return a matrix as a Dask array of blocks whose rows it does not know."""
    parts = [matrix[start : start + size] for start in range(0, matrix.shape[0], size)]
    arrays = [da.from_delayed(delayed(part), (np.nan, matrix.shape[1]), meta=part[:0]) for part in parts]
    return da.concatenate(arrays, allow_unknown_chunksizes=True)


SOURCES: dict[str, Callable[[Path, Any], Any]] = {
    "csr": lambda _, matrix: matrix,
    "csc": lambda _, matrix: matrix.tocsc(),
    "array": lambda _, matrix: sp.csr_array(matrix),
    "npz": write_npz,
    "npz by name": lambda folder, matrix: str(write_npz(folder, matrix)),
    "zarr": lambda folder, matrix: write_zarr(folder / "x.zarr", matrix),
    "group": lambda folder, matrix: zarr.open_group(write_zarr(folder / "x.zarr", matrix), mode="r"),
    "dask": lambda _, matrix: dask_array(matrix),
}


@pytest.fixture(scope="module")
def matrix() -> Any:
    return UrlVectorizer("ngrams", n_features=2**12).fit_transform(sorted({*URLS}))


@pytest.fixture(scope="module")
def expected(matrix: Any) -> NeighborArrays:
    return novelty_dask.neighbors(matrix, n_neighbors=6)


@pytest.mark.sampled
@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("block_rows", [97, 65_536])
def test_neighbors_do_not_depend_on_where_the_rows_are(
    kind: str, block_rows: int, matrix: Any, expected: NeighborArrays, tmp_path: Path
) -> None:
    found = novelty_dask.neighbors(SOURCES[kind](tmp_path, matrix), n_neighbors=6, block_rows=block_rows)
    assert isinstance(found, NeighborArrays)
    for array, other in zip(found, expected, strict=True):
        assert array.tobytes() == other.tobytes()


def test_neighbors_are_those_of_brute_force(matrix: Any, expected: NeighborArrays) -> None:
    similarities = novelty_dask.cosine_similarity(matrix.toarray())
    np.fill_diagonal(similarities, -1)
    best = np.sort(similarities, axis=1)[:, ::-1][:, :6]
    np.testing.assert_allclose(expected.similarities, best, atol=1e-6)
    assert expected.to_csr().shape == (matrix.shape[0],) * 2


def test_neighbors_are_those_of_a_run() -> None:
    run: Any = novelty_dask.score(urls=URLS, workers=0, block_rows=300)
    found = novelty_dask.neighbors(UrlVectorizer().fit_transform(run.urls[:].tolist()), block_rows=250)
    assert found.ids.tobytes() == run.neighbors.ids[:].tobytes()
    assert found.similarities.tobytes() == run.neighbors.similarities[:].tobytes()


def test_rows_may_have_any_length_zeros_and_repeated_columns(matrix: Any, expected: NeighborArrays) -> None:
    scaled = sp.csr_matrix(sp.diags(np.arange(1.0, matrix.shape[0] + 1)) @ matrix)
    found = novelty_dask.neighbors(scaled, n_neighbors=6)
    np.testing.assert_allclose(found.similarities, expected.similarities, atol=1e-6)
    halves = sp.csr_matrix(
        (np.repeat(matrix.data / 2, 2), np.repeat(matrix.indices, 2), matrix.indptr * 2), matrix.shape
    )
    for array, other in zip(novelty_dask.neighbors(halves, n_neighbors=6), expected, strict=True):
        assert array.tobytes() == other.tobytes()
    empty = novelty_dask.neighbors(sp.csr_matrix((3, 4)), n_neighbors=2)
    assert empty.ids.tolist() == [[-1, -1]] * 3


def test_no_rows_have_no_neighbors_in_any_form(tmp_path: Path) -> None:
    found = novelty_dask.neighbors(sp.csr_matrix((0, 4)))
    assert found.ids.shape == (0, 10)
    assert found.to_csr().shape == (0, 0)
    assert [len(part) for part in found.to_umap()] == [0, 0]
    found.to_parquet(tmp_path / "edges.parquet")
    assert pq.read_table(tmp_path / "edges.parquet").num_rows == 0


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda _: [[1, 2]], "X is list; pass an array of NumPy, Dask or Zarr, a sparse matrix of SciPy"),
        (lambda _: sp.diags([1.0, 1.0, -1.0]), "Row 2 of X has a negative value.* use ExactNeighbors"),
        (lambda _: sp.csr_matrix([[0, 1], [np.nan, 1]]), "Row 1 of X has NaN or an infinite value; fill"),
        (lambda _: sp.csr_matrix([[0, 1j]]), "X holds values of type complex128; pass real numbers"),
        (lambda _: sp.csr_matrix((1, 2**31)), "^X has 2,147,483,648 columns; pass at most 2,147,483,646"),
        (lambda folder: folder / "none.npz", "Can't read a matrix from .*none.npz"),
        (lambda folder: folder / "none.zarr", "none.zarr' is no array and no group of Zarr"),
        (lambda folder: write_with_group(folder, "indptr"), "Zarr .'indptr' is no array."),
        (lambda folder: write_with_group(folder, "data"), "Zarr .'data' is no array."),
        (lambda folder: write_identity(folder, shape=[4, 3]), "store it in rows, as CSR"),
        (
            lambda folder: write_identity(folder, **{"encoding-type": "csc_matrix"}),
            "holds a csc_matrix of shape .3, 3.; store it in rows",
        ),
        (lambda folder: write_identity(folder, shape=[3, 2]), "is damaged from row 0"),
    ],
)  # fmt: skip
def test_what_is_no_sparse_matrix_is_refused(make: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        novelty_dask.neighbors(make(tmp_path))


def test_a_file_that_would_run_something_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", format=np.array([print], object))
    with pytest.raises(InputError, match="Can't read a matrix"):
        novelty_dask.neighbors(tmp_path / "x.npz")


@pytest.mark.parametrize(("name", "value"), [("n_neighbors", 0), ("n_neighbors", 1.5), ("block_rows", 0)])
def test_impossible_numbers_are_refused(name: str, value: Any) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(SettingsError, match=f"{name} is {value}; pass an integer from 1"):
        novelty_dask.neighbors(sp.eye(3, format="csr"), **options)


@pytest.mark.process
def test_two_blocks_are_in_memory_at_a_time(tmp_path: Path) -> None:
    # 480 MB of rows; a block of 20,000 rows has 16 MB, and twice as much when it is prepared.
    n_rows, per_row = 600_000, 100
    group = zarr.open_group(tmp_path / "x.zarr", mode="w")
    group.attrs.update({"shape": [n_rows, 1_000_000]})
    group.create_array("indptr", data=np.arange(0, n_rows * per_row + 1, per_row), chunks=(100_000,))
    for name, dtype in (("indices", "i4"), ("data", "f4")):
        array = group.create_array(name, shape=(n_rows * per_row,), dtype=dtype, chunks=(1_000_000,))
        for start in range(0, n_rows * per_row, 1_000_000):
            values = np.arange(start, start + 1_000_000)
            array[start : start + 1_000_000] = values % per_row * 9_000 if name == "indices" else 1
    code = (
        "import resource, sys\n"
        "from novelty_dask.vectors.checked import CheckedBlocks\n"
        "from novelty_dask.vectors.sources import open_vectors\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"blocks = CheckedBlocks(open_vectors({str(tmp_path / 'x.zarr')!r}, 20_000), 'cosine')\n"
        f"assert blocks.n_rows == {n_rows} and blocks.frequency.sum() == {n_rows * per_row}\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 200
