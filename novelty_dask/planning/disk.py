"""Projection of what a run takes on disk at most, in bytes, before anything runs.

A run is largest at one of two moments: when its rows are stored in blocks and the tables that they were
sorted in are not removed yet, or when the last neighbors are merged and the strips are not removed yet.
What compresses by a rule is counted compressed, by the widest value; text is counted as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.planning.arrays import CALIBRATED, LINKS_CHUNK, weight_chunk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from novelty_dask.planning.budget import Budget, Extent
    from novelty_dask.planning.matrix import Matrix
    from novelty_dask.planning.tiles import TilePlan

TABLES = 2
"""Tables that hold all rows: as they were read, and as they were sorted."""
TABLE_ROW_BYTES = 24
"""Count, position and two offsets of a row in a table; its key and its URL are each as long as its text."""
RESULT_ROW_BYTES = 64
"""Five views and the density of a row, position and count, length of its text, start of its weights."""
PLACE_BYTES, LENGTH_BYTES = 9, 4
"""The place of a row among those of a reference, and whether it is known; the length of a neighbor's URL."""
LABEL_BYTES = 8
"""A label that is a number, or the length of one that is text, besides that."""
TIMES_BYTES = 16
"""When a row was first and last seen."""
WEIGHT_BYTES = SIMILARITY_BYTES = 4
"""Numbers in single precision: weights are not compressed, and similarities hardly are."""
FREQUENCY_BYTES, COLUMN_BYTES = 5, 36
"""A column that occurs among many that don't: its frequency in a block; its frequency, weight and rank.

Each byte that differs from those beside it takes one, and four to say where it stands.
"""
DENSE_FREQUENCY_BYTES, DENSE_COLUMN_BYTES = 1.25, 9.0
"""The same where most columns occur; the upper bytes of frequencies are zero."""
RUN_BYTES = 255
"""Equal bytes that LZ4 stores in one, where columns don't occur and where a block is filled up."""
UNCOMPRESSED_FREQUENCY_BYTES, UNCOMPRESSED_COLUMN_BYTES, NEIGHBOR_BYTES = 4, 16, 12
"""A frequency, what is kept of a column, and a neighbor, by their types."""
METADATA_BYTES = 240 * 2**10
"""Manifest and its copy, metadata of arrays and the list of them, and owners: up to fifty small files."""
TASK_BYTES = 2**10
"""The commit of a task."""
FILE_SLACK_BYTES = 2 * 2**10
"""Bytes that a file leaves empty of its last block on the disk: half of 4 KiB, on average."""


def disk_bytes(budget: Budget, extent: Extent, tiles: TilePlan) -> int:
    """Return the most bytes that a run takes on disk at once, temporary files not included.

    Parameters
    ----------
    budget : Budget
    extent : Extent
        All rows, if no line repeats another.
    tiles : TilePlan
    """
    if budget.matrix:
        return _vector_bytes(budget, budget.matrix, tiles)
    n_rows, text = extent.n_rows, extent.n_bytes
    tables = TABLES * (2 * text + TABLE_ROW_BYTES * n_rows)
    blocks = _block_nonzeros(budget, extent, tiles)
    frequencies = sum(_frequency_bytes(budget, nonzeros) for nonzeros in blocks)
    neighbors = (tiles.n_groups + 1) * budget.n_neighbors * _neighbor_bytes(tiles)
    results = _column_bytes(budget, extent) + _matrix_bytes(budget, blocks, tiles) + neighbors
    results += _cited_bytes(budget, extent, tiles) + _group_bytes(budget, tiles)
    results += _past_bytes(budget, extent, blocks, tiles)
    return round(text + RESULT_ROW_BYTES * n_rows + frequencies + max(tables, results)) + _small_bytes(
        budget, tiles
    )


def _vector_bytes(budget: Budget, matrix: Matrix, tiles: TilePlan) -> int:
    """Return the most bytes that a run of vectors takes: these, labels, strips, neighbors and views."""
    vectors = tiles.n_rows * matrix.n_columns * (4 if matrix.dtype == "float32" else 8)
    neighbors = (tiles.n_groups + 1) * budget.n_neighbors * tiles.n_rows * (_width(tiles.n_rows) + 8)
    vectors += tiles.n_rows * (matrix.label_bytes + LABEL_BYTES) * bool(matrix.label_type)
    return vectors + neighbors + RESULT_ROW_BYTES * tiles.n_rows + _small_bytes(budget, tiles)


def _possible_columns(budget: Budget) -> int:
    """Return the most columns that occur."""
    return min(budget.possible_columns or budget.n_features, budget.n_features)


def _nonzeros(budget: Budget, rows: int, text: int) -> int:
    """Return the most non-zeros of some rows."""
    return budget.entries(rows, text, _possible_columns(budget))


