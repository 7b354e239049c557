"""The arrays of a run as data: their shapes, and which task writes which of their chunks.

Arrays are cut so that no chunk belongs to two tasks.  Sparse blocks are ragged: each block has a row of
its own in arrays far wider than needed, of which only the chunks in use are ever written.
"""

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from novelty_dask.kernels.text.lines import MAX_BYTES, SAMPLE_BYTES, Reason
from novelty_dask.objects.commits import TaskId
from novelty_dask.planning.tiles import Tile, TilePlan

SMALLEST_CHUNK, LARGEST_CHUNK = 2**14, 2**20
"""Non-zeros of a chunk: a few chunks a block, as the last is filled up."""
WIDEST_BLOCK = 2**40
MAXIMUM_CUTS = 64
REJECTED_CHUNK = 65_536
REASON_BYTES = max(map(len, Reason))
ESCAPED = 4
"""Characters for a byte of a sample, at most."""
WHOLE = "all"
"""The item of a stage that has but one task."""

LZ4 = BloscCodec(cname="lz4", clevel=5, shuffle="shuffle")
CODECS: dict[str, tuple[Any, ...]] = {
    "numbers": (LZ4, Crc32cCodec()),
    "text": (ZstdCodec(level=1), Crc32cCodec()),
    # Read often, and by this package alone, which has checksums of its own; weights hardly compress.
    "columns": (LZ4,),
    "weights": (),
}


class ArraySpec(NamedTuple):
    """An array to create; a missing number reads as ``fill_value``."""

    name: str
    stage: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: str
    fill_value: float | str = 0
    codecs: str = "numbers"
    text_bytes: int = 0
    """Most bytes of a text."""

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """The shape of each chunk, also of an empty array, and of the last as it is stored."""
        return tuple(max(1, length) for length in self.chunks)

    def create(self, group: zarr.Group) -> None:
        """Create the empty array."""
        group.create_array(
            self.name,
            shape=self.shape,
            chunks=self.chunk_shape,
            dtype=str if self.dtype == "str" else self.dtype,
            compressors=CODECS[self.codecs] or None,
            fill_value=self.fill_value,
            config={"write_empty_chunks": True},
        )

    def describes(self, found: Any) -> bool:
        """Whether something found under its name is such an array."""
        return isinstance(found, zarr.Array) and _signature(found) == _expected(self)


@lru_cache(maxsize=256)
def _expected(spec: ArraySpec) -> str:
    """The signature of an array made as a specification says, in memory and empty."""
    group = zarr.open_group(zarr.storage.MemoryStore(), mode="w", zarr_format=3)
    spec.create(group)
    made = group[spec.name]
    assert isinstance(made, zarr.Array)
    return _signature(made)


def _signature(made: "zarr.Array[Any]") -> str:
    """All that decides how an array is read."""
    metadata = {name: value for name, value in made.metadata.to_dict().items() if name != "attributes"}
    return json.dumps(metadata, sort_keys=True, default=str)


class Layout:
    """The arrays of one run.

    Parameters
    ----------
    settings, plan, counts : dict
        Of its manifest; arrays that follow from what is not known yet are left out.
    """

    def __init__(self, settings: dict[str, Any], plan: dict[str, int], counts: dict[str, Any]) -> None:
        self.plan = TilePlan(**plan) if plan else None
        specs = rejected_specs(sum(counts["rejected"].values())) if "rejected" in counts else []
        if self.plan:
            specs += block_specs(self.plan, settings["n_features"], settings["n_neighbors"])
        self.specs = {spec.name: spec for spec in specs}

    def of(self, stage: str) -> list[ArraySpec]:
        """The arrays that a stage writes."""
        return [spec for spec in self.specs.values() if spec.stage == stage]

    def spec(self, key: str) -> ArraySpec | None:
        """The array of a chunk; None if no array has it."""
        name, _, chunk = key.rpartition("/c/")
        return self.specs.get(name) if chunk.replace("/", "").isdecimal() else None

    def writer(self, key: str) -> TaskId | None:
        """The task that writes a chunk; None if no array has it.

        >>> plan = {"n_rows": 9, "block_rows": 2, "span_blocks": 2, "group_blocks": 5}
        >>> layout = Layout({"n_features": 8, "n_neighbors": 1}, plan, {})
        >>> layout.writer("strips/ids/c/0/3/0")
        TaskId(stage='compare', item='1-0')
        """
        spec = self.spec(key)
        if spec is None:
            return None
        chunk = key.rpartition("/c/")[2]
        return TaskId(spec.stage, _ITEMS[spec.stage](self.plan, *map(int, chunk.split("/"))))


