import numpy as np
import pytest

from novelty_dask.kernels.accelerate import compiled
from novelty_dask.kernels.search.simd import (
    LANES,
    add_lanes,
    count_bits,
    find_reaching,
    find_reaching_both,
    lowest_bit,
    prefetch,
)


@compiled
def added(sums: np.ndarray, at: int, lanes: np.ndarray, start: int, weight: np.uint16) -> None:
    add_lanes(sums, np.uint64(at), lanes, np.uint64(start), np.uint16(weight))


@compiled
def reached(sums: np.ndarray, bounds: np.ndarray, at: int, weight: np.uint16, least: np.uint16) -> np.uint64:
    return find_reaching(sums, bounds, np.uint64(at), np.uint16(weight), np.uint16(least))


@compiled
def both_reached(
    sums: np.ndarray, more: np.ndarray, bounds: np.ndarray, at: int, weight: np.uint16, least: np.uint16
) -> np.uint64:
    return find_reaching_both(sums, more, bounds, np.uint64(at), np.uint16(weight), np.uint16(least))


@compiled
def prefetched(array: np.ndarray, at: int) -> None:
    prefetch(array, np.uint64(at))


@compiled
def counted(bits: np.uint64) -> np.uint64:
    return count_bits(bits)


@compiled
def lowest(bits: int) -> np.uint64:
    return lowest_bit(np.uint64(bits))


@pytest.mark.parametrize("weight", [0, 1, 255, 256, 700, 32_904, 65_535])
def test_sixteen_products_are_rounded_down_and_added_where_they_belong(weight: int) -> None:
    rng = np.random.default_rng(weight)
    sums, lanes = rng.integers(0, 30_000, 64).astype(np.uint16), rng.integers(0, 256, 80).astype(np.uint8)
    expected = sums.astype(np.int64)
    expected[17 : 17 + LANES] += lanes[33 : 33 + LANES].astype(np.int64) * weight >> 8
    added(sums, 17, lanes, 33, np.uint16(weight))
    assert np.array_equal(sums, np.minimum(expected, 65_535))


def test_sums_saturate() -> None:
    sums = np.full(LANES, 65_000, np.uint16)
    added(sums, 0, np.full(LANES, 255, np.uint8), 0, np.uint16(60_000))
    assert np.all(sums == 65_535)


@pytest.mark.parametrize("least", [1, 30_000, 40_000, 65_535])
def test_the_bits_say_which_sums_reach_the_least(least: int) -> None:
    rng = np.random.default_rng(least)
    sums = rng.integers(0, 1 << 16, 48).astype(np.uint16)
    bounds = rng.integers(0, 256, 48).astype(np.uint8)
    sums[20], bounds[20] = least - (200 * 600 >> 8) if least > 469 else 0, 200
    bits = reached(sums, bounds, 16, np.uint16(600), np.uint16(least))
    totals = sums[16 : 16 + LANES].astype(np.int64) + (bounds[16 : 16 + LANES].astype(np.int64) * 600 >> 8)
    assert [bits >> lane & 1 for lane in range(LANES)] == (totals >= least).astype(int).tolist()


@pytest.mark.parametrize("least", [1, 30_000, 40_000, 65_535])
def test_the_bits_say_where_two_sums_reach_the_least_together(least: int) -> None:
    rng = np.random.default_rng(least)
    sums, more = rng.integers(0, least, 48).astype(np.uint32), rng.integers(0, least, 48).astype(np.uint16)
    bounds = rng.integers(0, 256, 48).astype(np.uint8)
    sums[17], sums[18], more[18] = 1 << 20, 65_535, 65_535
    sums[20], more[20], bounds[20] = least // 3, least - least // 3, 0
    bits = both_reached(sums, more, bounds, 16, np.uint16(600), np.uint16(least))
    totals = sums[16 : 16 + LANES].astype(np.int64) + more[16 : 16 + LANES]
    totals += bounds[16 : 16 + LANES].astype(np.int64) * 600 >> 8
    assert [bits >> lane & 1 for lane in range(LANES)] == (totals >= least).astype(int).tolist()


def test_sums_too_large_for_sixteen_bits_reach_everything() -> None:
    sums, steps = np.full(LANES, 65_500, np.uint16), np.full(LANES, 255, np.uint8)
    assert reached(sums, steps, 0, np.uint16(60_000), np.uint16(65_535)) == (1 << LANES) - 1


def test_fetching_ahead_changes_nothing_inside_or_outside_of_an_array() -> None:
    array = np.arange(64, dtype=np.uint8)
    for at in (0, 63, 64, 1 << 20):
        prefetched(array, at)
    assert np.array_equal(array, np.arange(64))


@pytest.mark.parametrize("bit", [0, 1, 15, 63])
def test_the_lowest_bit_is_counted_from_zero(bit: int) -> None:
    assert lowest((1 << bit) | (1 << 63)) == bit


@pytest.mark.parametrize("bits", [0, 1, 0b1011, 1 << 63, 2**64 - 1])
def test_bits_are_counted(bits: int) -> None:
    assert counted(np.uint64(bits)) == bits.bit_count()
