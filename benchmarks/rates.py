"""Rates at which this machine does the operations of a search, each in a loop of its own.

The best of several repetitions counts, in CPU seconds of one thread.  Operations are on data that fits into
the second-level cache, so that memory counts apart: `limit` divides by these rates.
"""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_fastmath_loop
from novelty_dask.kernels.search.simd import LANES, add_lanes, find_reaching

REPEATS = 7
LEAST_SECONDS = 0.02
"""Time that one repetition takes at least."""

STREAMS = {"L1": 24 * 2**10, "L2": 2**20, "L3": 24 * 2**20, "memory": 2**30}
"""Bytes that are read one after the other, again and again."""
LIST_LENGTHS = (8, 16, 32, 64, 128, 512)
"""Entries of an inverted list, which are read after a jump to its start."""
TILE_GROUPS, TILE_ENTRIES = 1024, 2**15
"""Groups of a tile, and entries of lists: a tile has more, but these fit into the second-level cache."""
ROW_NONZEROS = 68
N_CANDIDATES, N_COLUMNS = 1024, 2**17

Rates = dict[str, float]
Loop = Callable[[int], object]


def measure_rates() -> Rates:
    """Return bytes or operations a second, by name."""
    rates = {f"read_{level}": _read_rate(size) for level, size in STREAMS.items()}
    for length in LIST_LENGTHS:
        rates[f"add_to_group_{length}"] = _group_rate(length)
        rates[f"add_to_rows_{length}"] = _lane_rate(length)
    rates["find_list"], rates["add_dense"] = _find_rate(), _dense_rate()
    return {**rates, "compare_sum": _compare_rate(), "multiply_gathered": _finish_rate()}


def _rate(loop: Loop, operations: int) -> float:
    """Return the operations a second of a loop that does a number of them in each round."""
    loop(1)  # compiles
    rounds, best = 1, 0.0
    while True:
        seconds = _seconds(loop, rounds)
        if seconds >= LEAST_SECONDS:
            break
        rounds *= 4
    for _ in range(REPEATS):
        best = max(best, rounds * operations / _seconds(loop, rounds))
    return best


def _seconds(loop: Loop, rounds: int) -> float:
    """Return the CPU seconds of a number of rounds."""
    began = time.thread_time()
    loop(rounds)
    return max(time.thread_time() - began, 1e-9)


@compiled_fastmath_loop
def _read(values: NDArray[np.uint64], rounds: int) -> np.uint64:
    """Add up all values, a number of times."""
    total = np.uint64(0)
    for number in range(rounds):
        for at in range(np.uint64(values.size)):
            total += values[at] ^ np.uint64(number)
    return total


@compiled_fastmath_loop
def _find_lists(
    columns: NDArray[np.int32],
    indptr: NDArray[np.int32],
    scales: NDArray[np.float32],
    found: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]],
    rounds: int,
) -> None:
    """Look up where lists start and end, and the weights of their steps."""
    first, last, weights = found
    for _ in range(rounds):
        for start in range(np.uint64(0), np.uint64(columns.size), np.uint64(first.size)):
            for number in range(np.uint64(first.size)):
                column = np.uint64(columns[start + number])
                first[number], last[number] = indptr[column], indptr[column + np.uint64(1)]
                weights[number] = scales[column]


@compiled_fastmath_loop
def _add_to_groups(
    starts: NDArray[np.int32],
    length: int,
    groups: NDArray[np.uint16],
    maxima: NDArray[np.uint8],
    sums: NDArray[np.uint32],
    rounds: int,
) -> None:
    """Add lists of group and maximum to the sums of the groups."""
    for number in range(rounds):
        weight = np.uint32(number & 255)
        for first in starts:
            for entry in range(np.uint64(first), np.uint64(first + length)):
                sums[groups[entry]] += np.uint32(maxima[entry]) * weight >> np.uint32(8)


@compiled_fastmath_loop
def _add_to_rows(
    starts: NDArray[np.int32],
    length: int,
    groups: NDArray[np.uint16],
    lanes: NDArray[np.uint8],
    sums: NDArray[np.uint16],
    rounds: int,
) -> None:
    """Add lists of group and sixteen weights to the sums of the rows."""
    width = np.uint64(LANES)
    for number in range(rounds):
        weight = np.uint16(number & 255)
        for first in starts:
            for entry in range(np.uint64(first), np.uint64(first + length)):
                add_lanes(sums, np.uint64(groups[entry]) * width, lanes, entry * width, weight)


@compiled_fastmath_loop
def _add_dense(
    starts: NDArray[np.int32], maxima: NDArray[np.uint8], sums: NDArray[np.uint16], rounds: int
) -> None:
    """Add lists that have every group to the sums of the groups, sixteen at a time."""
    for number in range(rounds):
        weight = np.uint16(number & 255)
        for first in starts:
            for at in range(np.uint64(0), np.uint64(sums.size), np.uint64(LANES)):
                add_lanes(sums, at, maxima, np.uint64(first) + at, weight)


