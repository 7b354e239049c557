from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.storage import blocks
from novelty_dask.storage.blocks import array, create_arrays, read_csr, remove_arrays, write_csr

N_COLUMNS = 5_000


@pytest.fixture
def group(tmp_path: Path) -> zarr.Group:
    return zarr.open_group(str(tmp_path / "run.zarr"), mode="w", zarr_format=3)


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


BLOCKS = {
    "full": [3, 1, 2, 4],
    "short": [3, 1],
    "empty rows": [0, 3, 0, 0],
    "only empty rows": [0, 0, 0, 0],
    "no row": [],
    "one non-zero": [1],
}


@pytest.mark.parametrize("dtype", ["uint32", "float32"])
@pytest.mark.parametrize("row_lengths", BLOCKS.values(), ids=BLOCKS.keys())
def test_sparse_blocks_come_back(group: zarr.Group, row_lengths: list[int], dtype: str) -> None:
    create_arrays(group, blocks.sparse_specs("X", n_blocks=3, block_rows=4, dtype=dtype))
    before, X, after = matrix([4] * 4, dtype), matrix(row_lengths, dtype), matrix([2] * 4, dtype)
    for block, each in enumerate([before, X, after]):
        write_csr(group, "X", block, each)
    for block, each in enumerate([before, X, after]):
        found = read_csr(group, "X", block, each.shape)
        assert_same(found, each)
        assert found.dtype == dtype


@settings(deadline=None, max_examples=30)
@given(
    row_lengths=st.lists(st.integers(0, 9), max_size=12), chunk=st.integers(1, 7), n_blocks=st.integers(1, 3)
)
def test_sparse_blocks_come_back_from_any_number_of_chunks(
    row_lengths: list[int], chunk: int, n_blocks: int
) -> None:
    group = zarr.open_group(zarr.storage.MemoryStore(), mode="w", zarr_format=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "NONZEROS_CHUNK", chunk)
        create_arrays(group, blocks.sparse_specs("X", n_blocks, 12, "float32"))
    for block in range(n_blocks):
        write_csr(group, "X", block, matrix(row_lengths[block:]))
    for block in range(n_blocks):
        expected = matrix(row_lengths[block:])
        assert_same(read_csr(group, "X", block, expected.shape), expected)


def test_a_block_of_more_non_zeros_than_a_chunk_comes_back(group: zarr.Group, tmp_path: Path) -> None:
    X = matrix([4_000] * 150)
    assert X.nnz > 2 * blocks.NONZEROS_CHUNK
    create_arrays(group, blocks.sparse_specs("X", 2, 150, "float32"))
    write_csr(group, "X", 1, X)
    assert_same(read_csr(group, "X", 1, X.shape), X)
    # However wide the array is, only the chunks in use are on disk.
    assert len(list((tmp_path / "run.zarr/X/data/c").rglob("*"))) == 1 + 3


def test_a_block_written_again_is_the_last_one_written(group: zarr.Group) -> None:
    create_arrays(group, blocks.sparse_specs("X", 1, 4, "float32"))
    write_csr(group, "X", 0, matrix([9, 9, 9, 9]))
    write_csr(group, "X", 0, matrix([1, 0, 2]))
    assert_same(read_csr(group, "X", 0, (3, N_COLUMNS)), matrix([1, 0, 2]))


SPECS: dict[str, list[blocks.ArraySpec]] = {
    "rows": blocks.row_specs(10, 4),
    "no rows": blocks.row_specs(0, 4),
    "neighbors": blocks.neighbor_specs("neighbors", (10, 3), 4),
    "strips": blocks.neighbor_specs("strips", (2, 10, 3), 4),
    "novelty": blocks.novelty_specs(10, 4),
    "columns": [*blocks.frequency_specs(100_000, 3), *blocks.column_specs(100_000)],
    "one column": [*blocks.frequency_specs(1, 3), *blocks.column_specs(1)],
    "rejected": blocks.rejected_specs(70_000),
    "nothing rejected": blocks.rejected_specs(0),
}


@pytest.mark.parametrize("specs", SPECS.values(), ids=SPECS.keys())
def test_arrays_are_as_specified_and_checked(group: zarr.Group, specs: list[blocks.ArraySpec]) -> None:
    create_arrays(group, specs)
    for spec in specs:
        made = array(group, spec.name)
        assert made.shape == spec.shape
        assert "crc32c" in [codec.to_dict()["name"] for codec in made.compressors]
        if spec.dtype != "str":
            assert made.dtype == spec.dtype
        missing = np.asarray(made[...])
        expected = np.full(spec.shape, spec.fill_value, missing.dtype)
        np.testing.assert_array_equal(missing, expected)


def test_what_is_missing_can_be_told_from_what_was_stored(group: zarr.Group) -> None:
    create_arrays(group, [*SPECS["neighbors"], *SPECS["novelty"], *SPECS["rows"]])
    assert (np.asarray(array(group, "neighbors/ids")[:]) == -1).all()
    assert np.isnan(array(group, "neighbors/similarities")[:]).all()
    assert np.isnan(array(group, "novelty")[:]).all()
    assert (np.asarray(array(group, "rows/position")[:]) == -1).all()


def test_arrays_are_created_in_place_of_old_ones(group: zarr.Group) -> None:
    create_arrays(group, blocks.novelty_specs(10, 4))
    array(group, "novelty")[:] = 1
    create_arrays(group, blocks.novelty_specs(6, 3))
    assert array(group, "novelty").shape == (6,)
    assert np.isnan(array(group, "novelty")[:]).all()


def test_arrays_are_removed_where_they_are(group: zarr.Group) -> None:
    create_arrays(group, [*SPECS["novelty"], *SPECS["neighbors"]])
    remove_arrays(group, ["neighbors", "nothing"])
    assert sorted(group) == ["novelty"]
    with pytest.raises(KeyError):
        array(group, "neighbors/ids")


def test_a_group_is_no_array(group: zarr.Group) -> None:
    create_arrays(group, SPECS["neighbors"])
    with pytest.raises(TypeError):
        array(group, "neighbors")


DAMAGE = {
    "flipped bit": lambda content: (
        bytes([*content[: len(content) // 2], content[len(content) // 2] ^ 1])
        + content[len(content) // 2 + 1 :]
    ),
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("spec", [*SPECS["rows"], *SPECS["novelty"]], ids=lambda spec: spec.name)
def test_a_damaged_chunk_is_found(
    group: zarr.Group, tmp_path: Path, spec: blocks.ArraySpec, damage: Any
) -> None:
    create_arrays(group, [spec])
    values = np.arange(10).astype(np.dtypes.StringDType() if spec.dtype == "str" else spec.dtype)
    array(group, spec.name)[:] = values
    np.testing.assert_array_equal(np.asarray(array(group, spec.name)[:]), values)
    chunk = tmp_path / "run.zarr" / spec.name / "c" / "1"
    chunk.write_bytes(damage(chunk.read_bytes()))
    np.testing.assert_array_equal(np.asarray(array(group, spec.name)[:4]), values[:4])
    with pytest.raises((ValueError, RuntimeError)):
        array(group, spec.name)[4:8]
