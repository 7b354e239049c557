"""Damage to any file of a run, and what readers of a run find there: this package, Zarr, and xarray."""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr
from hypothesis import strategies as st

from novelty_dask.storage.manifest import ATTRIBUTE, CHECKSUM
from tests.support.content import content

HAS_XARRAY = find_spec("xarray") is not None
"""It is no requirement of the tests; where it is, runs are read with it, too."""
FIGURES = ("stages", "earlier", "memory", CHECKSUM)
"""Of a manifest, what changes when a task is done again."""

View = dict[str, str]


class Damage(NamedTuple):
    """Damage to a file: its path in the run, the kind, a number that says where, and another file to swap."""

    path: str
    kind: str
    place: int
    other: str

    def apply(self, run: Path) -> bool:
        """Damage the file; return whether that changed anything."""
        file, other = run / self.path, run / self.other
        before, theirs = file.read_bytes(), other.read_bytes()
        if self.kind == "swap":
            _replace(file, theirs)
            _replace(other, before)
            return before != theirs
        after = _damaged(before, self.kind, self.place)
        _replace(file, after)
        return after != before


def _damaged(data: bytes, kind: str, place: int) -> bytes | None:
    """Return some bytes damaged; None if they are deleted."""
    if kind == "delete":
        return None
    if not data:
        return data
    if kind == "zero":
        return bytes(len(data))
    if kind == "cut":
        return data[: place % len(data)]
    byte, bit = divmod(place % (8 * len(data)), 8)
    return data[:byte] + bytes([data[byte] ^ 1 << bit]) + data[byte + 1 :]


def _replace(file: Path, data: bytes | None) -> None:
    """Give a file other bytes; those of other runs that it is linked to stay."""
    file.unlink()
    if data is not None:
        file.write_bytes(data)


def damages(run: Path) -> st.SearchStrategy[Damage]:
    """Return a strategy of damages to any file of a run."""
    paths = st.sampled_from(sorted(str(file.relative_to(run)) for file in run.rglob("*") if file.is_file()))
    # More flips than others, as most of them are still JSON, or still a chunk.
    kinds = st.sampled_from(("flip", "flip", "flip", "cut", "zero", "delete", "swap"))
    return st.builds(Damage, paths, kinds, st.integers(0, 2**20), paths)


def linked(run: Path, copy: Path) -> Path:
    """Return a copy of a run that shares its files, which nobody changes in place."""
    return shutil.copytree(run, copy, copy_function=os.link)


# What readers see.


def views(run: Path) -> dict[str, View]:
    """Return what each reader of a run sees: its groups, and the values of arrays that hold anything."""
    seen = {f"zarr {use}": _of_zarr(run, use_consolidated=use) for use in (None, False)}
    if HAS_XARRAY:
        seen["xarray"] = _of_xarray(run)
    with suppress(OSError):
        seen["novelty_dask"] = content(run)
    return seen


def _of_zarr(run: Path, *, use_consolidated: bool | None) -> View:
    """Return all members of a run, by their kind or by a hash of their values."""
    with warnings.catch_warnings():
        # Of folders that are no groups: only where the arrays are listed nobody comes upon them.
        warnings.filterwarnings("ignore", "Object at .* is not recognized as a component")
        group = zarr.open_group(run, mode="r", use_consolidated=use_consolidated)
        return {
            name: _hash(member)
            for name, member in group.members(max_depth=None)
            if isinstance(member, zarr.Group) or _has_chunks(run, name)
        }


def _has_chunks(run: Path, name: str) -> bool:
    """Return whether anything is stored of an array: `resume` makes those anew that wait for their stage."""
    return (run / name.strip("/") / "c").exists()


def _hash(member: Any) -> str:
    """Return a hash of the values of an array."""
    return _hash_of(member[...]) if isinstance(member, zarr.Array) else "group"


def _hash_of(values: Any) -> str:
    """Return a hash of values, and of their type and shape."""
    values = np.asarray(values)
    data = str(values.tolist()).encode() if values.dtype.kind in "TO" else values.tobytes()
    return f"{values.dtype} {values.shape} {hashlib.sha256(data).hexdigest()}"


def _of_xarray(run: Path) -> View:
    """Return all variables of all groups, by a hash of their dimensions and values."""
    import xarray as xr  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - it need not be there

    with warnings.catch_warnings():
        # Of a stopped run, whose arrays are not listed.
        warnings.simplefilter("ignore")
        with xr.open_datatree(run, engine="zarr") as tree:
            return {
                f"{node.path}/{name}": f"{variable.dims} {_hash_of(variable.values)}"
                for node in tree.subtree
                for name, variable in node.data_vars.items()
                if _has_chunks(run, f"{node.path}/{name}")
            }


# What a run is in the end.


def essence(run: Path) -> dict[str, object]:
    """Return all that a run holds, but who made it, when, and what it took."""
    return dict(_essence(run))


def _essence(run: Path) -> Iterator[tuple[str, object]]:
    for file in sorted(file for file in run.rglob("*") if file.is_file()):
        path, data = file.relative_to(run).as_posix(), file.read_bytes()
        top = path.split("/")[0]
        if top in ("zarr.json", "manifest"):
            yield path, _without_figures(json.loads(data))
        elif top == "commits":
            values = json.loads(data.partition(b"\n")[0])
            yield path, (values["fingerprint"], values["objects"], values["task"])
        elif top != "owners":
            yield path, data


def _without_figures(values: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a group without the measurements of its manifest."""
    manifest = values["attributes"][ATTRIBUTE]
    stages = sorted(manifest["stages"])
    kept = {name: value for name, value in manifest.items() if name not in FIGURES}
    return {**values, "attributes": {ATTRIBUTE: {**kept, "stages": stages}}}
