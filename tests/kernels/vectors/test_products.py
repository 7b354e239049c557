"""Products by the vector instructions of this processor, against those of NumPy."""

import numpy as np
import pytest
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.vectors.instructions import MOST_COLUMNS, find_instructions
from novelty_dask.kernels.vectors.integers import LARGEST, OFFSET, make_integers
from novelty_dask.kernels.vectors.products import ROWS, aligned, lowest_bit, multiply_tile

INSTRUCTIONS = find_instructions()
pytestmark = pytest.mark.skipif(INSTRUCTIONS is None, reason="this processor has no instructions for it")


@compiled_loop
def multiply(arrays: object, parts: object, places: object) -> bool:
    """Call what only compiled code can call."""
    return bool(multiply_tile(arrays, parts, places))


@compiled_loop
def find_lowest(number: int) -> int:
    """Call what only compiled code can call."""
    return int(lowest_bit(number))


def over(X: NDArray[np.float64], Y: NDArray[np.float64], limits: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which candidates of the first panel have a value over the limit of each of the first rows."""
    assert INSTRUCTIONS
    rows, candidates = (make_integers(part, INSTRUCTIONS.columns) for part in (X, Y))
    n = INSTRUCTIONS.columns
    parts = (aligned(n, np.int32), np.ones(n, np.float32), np.zeros(n, np.float32))
    parts[0][: len(Y)] = -OFFSET * candidates.sums
    found = np.zeros(ROWS, np.int64)
    arrays = (rows.rows, np.ones(ROWS, np.float32), limits, candidates.panels, found)
    is_any = multiply(arrays, parts, (0, 0, 0, 0, 0, rows.n_groups))
    assert is_any == bool(found.any())
    return (found.view(np.uint64)[:, None] >> np.arange(len(Y), dtype=np.uint64) & 1).astype(bool)


@pytest.mark.parametrize("n_columns", [1, 7, 8, 9, 100, 1_000])
def test_sums_are_those_of_integers(n_columns: int) -> None:
    assert INSTRUCTIONS
    chance = np.random.default_rng(n_columns)
    X = chance.integers(-LARGEST, LARGEST + 1, (ROWS, n_columns)).astype(float)
    Y = chance.integers(-LARGEST, LARGEST + 1, (INSTRUCTIONS.columns, n_columns)).astype(float)
    # The largest of each row is that of all, so that they are their own integers.
    X[:, 0], Y[:, 0] = LARGEST, -LARGEST
    products = X @ Y.T
    for column in (0, len(Y) // 2, len(Y) - 1):
        limits = products[:, column].astype(np.float32)
        assert np.array_equal(over(X, Y, limits), products > limits[:, None])
        assert np.array_equal(over(X, Y, limits - 1), products > limits[:, None] - 1)


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_sums_fit(sign: int) -> None:
    assert INSTRUCTIONS
    X = np.full((ROWS, MOST_COLUMNS), float(LARGEST))
    Y = sign * np.ones((INSTRUCTIONS.columns, MOST_COLUMNS))
    # A multiple of 2**15, which float32 holds.
    total = np.float32(sign * LARGEST * LARGEST * MOST_COLUMNS)
    assert not over(X, Y, np.full(ROWS, total, np.float32)).any()
    assert over(X, Y, np.full(ROWS, np.nextafter(total, np.float32(-np.inf)), np.float32)).all()


@pytest.mark.parametrize("place", [0, 1, 31, 62, 63])
def test_the_lowest_bit_is_found(place: int) -> None:
    number = int(np.array([2**place | 2**63], np.uint64).view(np.int64)[0])
    assert find_lowest(number) == place


def test_values_begin_a_line_of_the_cache() -> None:
    assert aligned(3, np.float32).ctypes.data % 64 == 0
