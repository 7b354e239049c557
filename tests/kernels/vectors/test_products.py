"""Products by the vector instructions of this processor, against those of NumPy."""

import numpy as np
import pytest
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.vectors.instructions import MOST_COLUMNS, find_instructions
from novelty_dask.kernels.vectors.integers import make_integers
from novelty_dask.kernels.vectors.products import ROWS, aligned, lowest_bit, multiply_tile

INSTRUCTIONS = find_instructions()
LARGEST = INSTRUCTIONS.largest if INSTRUCTIONS else 0
LOW = -(2.0**30)
pytestmark = pytest.mark.skipif(INSTRUCTIONS is None, reason="this processor has no instructions for it")


@compiled_loop
def multiply(arrays: object, parts: object, places: object) -> bool:
    """Call what only compiled code can call."""
    return bool(multiply_tile(arrays, parts, places))


@compiled_loop
def find_lowest(number: int) -> int:
    """Call what only compiled code can call."""
    return int(lowest_bit(number))


def over(
    X: NDArray[np.float64],
    Y: NDArray[np.float64],
    limits: NDArray[np.float32],
    own_limits: NDArray[np.float32] | None = None,
    starts: tuple[float, float] = (0, 0),
) -> NDArray[np.bool_]:
    """Return which candidates of the first panel have a value over a limit, of each of the first rows."""
    assert INSTRUCTIONS
    rows, candidates = (make_integers(part, INSTRUCTIONS) for part in (X, Y))
    n = INSTRUCTIONS.columns
    own_limits = np.full(n, -LOW, np.float32) if own_limits is None else own_limits
    parts = (aligned(n, np.int32), np.ones(n, np.float32), np.full(n, starts[1], np.float32), own_limits)
    parts[0][: len(Y)] = candidates.sums
    found = np.zeros(ROWS, np.int64)
    ones, row_starts = np.ones(ROWS, np.float32), np.full(ROWS, starts[0], np.float32)
    arrays = (rows.rows, ones, row_starts, limits, candidates.panels, found)
    is_any = multiply(arrays, parts, (0, 0, 0, 0, rows.n_groups))
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


def test_the_lower_limit_and_both_starts_count() -> None:
    assert INSTRUCTIONS
    chance = np.random.default_rng(9)
    X = chance.integers(-LARGEST, LARGEST + 1, (ROWS, 24)).astype(float)
    Y = chance.integers(-LARGEST, LARGEST + 1, (INSTRUCTIONS.columns, 24)).astype(float)
    X[:, 0], Y[:, 0] = LARGEST, -LARGEST
    products = X @ Y.T
    limits = np.quantile(products, 0.9, axis=1).astype(np.float32)
    own_limits = np.quantile(products, 0.8, axis=0).astype(np.float32)
    lower = np.minimum(limits[:, None], own_limits)
    assert np.array_equal(over(X, Y, limits, own_limits), products > lower)
    assert np.array_equal(over(X, Y, limits, own_limits, (3, -7)), products - 4 > lower)


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
