"""All that a run tells of its rows, as hashes that two runs have in common if they are the same."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import novelty_dask
from novelty_dask.kernels.choices import VIEWS
from tests.support.arrays import listed

FORMATS = ("csv", "jsonl", "parquet", "npz")

Content = dict[str, str]


def content(run: novelty_dask.Run | Path, formats: Iterable[str] = ()) -> Content:
    """Return hashes of all arrays of rows, read from storage, and of exports in some formats."""
    url = str(run) if isinstance(run, Path) else run.url
    opened = novelty_dask.open(url)
    arrays: dict[str, Any] = {
        "urls": np.array(listed(opened.urls[:])),
        "counts": opened.counts[:],
        "positions": opened.positions[:],
        **{name: getattr(opened, name)[:] for name in VIEWS},
        "ids": opened.neighbors.ids[:],
        "similarities": opened.neighbors.similarities[:],
    }
    found = {name: hashlib.sha256(_buffer(value)).hexdigest() for name, value in arrays.items()}
    return {**found, **{name: _export(url, name) for name in formats}}


def _buffer(values: object) -> memoryview:
    """Return the bytes of an array, in the order of its elements."""
    buffer: Any = np.ascontiguousarray(values)
    return memoryview(buffer)


def content_and_exports(run: novelty_dask.Run | Path) -> Content:
    """Return hashes of all arrays of rows, and of exports in all formats."""
    return content(run, FORMATS)


def _export(url: str, name: str) -> str:
    """Return the hash of an export, which is not kept."""
    out = Path(f"{url}.export.{name}")
    novelty_dask.export(url, out)
    found = hashlib.sha256(out.read_bytes()).hexdigest()
    out.unlink()
    return found