def _block_nonzeros(budget: Budget, extent: Extent, tiles: TilePlan) -> list[int]:
    """Return the most non-zeros of each block, if text is spread evenly."""
    rows = [stop - start for start, stop in map(tiles.bounds, range(tiles.n_blocks))]
    return [_nonzeros(budget, n, extent.n_bytes * n // max(extent.n_rows, 1)) for n in rows]


def _frequency_bytes(budget: Budget, nonzeros: int) -> float:
    """Return the bytes of the document frequencies of one block, in which most columns don't occur."""
    # A column that occurs in a block usually does so in several of its rows: one byte for each non-zero.
    sparse = min(FREQUENCY_BYTES * _possible_columns(budget), nonzeros)
    empty = UNCOMPRESSED_FREQUENCY_BYTES * budget.n_features / RUN_BYTES
    return min(sparse + empty, DENSE_FREQUENCY_BYTES * budget.n_features)


def _column_bytes(budget: Budget, extent: Extent) -> float:
    """Return the bytes of frequency, weight and rank of all columns."""
    n_columns = min(_possible_columns(budget), _nonzeros(budget, extent.n_rows, extent.n_bytes))
    empty = UNCOMPRESSED_COLUMN_BYTES * budget.n_features / RUN_BYTES
    return min(COLUMN_BYTES * n_columns + empty, DENSE_COLUMN_BYTES * budget.n_features)


def _matrix_bytes(budget: Budget, blocks: Sequence[int], tiles: TilePlan) -> int:
    """Return the bytes of weights and their columns; the last chunk of weights of a block is filled up."""
    chunk = weight_chunk(tiles)
    stored = sum(-(-nonzeros // chunk) * chunk for nonzeros in blocks)
    return stored * WEIGHT_BYTES + sum(blocks) * _width(_possible_columns(budget))


def _cited_bytes(budget: Budget, extent: Extent, tiles: TilePlan) -> float:
    """Return the bytes of places, of calibration, and of the URLs of neighbors, as long as the rows."""
    rows = (stop - start for start, stop in map(tiles.bounds, range(tiles.n_blocks)))
    n_cited = sum(min(n * budget.n_neighbors, tiles.known_rows) for n in rows)
    row_bytes = PLACE_BYTES + len(CALIBRATED) * _width(tiles.known_rows + 1) if tiles.known_rows else 0
    return n_cited * (extent.n_bytes / max(extent.n_rows, 1) + LENGTH_BYTES) + row_bytes * tiles.n_rows


def _group_bytes(budget: Budget, tiles: TilePlan) -> int:
    """Return the bytes of the links that each block has of all rows up to its last, and of the groups."""
    n_linked = sum(tiles.bounds(block)[1] for block in range(tiles.n_blocks)) + tiles.n_rows
    return n_linked * _width(tiles.n_rows) if budget.is_grouped else 0


def _past_bytes(budget: Budget, extent: Extent, blocks: Sequence[int], tiles: TilePlan) -> float:
    """Return the bytes of times, and of columns and weights of each period; 0 without periods."""
    if not tiles.periods:
        return 0
    # The rows of a period and all before it are spread over all blocks.
    shares = [end / tiles.n_rows for end in (*tiles.periods[1:], tiles.n_rows)]
    past = sum(_matrix_bytes(budget, [round(n * share) for n in blocks], tiles) for share in shares)
    return past + len(shares) * _column_bytes(budget, extent) + TIMES_BYTES * tiles.n_rows


def _neighbor_bytes(tiles: TilePlan) -> float:
    """Return the bytes of one neighbor of each row; the last block is filled up to the size of the others."""
    filled = tiles.n_blocks * tiles.block_rows - tiles.n_rows
    return (
        tiles.n_rows * (_width(tiles.compared.n_rows) + SIMILARITY_BYTES)
        + filled * NEIGHBOR_BYTES / RUN_BYTES
    )


def _width(n: int) -> int:
    """Return the bytes of a number below n, as those above are zero and compress to nothing.

    >>> [_width(n) for n in (2, 256, 257, 2**20)]
    [1, 1, 2, 3]
    """
    return -(-max(n - 1, 1).bit_length() // 8)


def _small_bytes(budget: Budget, tiles: TilePlan) -> int:
    """Return the bytes of commits and metadata, and those that files leave empty."""
    # Those of a block are vectorize, weigh, merge, density and lof; with a reference locate, cite and
    # calibrate.
    n_tasks = (
        (8 if tiles.known_rows else 5) * tiles.n_blocks + tiles.n_stretches + tiles.n_spans * tiles.n_groups
    )
    n_past = len(tiles.periods) * (tiles.n_blocks + 1)
    n_tasks += n_past
    # Of each period and block three files of weights, and two of times more.
    n_more_files = 3 * n_past + 2 * tiles.n_blocks if n_past else 0
    if budget.is_grouped:
        # Of each block a task of links, and files of them and of groups; one task makes the groups.
        n_tasks += tiles.n_blocks + 1
        n_more_files += (-(-tiles.n_rows // LINKS_CHUNK) + 1) * tiles.n_blocks
    # Of each block, twelve files of rows, frequencies, starts and results, three of weights, and its strips;
    # with a reference, those of places, of known rows, of URLs of neighbors, and two of calibration.
    n_files = n_tasks + n_more_files
    n_files += (15 + 5 * bool(tiles.known_rows) + 2 * tiles.n_groups) * tiles.n_blocks
    return METADATA_BYTES + TASK_BYTES * n_tasks + FILE_SLACK_BYTES * n_files
