"""Zarr's documents of a run: what each should be, and whether it is.

All of them follow from the manifest, so one that was altered or lost is found, and written again.  The
manifest itself follows from nothing: it has a copy, in the attributes of a group of its own.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import zarr
from zarr.buffer.cpu import Buffer

from novelty_dask.errors import StoreError, UnreachableError, reason
from novelty_dask.objects.protocol import METADATA
from novelty_dask.planning.stages import LASTING_STAGES
from novelty_dask.storage.layout import array_document, layout_of, signature
from novelty_dask.storage.manifest import GROUP, WRITER, has_manifest, read_manifest, write_manifest

if TYPE_CHECKING:
    from novelty_dask.objects.protocol import Objects
    from novelty_dask.planning.shapes import RunShape
    from novelty_dask.storage.manifest import Manifest

ROOT = METADATA
"""Where the manifest is: in the document of the run's own group."""
COPY = f"manifest/{METADATA}"
"""Where the copy of the manifest is: a group, so that Zarr takes no offense at it."""
CONSOLIDATED = "consolidated_metadata"
GROUP_DOCUMENT = json.dumps({**GROUP, "attributes": {}}, indent=2).encode()
"""What stands for a group that holds arrays."""


def document_key(name: str) -> str:
    """Return the key of the document of an array or a group."""
    return f"{name}/{METADATA}"


def read_document(objects: Objects, key: str) -> Any:
    """Return the value of a JSON document; None if there is none, or none that can be read."""
    try:
        return json.loads(objects.read(key))
    except (KeyError, ValueError, RecursionError):
        return None


def load_manifest(url: str, objects: Objects) -> tuple[Manifest, bool]:
    """Return the manifest of a run, and whether that is the copy, as the manifest itself is damaged.

    Raises
    ------
    StoreError
        There is none, or it is of another format, or both are damaged.
    """
    try:
        return read_manifest(url, _read_root(url, objects)), False
    except UnreachableError:
        raise
    except StoreError:
        # Only where the manifest fails: as long as it is sound, an older copy counts for nothing.
        copy = find_manifest(_read_copy(objects))
        if copy is None:
            raise
        return copy, True


def find_manifest(values: Any) -> Manifest | None:
    """Return the manifest in the metadata of a group; None if there is none that is sound."""
    try:
        return read_manifest("", values)
    except StoreError:
        return None


def holds_manifest(objects: Objects) -> bool:
    """Return whether there is a manifest or a copy of one, of any format and whether sound or not."""
    try:
        if has_manifest(_read_root("", objects)):
            return True
    except UnreachableError:
        raise
    except StoreError:
        pass
    return has_manifest(_read_copy(objects))


def _read_root(url: str, objects: Objects) -> Any:
    """Return the values that stand where a run has the metadata of its group."""
    try:
        return json.loads(objects.read(ROOT))
    except KeyError:
        message = f"{url!r} does not hold a run; check the path."
        raise StoreError(message) from None
    except UnreachableError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        message = f"{url!r} can't be opened as a run: {reason(error)}; check the path."
        raise StoreError(message) from None


def _read_copy(objects: Objects) -> Any:
    """Return the values that stand where a run has the copy of its manifest; None if they can't be read."""
    try:
        return read_document(objects, COPY)
    except UnreachableError:
        raise
    except OSError:
        # There is no such place, or it can't be read, as the look at the manifest itself has shown.
        return None


def is_group(values: Any) -> bool:
    """Return whether a document is that of a group, which may have any attributes."""
    return (
        isinstance(values, dict)
        and {**values, **GROUP} == values
        # Zarr itself refuses a document with others.
        and values.keys() <= {*GROUP, "attributes", CONSOLIDATED}
        and isinstance(values.get("attributes", {}), dict)
    )


def is_member(values: Any) -> bool:
    """Return whether a document is that of a group below a run, and not that of a run."""
    return is_group(values) and not has_manifest(values) and not values.get(CONSOLIDATED)


def write_root(manifest: Manifest, document: bytes | None = None) -> bytes:
    """Return the document of a run's own group, which lists the arrays once the run is finished.

    It is made of that of the copy, which may be given, as it takes long to write.

    Readers of Zarr and xarray take the list instead of looking into folders, where they would come upon those
    of commits and owners and warn of each.
    """
    document = document or write_manifest(manifest)
    if not _has_list(manifest):
        return document
    return json.dumps({**json.loads(document), CONSOLIDATED: _listed(manifest.shape)}, indent=2).encode()


def find_altered_manifests(objects: Objects) -> list[str]:
    """Return the keys of the manifest and of its copy, those that are missing or not as they should be."""
    root, copy = read_document(objects, ROOT), read_document(objects, COPY)
    altered = []
    if not (is_group(root) and _has_members(root)):
        altered.append(ROOT)
    # Until its first change a token stands in the manifest, and a killed client may have left no copy of it.
    is_needed = copy is not None or not (is_group(root) and WRITER in root["attributes"])
    if is_needed and not (is_group(copy) and find_manifest(copy)):
        altered.append(COPY)
    return altered


def _has_members(root: dict[str, Any]) -> bool:
    """Return whether the document of a run holds a sound manifest and lists its arrays as they are."""
    manifest = find_manifest(root)
    if manifest is None:
        return False
    if not _has_list(manifest):
        return root.get(CONSOLIDATED) is None
    return _signatures(json.dumps(root)) == _signatures(write_root(manifest).decode())


def _has_list(manifest: Manifest) -> bool:
    """Return whether the arrays of a run are listed: when all of them are there."""
    return manifest.is_over


@lru_cache(maxsize=8)
def _signatures(document: str) -> dict[str, str] | None:
    """Return what Zarr sees below a group by its document alone; None if it can't read it."""
    # By Zarr itself, and not by the bytes: another version of it may write another form of the same.
    store = zarr.storage.MemoryStore({METADATA: Buffer.from_bytes(document.encode())})
    try:
        members = dict(zarr.open_group(store, mode="r", zarr_format=3).members(max_depth=None))
    except Exception:  # noqa: BLE001 - Zarr raises many kinds of errors for malformed metadata
        return None
    return {
        name: signature(member) if isinstance(member, zarr.Array) else "group"
        for name, member in members.items()
    }


@lru_cache(maxsize=16)
def _listed(shape: RunShape) -> dict[str, Any]:
    """Return the list of all arrays that last and of their groups, as Zarr makes it."""
    # In the order and form of Zarr itself, which takes long to make such a list.
    listed: dict[str, Any] = {}
    specs = [spec for stage in LASTING_STAGES for spec in layout_of(shape).of(stage)]
    for spec in specs:
        listed[spec.name] = json.loads(array_document(spec))
        if spec.group:
            listed[spec.group] = {
                "attributes": {},
                "zarr_format": 3,
                CONSOLIDATED: _as_list({}),
                "node_type": "group",
            }
    ordered = sorted(listed, key=lambda name: (name.count("/"), name))
    return _as_list({name: listed[name] for name in ordered})


def _as_list(members: dict[str, Any]) -> dict[str, Any]:
    """Return a list of members as it stands in a document of Zarr."""
    return {"kind": "inline", "must_understand": False, "metadata": members}
