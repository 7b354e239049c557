"""A coarse level above inverted tiles: pieces of some hundred rows, for several tiles in one.

A row opens its lists in each tile and adds them up for all groups, though it has no neighbors in most tiles.
A *piece* is a 64th of the groups of a tile.  The pieces of several tiles have lists as well, made from those
of their groups.  So a row is first compared with all pieces of these tiles, as with the groups of one
(`survey`), then visits only the tiles of pieces that remain, and looks at no others in them.

The largest weights and norms of a piece are those of its groups, rounded up once more.  So its sums bound the
similarity of its rows for the same reason as those of a group do.
"""

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled, compiled_loop
from novelty_dask.kernels.search.directory import count_before, number_column
from novelty_dask.kernels.search.lists import STEPS, Lists, choose_shift, spread_dense
from novelty_dask.kernels.search.simd import LANES, lowest_bit

PIECES = 64
"""Pieces of a tile: a number of 64 bits says which are left."""

MOST_TILES = 64
"""Tiles of a coarse level at most: 4,096 pieces, whose sums stay in the nearest cache."""


@compiled_loop
def width_of_piece(n_groups: int) -> int:
    """Return how many groups each piece of a tile has: whole vectors, which are added at once."""
    return max(-(-n_groups // (PIECES * LANES)), 1) * LANES


def coarsen(tiles: list[Lists]) -> list[Lists]:
    """Return the lists of the pieces of every `MOST_TILES` tiles of a block; none of a single tile."""
    firsts = range(0, len(tiles) if len(tiles) > 1 else 0, MOST_TILES)
    return [_join(tiles[first : first + MOST_TILES]) for first in firsts]


def _join(tiles: list[Lists]) -> Lists:
    """Return the lists of the pieces of some tiles."""
    occurring = np.bitwise_or.reduce([tile.occurring for tile in tiles])
    before = count_before(occurring)
    numbers = [_number_lists(tile.occurring, occurring, before) for tile in tiles]
    scales, lengths = np.zeros(before[-1] + 1, np.float32), np.zeros(before[-1] + 2, np.int32)
    # A step is that of the tile with the largest weight: no weight of the others needs more than 255.
    for tile, of_tile in zip(tiles, numbers, strict=True):
        scales[of_tile] = np.maximum(scales[of_tile], tile.scales[:-1])
        _count_entries(tile, of_tile, lengths)
    indptr = np.cumsum(lengths, dtype=np.int32)
    pieces, maxima = np.empty(indptr[-1], np.uint16), np.empty(indptr[-1], np.uint8)
    highest = np.max([tile.highest for tile in tiles], axis=0)
    norms = np.concatenate([_piece_norms(tile, highest) for tile in tiles], axis=1)
    shift = choose_shift(norms.shape[1])
    # Dense lists are made of the others.
    later = np.zeros(0, np.int32), np.zeros(0, np.uint8)
    joined = Lists(occurring, before, indptr, pieces, maxima, scales, norms, highest, shift, *later)
    end = indptr[:-1].copy()
    for number, (tile, of_tile) in enumerate(zip(tiles, numbers, strict=True)):
        _fill_lists(tile, of_tile, number * PIECES, joined, end)
    dense_numbers, dense = spread_dense(indptr, pieces, maxima, shift, norms.shape[1])
    return joined._replace(dense_numbers=dense_numbers, dense=dense)


@compiled
def _number_lists(
    own: NDArray[np.uint64], occurring: NDArray[np.uint64], before: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Return the number that each column of a tile has among those of all tiles."""
    numbers, count = np.empty(occurring.size * 64, np.int32), 0
    for word in range(own.size):
        bits = own[word]
        while bits != 0:
            column = np.uint64(word) * np.uint64(64) + lowest_bit(bits)
            bits &= bits - np.uint64(1)
            numbers[count], _ = number_column(occurring, before, column)
            count += 1
    return numbers[:count].copy()


@compiled
def _count_entries(tile: Lists, numbers: NDArray[np.int32], lengths: NDArray[np.int32]) -> None:
    """Count the pieces of a tile in which each column occurs, after its number."""
    width = width_of_piece(tile.norms.shape[1])
    for own, number in enumerate(numbers):
        # Groups ascend in a list, and so do pieces: the one before tells whether a piece is new.
        previous = -1
        for entry in range(tile.indptr[own], tile.indptr[own + 1]):
            piece = tile.groups[entry] // width
            lengths[number + 1] += piece != previous
            previous = piece


@compiled
def _fill_lists(
    tile: Lists, numbers: NDArray[np.int32], first: int, joined: Lists, end: NDArray[np.int32]
) -> None:
    """Append the pieces of a tile, the first of number `first`, and their maxima to the joined lists."""
    width = width_of_piece(tile.norms.shape[1])
    for own, number in enumerate(numbers):
        ratio, previous = tile.scales[own] / joined.scales[number], -1
        for entry in range(tile.indptr[own], tile.indptr[own + 1]):
            piece = tile.groups[entry] // width
            if piece != previous:
                previous = piece
                joined.groups[end[number]] = first + piece
                joined.maxima[end[number]] = 0
                end[number] += 1
            # Rounded up as the steps of a tile are: from its steps to those of all tiles.
            step = np.uint8(min(STEPS, int(tile.maxima[entry] * ratio) + 1))
            joined.maxima[end[number] - 1] = max(joined.maxima[end[number] - 1], step)


def _piece_norms(tile: Lists, highest: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the norms of the pieces of a tile, in steps of a 255th of the highest of all tiles."""
    levels, n_groups = tile.norms.shape
    width = width_of_piece(n_groups)
    norms = np.zeros((levels, PIECES * width), np.uint8)
    norms[:, :n_groups] = tile.norms
    largest = norms.reshape(levels, PIECES, width).max(axis=2)
    ratios = tile.highest / np.maximum(highest, np.finfo(np.float32).tiny)
    # Rounded up, all but 0, as in a tile.
    steps = np.minimum(STEPS, np.floor(largest * ratios[:, None]) + 1)
    return np.where(largest > 0, steps, 0).astype(np.uint8)