def tile_item(tile: Tile) -> str:
    """The name of a tile."""
    return f"{tile.span}-{tile.group}"


def _block_item(_plan: TilePlan | None, block: int, *_: int) -> str:
    """The name of the task of a block."""
    return str(block)


def _strip_item(plan: TilePlan | None, group: int, block: int, *_: int) -> str:
    """The name of the task that compares a block with a group."""
    assert plan
    return tile_item(Tile(block // plan.span_blocks, group))


def _whole_item(_plan: TilePlan | None, *_: int) -> str:
    """The name of the only task."""
    return WHOLE


_ITEMS: dict[str, Callable[..., str]] = {
    "rejected": _whole_item,
    "vectorize": _block_item,
    "columns": _whole_item,
    "weigh": _block_item,
    "compare": _strip_item,
    "merge": _block_item,
}


def rejected_specs(n_rejected: int) -> list[ArraySpec]:
    """Rejected lines: number of the source, line in it from 0, reason, and how the line begins."""
    shape, chunks = (n_rejected,), (min(max(n_rejected, 1), REJECTED_CHUNK),)
    return [
        ArraySpec("rejected/source", "rejected", shape, chunks, "int32", -1),
        ArraySpec("rejected/line", "rejected", shape, chunks, "int64", -1),
        ArraySpec("rejected/reason", "rejected", shape, chunks, "str", "", "text", REASON_BYTES),
        ArraySpec("rejected/sample", "rejected", shape, chunks, "str", "", "text", ESCAPED * SAMPLE_BYTES),
    ]


def block_specs(plan: TilePlan, n_features: int, k: int) -> list[ArraySpec]:
    """All that is cut into blocks, and the columns."""
    rows, chunk, blocks = (plan.n_rows,), (plan.block_rows,), plan.n_blocks
    neighbors, neighbors_chunk = (plan.n_rows, k), (plan.block_rows, k)
    return [
        # Distinct URLs, how often each was read, and where first; in how many rows of a block each column is.
        ArraySpec("rows/url", "vectorize", rows, chunk, "str", "", "text", MAX_BYTES),
        ArraySpec("rows/count", "vectorize", rows, chunk, "int64"),
        ArraySpec("rows/position", "vectorize", rows, chunk, "int64", -1),
        ArraySpec("partial_frequency", "vectorize", (blocks, n_features), (1, n_features), "uint32"),
        # The weight of each column, its place, and the break-points between places.
        ArraySpec("columns/document_frequency", "columns", (n_features,), (n_features,), "int64"),
        ArraySpec("columns/idf", "columns", (n_features,), (n_features,), "float32", np.nan),
        ArraySpec("columns/rank", "columns", (n_features,), (n_features,), "int32", -1),
        ArraySpec("columns/cuts", "columns", (MAXIMUM_CUTS,), (MAXIMUM_CUTS,), "int32", -1),
        *sparse_specs("weights", "weigh", blocks, plan.block_rows, "float32"),
        *neighbor_specs("strips", "compare", (plan.n_groups, *neighbors), (1, *neighbors_chunk)),
        *neighbor_specs("neighbors", "merge", neighbors, neighbors_chunk),
        ArraySpec("novelty", "merge", rows, chunk, "float64", np.nan),
    ]


def sparse_specs(name: str, stage: str, n_blocks: int, block_rows: int, dtype: str) -> list[ArraySpec]:
    """A sparse matrix in CSR blocks."""
    wide, chunk = (n_blocks, WIDEST_BLOCK), (1, min(max(16 * block_rows, SMALLEST_CHUNK), LARGEST_CHUNK))
    return [
        ArraySpec(f"{name}/indptr", stage, (n_blocks, block_rows + 1), (1, block_rows + 1), "int64"),
        ArraySpec(f"{name}/indices", stage, wide, chunk, "int32", -1, "columns"),
        ArraySpec(f"{name}/data", stage, wide, chunk, dtype, codecs="weights"),
    ]


def neighbor_specs(
    name: str, stage: str, shape: tuple[int, ...], chunks: tuple[int, ...]
) -> Iterable[ArraySpec]:
    """Neighbors of rows: ids and similarities, of shape (..., rows, k)."""
    return [
        ArraySpec(f"{name}/ids", stage, shape, chunks, "int64", -1),
        ArraySpec(f"{name}/similarities", stage, shape, chunks, "float32", np.nan),
    ]
