"""The arrays of a run in Zarr: how each is encoded, and which task writes which of their chunks."""

from __future__ import annotations

import json
from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
from zarr.storage import StorePath

from novelty_dask.objects.protocol import METADATA
from novelty_dask.planning.arrays import UNDIVIDED
from novelty_dask.planning.stages import Stage, TaskId, stages_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zarr.abc.store import Store

    from novelty_dask.planning.arrays import ArraySpec
    from novelty_dask.planning.shapes import RunShape
    from novelty_dask.storage.checked import CheckedStore

# Of the codecs that were measured it decodes fastest, at half of the size.
LZ4 = BloscCodec(cname="lz4", clevel=5, shuffle="shuffle")
CODECS: dict[str, tuple[Any, ...]] = {
    "numbers": (LZ4, Crc32cCodec()),
    "text": (ZstdCodec(level=1), Crc32cCodec()),
    # Read often, and by this package alone, which has checksums of its own; weights hardly compress.
    "indices": (LZ4,),
    "weights": (),
}


def find_array(store: CheckedStore, spec: ArraySpec) -> zarr.Array[Any] | None:
    """Return an array, if it is as specified; None if it is absent or altered.  No chunk is decoded."""
    # Read here and not by Zarr, which would take a hundred times as long.
    document = store.find(f"{spec.name}/{METADATA}")
    made = _made(spec)
    if document == array_document(spec):
        # A copy, as users may add attributes to what they open.
        metadata = copy(made.metadata)
        object.__setattr__(metadata, "attributes", {})
        return _open(metadata, store, spec.name)
    try:
        found = _open(json.loads(document or b""), store, spec.name)
    except Exception:  # noqa: BLE001 - Zarr raises many kinds of errors for malformed metadata
        return None
    return found if signature(found) == signature(made) else None


@lru_cache(maxsize=256)
def array_document(spec: ArraySpec) -> bytes:
    """Return the document of an array, as Zarr writes it."""
    alike = spec._replace(
        name="array",
        shape=(1,) * len(spec.shape),
        chunks=(1,) * len(spec.chunks),
        division=UNDIVIDED,
        text_bytes=0,
    )
    values = json.loads(_document_of_zarr(alike))
    values["shape"] = spec.shape
    values["chunk_grid"]["configuration"]["chunk_shape"] = spec.chunk_shape
    return json.dumps(values, indent=2).encode()


@lru_cache(maxsize=256)
def _document_of_zarr(spec: ArraySpec) -> bytes:
    """Return the document that Zarr writes where it creates an array."""
    # Once for all arrays that differ in their lengths alone, as it takes milliseconds.
    documents: dict[str, Any] = {}
    zarr.create_array(
        zarr.storage.MemoryStore(documents),
        shape=spec.shape,
        chunks=spec.chunk_shape,
        dtype=str if spec.dtype == "str" else spec.dtype,
        compressors=CODECS[spec.codecs] or None,
        fill_value=spec.fill_value,
        dimension_names=spec.dimensions or None,
    )
    document: bytes = documents[METADATA].to_bytes()
    return document


@lru_cache(maxsize=256)
def _made(spec: ArraySpec) -> zarr.Array[Any]:
    """Return an array made as a specification says, in memory and empty."""
    return _open(json.loads(array_document(spec)), zarr.storage.MemoryStore(), spec.name)


def _open(metadata: Any, store: Store, name: str) -> zarr.Array[Any]:
    """Return an array in a store, by its metadata."""
    # Otherwise Zarr omits chunks that hold nothing but fill values, which would look like lost ones.
    config: Any = {"write_empty_chunks": True}
    return zarr.Array(zarr.AsyncArray(metadata, StorePath(store, name), config))


def signature(array: zarr.Array[Any]) -> str:
    """Return all metadata that decide how an array is read."""
    # Users may add attributes: they change nothing that is read.
    metadata = {name: value for name, value in array.metadata.to_dict().items() if name != "attributes"}
    return json.dumps(metadata, sort_keys=True, default=str)


class Layout:
    """The arrays of one run, as far as they are known.

    Parameters
    ----------
    shape : RunShape
        The numbers that they follow from.

    Attributes
    ----------
    specs : dict of str to ArraySpec
        By name.
    """

    def __init__(self, shape: RunShape) -> None:
        self.shape = shape
        by_stage = {stage: stage.arrays(shape) for stage in stages_of(shape.matrix)}
        self.specs = {spec.name: spec for specs in by_stage.values() for spec in specs}
        self._stages = {spec.name: stage for stage, specs in by_stage.items() for spec in specs}

    def __reduce__(self) -> tuple[object, tuple[RunShape]]:
        """Return what makes it again, as pickle does when an array travels to a worker."""
        return layout_of, (self.shape,)

    def of(self, stage: Stage) -> list[ArraySpec]:
        """Return the arrays that a stage writes."""
        return [spec for spec in self.specs.values() if self._stages[spec.name] is stage]

    def groups(self, stage: Stage) -> dict[str, list[ArraySpec]]:
        """Return the groups below the run that hold arrays of a stage, and those arrays."""
        groups: dict[str, list[ArraySpec]] = {}
        for spec in self.of(stage):
            if spec.group:
                groups.setdefault(spec.group, []).append(spec)
        return groups

    def spec(self, key: str) -> ArraySpec | None:
        """Return the array of a chunk; None if no array has it."""
        name, _, chunk = key.rpartition("/c/")
        return self.specs.get(name) if chunk.replace("/", "").isdecimal() else None

    def writer(self, key: str) -> TaskId | None:
        """Return the task that writes a chunk; None if no array has it.

        >>> from novelty_dask.planning.shapes import RunShape
        >>> from novelty_dask.planning.tiles import TilePlan
        >>> plan = TilePlan(n_rows=9, block_rows=2, span_blocks=2, group_blocks=5)
        >>> layout = Layout(RunShape(n_features=8, n_neighbors=1, plan=plan))
        >>> layout.writer("strips/ids/c/0/3/0")
        TaskId(stage='compare', item='1-0')
        """
        spec = self.spec(key)
        if spec is None:
            return None
        chunk = [int(number) for number in key.rpartition("/c/")[2].split("/")]
        return self._stages[spec.name].task(spec.division.item(self.shape.plan, chunk))

    def index(self, name: str, item: str, shape: Sequence[int]) -> tuple[int | slice, ...]:
        """Return the part of an array that values of a shape, written by a task, take.

        The task's region of the array leads; in what is left the values may be fewer than there is room for.

        >>> from novelty_dask.planning.shapes import RunShape
        >>> from novelty_dask.planning.tiles import TilePlan
        >>> layout = Layout(RunShape(8, 1, plan=TilePlan(9, 2, 2, 5), widest_block=100))
        >>> layout.index("novelty", "4", (1,))
        (slice(8, 9, None),)
        >>> layout.index("weights/data", "4", (77,))
        (4, slice(None, 77, None))
        """
        region = self.specs[name].division.region(self.shape.plan, item)
        n_sliced = sum(isinstance(part, slice) for part in region)
        return (*region, *(slice(length) for length in shape[n_sliced:]))


@lru_cache(maxsize=16)
def layout_of(shape: RunShape) -> Layout:
    """Return the layout of a shape, made once."""
    return Layout(shape)