@compiled_fastmath_loop
def _compare(sums: NDArray[np.uint16], bounds: NDArray[np.uint8], least: np.uint16, rounds: int) -> np.uint64:
    """Collect the sums that reach the least with their bound, a number of times."""
    reached = np.uint64(0)
    for number in range(rounds):
        weight = np.uint16(number & 255)
        for at in range(np.uint64(0), np.uint64(sums.size), np.uint64(LANES)):
            reached |= find_reaching(sums, bounds, at, weight, least)
    return reached


@compiled_fastmath_loop
def _finish(
    order: NDArray[np.int32],
    length: int,
    indices: NDArray[np.int32],
    data: NDArray[np.float32],
    x: NDArray[np.float32],
    rounds: int,
) -> np.float32:
    """Multiply rows, in an order that jumps about, with a dense one."""
    total = np.float32(0)
    for _ in range(rounds):
        for row in order:
            start = np.uint64(row) * np.uint64(length)
            for p in range(start, start + np.uint64(length)):
                total += x[np.uint64(indices[p])] * data[p]
    return total


def _read_rate(size: int) -> float:
    """Return the bytes a second that are read one after the other from a number of them."""
    values = np.arange(size // 8, dtype=np.uint64)
    return _rate(lambda rounds: _read(values, rounds), values.nbytes)


def _lists(length: int) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
    """Return starts of lists, in an order that jumps about, and the group of each entry, ascending."""
    rng = np.random.default_rng(0)
    count = TILE_ENTRIES // length
    groups = np.sort(rng.integers(0, TILE_GROUPS, (count, length)), axis=1).astype(np.uint16)
    return rng.permutation(count).astype(np.int32) * np.int32(length), groups.ravel()


def _group_rate(length: int) -> float:
    """Return the entries a second that are added to sums of groups, from lists of a length."""
    starts, groups = _lists(length)
    maxima, sums = np.full(groups.size, 7, np.uint8), np.zeros(TILE_GROUPS, np.uint32)
    return _rate(lambda rounds: _add_to_groups(starts, length, groups, maxima, sums, rounds), groups.size)


def _lane_rate(length: int) -> float:
    """Return the entries a second that are added to sums of sixteen rows, from lists of a length."""
    starts, groups = _lists(length)
    lanes, sums = np.full(groups.size * LANES, 7, np.uint8), np.zeros(TILE_GROUPS * LANES, np.uint16)
    return _rate(lambda rounds: _add_to_rows(starts, length, groups, lanes, sums, rounds), groups.size)


def _dense_rate() -> float:
    """Return the steps of sixteen groups a second that are added to sums, from dense lists."""
    starts, _ = _lists(TILE_GROUPS)
    maxima, sums = np.full(TILE_ENTRIES, 7, np.uint8), np.zeros(TILE_GROUPS, np.uint16)
    return _rate(lambda rounds: _add_dense(starts, maxima, sums, rounds), TILE_ENTRIES // LANES)


def _find_rate() -> float:
    """Return the lists a second whose ends and weight are looked up, in order of a row's columns."""
    rng = np.random.default_rng(0)
    columns = np.sort(rng.integers(0, N_COLUMNS, (2000, ROW_NONZEROS)), axis=1).astype(np.int32).ravel()
    indptr, scales = np.arange(N_COLUMNS + 1, dtype=np.int32), np.ones(N_COLUMNS, np.float32)
    first, last = np.zeros(ROW_NONZEROS, np.int32), np.zeros(ROW_NONZEROS, np.int32)
    weights = np.zeros(ROW_NONZEROS, np.float32)
    return _rate(
        lambda rounds: _find_lists(columns, indptr, scales, (first, last, weights), rounds), columns.size
    )


def _compare_rate() -> float:
    """Return the sums a second that are compared with the minimum that they have to reach."""
    sums, bounds = np.arange(TILE_GROUPS, dtype=np.uint16), np.arange(TILE_GROUPS).astype(np.uint8)
    return _rate(lambda rounds: _compare(sums, bounds, np.uint16(TILE_GROUPS), rounds), sums.size)


def _finish_rate() -> float:
    """Return the non-zeros a second of rows that are multiplied with a dense row."""
    rng = np.random.default_rng(0)
    indices = rng.integers(0, N_COLUMNS, N_CANDIDATES * ROW_NONZEROS).astype(np.int32)
    data, x = np.ones(indices.size, np.float32), np.ones(N_COLUMNS, np.float32)
    order = rng.permutation(N_CANDIDATES).astype(np.int32)
    return _rate(lambda rounds: _finish(order, ROW_NONZEROS, indices, data, x, rounds), indices.size)


if __name__ == "__main__":
    for name, rate in measure_rates().items():
        print(f"{name:20}{rate / 1e9:10.2f} G/s")
