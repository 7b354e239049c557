import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.errors import StoreError
from novelty_dask.objects.local import LocalObjects
from novelty_dask.planning import arrays as planned
from novelty_dask.planning.arrays import BY_ROWS, ArraySpec
from novelty_dask.planning.stages import WEIGH
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.storage.arrays import split_csr
from novelty_dask.storage.layout import array_document, layout_of
from novelty_dask.storage.runs import StoredRun
from tests.support.runs import make_arrays, make_run, writable, write_task

N_COLUMNS = 5_000
PLAN = TilePlan(n_rows=10, block_rows=4, span_blocks=1, group_blocks=2)


@pytest.fixture
def run(tmp_path: Path) -> StoredRun:
    return make_arrays(make_run(tmp_path, PLAN))


def matrix(row_lengths: list[int], dtype: str = "float32") -> sp.csr_matrix:
    """A matrix with so many non-zeros in each row."""
    rng = np.random.default_rng(len(row_lengths))
    columns = [np.sort(rng.choice(N_COLUMNS, length, replace=False)) for length in row_lengths]
    indices = np.concatenate([*columns, []]).astype(np.int32)
    data = rng.integers(1, 1_000, len(indices)).astype(dtype)
    return sp.csr_matrix((data, indices, np.cumsum([0, *row_lengths])), shape=(len(row_lengths), N_COLUMNS))


def assert_same(found: sp.csr_matrix, expected: sp.csr_matrix) -> None:
    assert found.shape == expected.shape
    for name in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.indices.dtype == found.indptr.dtype == np.int32
    assert found.data.dtype == expected.data.dtype


def put(run: StoredRun, block: int, X: sp.csr_matrix) -> None:
    """Store a sparse block as its task."""
    assert run.manifest.plan
    run.create_arrays(WEIGH)
    write_task(run, WEIGH.task(str(block)), split_csr("weights", X, run.manifest.plan.block_rows))


BLOCKS = {
    "full": [3, 1, 2, 4],
    "short": [3, 1],
    "empty rows": [0, 3, 0, 0],
    "only empty rows": [0, 0, 0, 0],
    "no row": [],
    "one non-zero": [1],
}


@pytest.mark.parametrize("row_lengths", BLOCKS.values(), ids=BLOCKS.keys())
def test_sparse_blocks_come_back(run: StoredRun, row_lengths: list[int]) -> None:
    blocks = [matrix([4] * 4), matrix(row_lengths), matrix([2] * 4)]
    for block, each in enumerate(blocks):
        put(run, block, each)
    for block, each in enumerate(blocks):
        assert_same(run.arrays().read_csr("weights", block, each.shape), each)


@settings(deadline=None, max_examples=30)
@given(
    row_lengths=st.lists(st.integers(0, 9), max_size=12), chunk=st.integers(1, 7), n_blocks=st.integers(1, 3)
)
def test_sparse_blocks_come_back_from_any_number_of_chunks(
    row_lengths: list[int], chunk: int, n_blocks: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planned, "LARGEST_CHUNK", chunk)
        layout_of.cache_clear()
        run = make_run(None, TilePlan(12 * n_blocks, 12, 1, 1))
        for block in range(n_blocks):
            put(run, block, matrix(row_lengths[block:]))
        for block in range(n_blocks):
            expected = matrix(row_lengths[block:])
            assert_same(run.arrays().read_csr("weights", block, expected.shape), expected)


def test_a_block_of_more_non_zeros_than_a_chunk_comes_back(tmp_path: Path) -> None:
    run = make_run(tmp_path, TilePlan(300, 150, 1, 2))
    X = matrix([4_000] * 150)
    run.create_arrays(WEIGH)
    chunk = run.arrays()["weights/data"].chunks[1]
    n_chunks = -(-X.nnz // chunk)
    assert n_chunks > 2
    put(run, 1, X)
    assert_same(run.arrays().read_csr("weights", 1, X.shape), X)
    # However wide the array is, only the chunks in use are on disk.
    assert len(run.objects.sizes("weights/data/c/")) == n_chunks


def test_a_block_written_again_is_the_last_one_written(run: StoredRun) -> None:
    arrays, draft = writable(run, WEIGH, "0")
    for rows in ([9, 9, 9, 9], [1, 0, 2]):
        arrays.write("0", split_csr("weights", matrix(rows), PLAN.block_rows))
    assert_same(arrays.read_csr("weights", 0, (3, N_COLUMNS)), matrix([1, 0, 2]))
    assert draft.digests.keys() == run.objects.sizes("weights/").keys() - {
        key for key in run.objects.sizes() if key.endswith("zarr.json")
    }


def test_one_chunk_is_written_and_read_without_other_threads(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, find, write = matrix([1, 0, 2]), LocalObjects.read, LocalObjects.write
    threads = set()

    def reading(objects: LocalObjects, key: str) -> bytes:
        threads.add(threading.get_ident())
        return find(objects, key)

    def writing(objects: LocalObjects, key: str, data: bytes) -> None:
        threads.add(threading.get_ident())
        write(objects, key, data)

    monkeypatch.setattr(LocalObjects, "read", reading)
    monkeypatch.setattr(LocalObjects, "write", writing)
    put(run, 0, X)
    assert_same(run.arrays().read_csr("weights", 0, X.shape), X)
    assert threads == {threading.get_ident()}

    async def read() -> sp.csr_matrix:
        return run.arrays().read_csr("weights", 0, X.shape)

    # As in a notebook, whose loop can't run another one.
    assert_same(asyncio.run(read()), X)


# What is no array of the run.


def test_a_group_is_no_array(run: StoredRun) -> None:
    with pytest.raises(StoreError, match=r"^The metadata of array 'neighbors' do not match the run's"):
        run.arrays()["neighbors"]


@pytest.mark.parametrize("name", ["surprise", "rows/surprise", "novelty/surprise", ""])
def test_an_array_that_no_run_has_is_refused(run: StoredRun, name: str) -> None:
    made = zarr.open_group(run.url)
    if name.startswith("surprise"):
        made.create_array(name, shape=(3,), dtype="int32")
    with pytest.raises(StoreError, match=r"do not match the run's settings and plan; `novelty resume`"):
        run.arrays()[name]


def test_an_array_of_which_nothing_is_stored_is_refused(run: StoredRun) -> None:
    run.objects.remove("novelty/")
    with pytest.raises(StoreError, match=r"^The metadata of array 'novelty' do not match the run's"):
        run.arrays()["novelty"]


ALTERED = [
    ArraySpec("novelty", (11,), (4,), "float64", BY_ROWS, np.nan),
    ArraySpec("novelty", (10,), (5,), "float64", BY_ROWS, np.nan),
    ArraySpec("novelty", (10, 1), (4, 1), "float64", BY_ROWS, np.nan),
    ArraySpec("novelty", (10,), (4,), "float32", BY_ROWS, np.nan),
    ArraySpec("novelty", (10,), (4,), "int64", BY_ROWS, 0),
    ArraySpec("novelty", (10,), (4,), "float64", BY_ROWS, 0.0),
    ArraySpec("novelty", (10,), (4,), "str", BY_ROWS, ""),
]


@pytest.mark.parametrize("spec", ALTERED, ids=str)
def test_an_array_of_another_form_is_refused(run: StoredRun, spec: ArraySpec) -> None:
    run.objects.write("novelty/zarr.json", array_document(spec))
    with pytest.raises(StoreError, match=r"^The metadata of array 'novelty' do not match the run's"):
        run.arrays()["novelty"]
