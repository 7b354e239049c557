"""The arrays of a run as data: shapes, chunks, types, and how each is divided among the tasks of its stage.

Arrays are chunked so that no chunk belongs to two tasks.  Sparse blocks are ragged: each block has a row of
its own in arrays as wide as the fullest block, and only the chunks in use are ever written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from novelty_dask.kernels.choices import VIEWS
from novelty_dask.kernels.text.lines import KEPT_CHARACTERS, MAX_BYTES, REJECTED_SAMPLE_BYTES, Reason
from novelty_dask.planning.tiles import Tile, TilePlan

if TYPE_CHECKING:
    from novelty_dask.planning.matrix import Matrix

SMALLEST_CHUNK, LARGEST_CHUNK = 2**14, 2**20
"""Non-zeros of a chunk: a few chunks a block, as the last is filled up."""
MAXIMUM_BREAKPOINTS = 64
REJECTED_CHUNK = 65_536
"""Rejected lines of a chunk, which one task writes."""
CITED_CHUNK = 65_536
"""URLs of neighbors of a chunk."""
VECTORS_CHUNK = 2**24
"""Values of a chunk of vectors."""
LINKS_CHUNK = 2**20
"""Links of rows of a chunk; a task has some for all rows before it."""
REASON_BYTES = max(map(len, Reason))
ESCAPED = 4
"""Characters for a byte of a sample, at most."""
KEPT_BYTES = 6 * KEPT_CHARACTERS + 4
"""Most bytes of a further field of a record in JSON, with its quotes, and what stands before the next."""
WHOLE = "all"
"""The item of a stage that has but one task."""

CALIBRATED = VIEWS
"""Views that are calibrated, in the order of their axis."""

Region = tuple[int | slice, ...]
"""The leading part of an index into an array."""


@dataclass(frozen=True)
class Division:
    """The way in which an array is divided among the tasks of its stage.

    Parameters
    ----------
    name : str
    item : callable
        Takes the plan and the numbers of a chunk; returns the item of the task that writes it.
    region : callable
        Takes the plan and an item; returns the part of the array that its task writes.
    """

    name: str
    item: Callable[[TilePlan | None, Sequence[int]], str] = field(repr=False)
    region: Callable[[TilePlan | None, str], Region] = field(repr=False)


def _planned(plan: TilePlan | None) -> TilePlan:
    """Return the plan; arrays that depend on one exist only after it was made."""
    assert plan
    return plan


def _rows_of(plan: TilePlan, blocks: range) -> slice:
    """Return the rows of consecutive blocks."""
    return slice(plan.bounds(blocks[0])[0], plan.bounds(blocks[-1])[1])


def _strip_item(plan: TilePlan | None, chunk: Sequence[int]) -> str:
    """Return the item of the tile that writes the strip of a group for a block."""
    group, block = chunk[:2]
    return Tile(_planned(plan).span_of(block), group).item


def _strip_region(plan: TilePlan | None, item: str) -> Region:
    """Return the strip of a tile: its group, and the rows of its span."""
    tile = Tile.of_item(item)
    return tile.group, _rows_of(_planned(plan), _planned(plan).span(tile.span))


def _stretch_item(plan: TilePlan | None, chunk: Sequence[int]) -> str:
    """Return the item of the stretch that a block belongs to."""
    return str(_planned(plan).stretch_of(chunk[0]))


BY_ROWS = Division(
    "by rows",
    item=lambda _plan, chunk: str(chunk[0]),
    region=lambda plan, item: (slice(*_planned(plan).bounds(int(item))),),
)
"""The rows of a block belong to the task of the block."""
BY_STRETCHES = Division(
    "by stretches",
    item=_stretch_item,
    region=lambda plan, item: (_rows_of(_planned(plan), _planned(plan).stretch(int(item))),),
)
"""The rows of a few consecutive spans belong to one task."""
BY_BLOCKS = Division(
    "by blocks",
    item=lambda _plan, chunk: str(chunk[0]),
    region=lambda _plan, item: (int(item),),
)
"""The array has one row for each block, which may be filled in part."""
BY_LINES = Division(
    "by lines",
    item=lambda _plan, chunk: str(chunk[0]),
    region=lambda _plan, item: (slice(int(item) * REJECTED_CHUNK, (int(item) + 1) * REJECTED_CHUNK),),
)
"""Rejected lines belong to the task of their chunk."""
BY_TILES = Division("by tiles", item=_strip_item, region=_strip_region)
"""Strips belong to tiles."""
UNDIVIDED = Division("undivided", item=lambda _plan, _chunk: WHOLE, region=lambda _plan, _item: ())
"""One task writes all."""


class ArraySpec(NamedTuple):
    """An array to create.

    Parameters
    ----------
    name : str
        Path below the run.
    shape, chunks : tuple of int
    dtype : str
        Type of NumPy; ``"str"`` is text of any length.
    division : Division
        The way in which it is divided among tasks.
    fill_value : number or str
        Value of an element that was never written.
    codecs : {"numbers", "text", "indices", "weights"}
        Way to compress it.
    text_bytes : int
        Most bytes of a text.
    dimensions : tuple of str
        Name of each axis, as xarray wants it: axes of one name have one length in the whole run.
    """

    name: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: str
    division: Division
    fill_value: float | str = 0
    codecs: str = "numbers"
    text_bytes: int = 0
    dimensions: tuple[str, ...] = ()

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """The shape of each chunk, also of an empty array, and of the last as it is stored."""
        return tuple(max(1, length) for length in self.chunks)

    @property
    def group(self) -> str:
        """The group that it is in; empty for the run itself."""
        return self.name.rpartition("/")[0]


def named(dimensions: tuple[str, ...], *specs: ArraySpec) -> list[ArraySpec]:
    """Return arrays with the names of their axes, the first of those given."""
    return [spec._replace(dimensions=dimensions[: len(spec.shape)]) for spec in specs]


def rejected_arrays(n_rejected: int) -> list[ArraySpec]:
    """Return the arrays of rejected lines: number of the source, line in it from 0, reason, and beginning."""
    shape, chunks = (n_rejected,), (min(max(n_rejected, 1), REJECTED_CHUNK),)
    sample_bytes = ESCAPED * REJECTED_SAMPLE_BYTES
    return named(
        ("rejected_line",),
        ArraySpec("rejected/source", shape, chunks, "int32", BY_LINES, -1),
        ArraySpec("rejected/line", shape, chunks, "int64", BY_LINES, -1),
        ArraySpec("rejected/reason", shape, chunks, "str", BY_LINES, "", "text", REASON_BYTES),
        ArraySpec("rejected/sample", shape, chunks, "str", BY_LINES, "", "text", sample_bytes),
    )


def row_arrays(plan: TilePlan, n_features: int, n_kept: int = 0) -> list[ArraySpec]:
    """Return the arrays of rows, with what they keep of records and their times, and of frequencies."""
    rows, chunk = (plan.n_rows,), (plan.block_rows,)
    kept = ArraySpec("rows/kept", rows, chunk, "str", BY_ROWS, "", "text", n_kept * KEPT_BYTES + 2)
    # The number of rows of a block in which each column occurs.
    partial = ArraySpec(
        "partial_frequency", (plan.n_blocks, n_features), (1, n_features), "uint32", BY_BLOCKS
    )
    return [
        *named(
            ("row",),
            ArraySpec("rows/url", rows, chunk, "str", BY_ROWS, "", "text", MAX_BYTES),
            ArraySpec("rows/count", rows, chunk, "int64", BY_ROWS),
            ArraySpec("rows/position", rows, chunk, "int64", BY_ROWS, -1),
            ArraySpec("rows/spellings", rows, chunk, "int64", BY_ROWS),
            *([kept] if n_kept else []),
            *(
                ArraySpec(f"rows/{name}", rows, chunk, "int64", BY_ROWS)
                for name in ("first_seen", "last_seen")
                if plan.periods
            ),
        ),
        *named(("block", "column"), partial),
    ]


def column_arrays(n_features: int) -> list[ArraySpec]:
    """Return the arrays of columns: document frequency, weight, rank, and the break-points between ranks."""
    # In one chunk each: a task that reads columns reads all of them.
    whole, few = (n_features,), (MAXIMUM_BREAKPOINTS,)
    return [
        *named(
            ("column",),
            ArraySpec("columns/document_frequency", whole, whole, "int64", UNDIVIDED),
            ArraySpec("columns/idf", whole, whole, "float32", UNDIVIDED, np.nan),
            ArraySpec("columns/rank", whole, whole, "int32", UNDIVIDED, -1),
        ),
        *named(("breakpoint",), ArraySpec("columns/breakpoints", few, few, "int32", UNDIVIDED, -1)),
    ]


def weight_chunk(plan: TilePlan) -> int:
    """Return the non-zeros of a chunk of the weighted matrix."""
    return min(max(16 * plan.block_rows, SMALLEST_CHUNK), LARGEST_CHUNK)


def weight_arrays(plan: TilePlan, widest_block: int) -> list[ArraySpec]:
    """Return the arrays of the weighted matrix, in CSR blocks; the widest has a given number of non-zeros."""
    blocks, rows = plan.n_blocks, plan.block_rows + 1
    wide, chunk = (blocks, widest_block), (1, weight_chunk(plan))
    return [
        *named(
            ("block", "row_end"),
            ArraySpec("weights/indptr", (blocks, rows), (1, rows), "int64", BY_BLOCKS),
        ),
        *named(
            ("block", "nonzero"),
            ArraySpec("weights/indices", wide, chunk, "int32", BY_BLOCKS, -1, "indices"),
            ArraySpec("weights/data", wide, chunk, "float32", BY_BLOCKS, codecs="weights"),
        ),
    ]


def link_arrays(plan: TilePlan) -> list[ArraySpec]:
    """Return the array of links: how far before each row the first is that a task connects it with."""
    shape, chunks = (plan.n_blocks, plan.n_rows), (1, min(plan.n_rows, LINKS_CHUNK))
    return named(("block", "row"), ArraySpec("links", shape, chunks, "int64", BY_BLOCKS))


def group_arrays(plan: TilePlan) -> list[ArraySpec]:
    """Return the array of the groups of rows, each named after its first row."""
    spec = ArraySpec("group", (plan.n_rows,), (plan.block_rows,), "int64", UNDIVIDED, -1)
    return named(("row",), spec)


def vector_arrays(plan: TilePlan, matrix: Matrix) -> list[ArraySpec]:
    """Return the arrays of vectors and of labels; a block of very long rows has several chunks."""
    shape = plan.n_rows, matrix.n_columns
    chunks = plan.block_rows, min(max(VECTORS_CHUNK // plan.block_rows, 1), matrix.n_columns)
    vectors = ArraySpec("vectors", shape, chunks, matrix.dtype, BY_ROWS, 0, "indices")
    of_labels = ("", "text", matrix.label_bytes) if matrix.label_type == "str" else ()
    labels = ArraySpec("rows/label", shape[:1], chunks[:1], matrix.label_type, BY_ROWS, *of_labels)
    return named(("row", "column"), vectors, *([labels] if matrix.label_type else []))


def strip_arrays(plan: TilePlan, k: int, values: tuple[str, str]) -> list[ArraySpec]:
    """Return the arrays of strips: the k best neighbors of each row among the candidates of each group."""
    # A group is an axis of its own, so that tiles of one span write different chunks.
    shape, chunks = (plan.n_groups, plan.n_rows, k), (1, plan.block_rows, k)
    return named(
        ("group", "row", "neighbor"),
        ArraySpec("strips/ids", shape, chunks, "int64", BY_TILES, -1),
        ArraySpec("strips/similarities", shape, chunks, values[1], BY_TILES, np.nan),
    )


def result_arrays(plan: TilePlan, k: int, values: tuple[str, str]) -> list[ArraySpec]:
    """Return the arrays of neighbors, and of novelty by the mean, the nearest and the k-th of them."""
    # Where a task was given up, similarities are NaN: 0 is that of a neighbor that does not exist.
    shape, chunks = (plan.n_rows, k), (plan.block_rows, k)
    return named(
        ("row", "neighbor"),
        ArraySpec("neighbors/ids", shape, chunks, "int64", BY_ROWS, -1),
        ArraySpec(f"neighbors/{values[0]}", shape, chunks, values[1], BY_ROWS, np.nan),
        _view("novelty", plan, BY_ROWS),
        _view("novelty_nearest", plan, BY_ROWS),
        _view("novelty_kth", plan, BY_ROWS),
    )


def place_arrays(plan: TilePlan) -> list[ArraySpec]:
    """Return the arrays of the places of rows in the order of a reference, and of the rows that it holds."""
    rows, chunk = (plan.n_rows,), (plan.block_rows,)
    return named(
        ("row",),
        ArraySpec("rows/place", rows, chunk, "int64", BY_ROWS, -1),
        ArraySpec("known", rows, chunk, "bool", BY_ROWS, fill_value=False),
    )


def cited_arrays(plan: TilePlan, k: int, *, is_joined: bool) -> list[ArraySpec]:
    """Return the array of the URLs of rows of a reference that are neighbors, those of each block by id.

    Of several references, also which of them each is a row of, and its number there.
    """
    most = plan.block_rows * k
    shape, chunks = (plan.n_blocks, most), (1, min(most, CITED_CHUNK))
    urls = ArraySpec("neighbors/url", shape, chunks, "str", BY_BLOCKS, "", "text", MAX_BYTES)
    origins = [
        ArraySpec("neighbors/reference", shape, chunks, "int32", BY_BLOCKS, -1),
        ArraySpec("neighbors/row", shape, chunks, "int64", BY_BLOCKS, -1),
    ]
    return named(("block", "distinct_neighbor"), urls, *(origins if is_joined else ()))


def calibration_arrays(plan: TilePlan) -> list[ArraySpec]:
    """Return the arrays of the rows of a reference that are at least as novel, and of those that could be."""
    n, rows, blocks = len(CALIBRATED), plan.n_rows, plan.n_blocks
    at_least = ArraySpec("calibration/at_least", (rows, n), (plan.block_rows, n), "int64", BY_ROWS, -1)
    return [
        *named(("row", "view"), at_least),
        # The same in each row, as no block waits for another.
        *named(("block", "view"), ArraySpec("calibration/others", (blocks, n), (1, n), "int64", BY_BLOCKS)),
    ]


def uncovered_arrays(plan: TilePlan) -> list[ArraySpec]:
    """Return the array of the shares of rows that none of their neighbors has."""
    return [_view("uncovered", plan, BY_STRETCHES)]


def density_arrays(plan: TilePlan) -> list[ArraySpec]:
    """Return the array of local reachability densities, from which outlier factors are computed."""
    return [_view("density", plan, BY_ROWS)]


def lof_arrays(plan: TilePlan) -> list[ArraySpec]:
    """Return the array of local outlier factors."""
    return [_view("lof", plan, BY_ROWS)]


def _view(name: str, plan: TilePlan, division: Division) -> ArraySpec:
    """Return an array of a number for each row, which is undefined until it is computed."""
    array = ArraySpec(name, (plan.n_rows,), (plan.block_rows,), "float64", division, np.nan)
    return array._replace(dimensions=("row",))
