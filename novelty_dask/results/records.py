"""Records that rows were read from: their places, and what rows keep of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from novelty_dask.sources.find import MEMORY

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from numpy.typing import NDArray

    from novelty_dask.sources.find import Source
    from novelty_dask.storage.manifest import Manifest


class Lines(NamedTuple):
    """Accepted lines of the sources, whichever of them rows were first read from.

    Parameters
    ----------
    positions : ndarray of int64, shape (n_lines,)
    urls : pyarrow.Array of str
    kept : pyarrow.Array of str
        Further fields of their records, a list in JSON each.
    """

    positions: NDArray[np.int64]
    urls: pa.Array
    kept: pa.Array


NO_LINES = Lines(np.array([], np.int64), pa.array([], pa.string()), pa.array([], pa.string()))


class Places:
    r"""Places of lines in the sources of a run.

    Parameters
    ----------
    manifest : Manifest
        Of the run.

    Attributes
    ----------
    names : ndarray of str, shape (n_sources,)
        Paths of the sources, URLs where they are in a store, ``-`` for standard input, ``pipe:1`` for a pipe,
        and ``urls`` for what was in memory, with the number of the partition if there are several; bytes that
        are no UTF-8 as ``\xNN``.
    """

    def __init__(self, manifest: Manifest) -> None:
        # Names of files may have bytes that are no text, which no table of text takes.
        paths = (
            _name(source, manifest.sources).encode("utf-8", "surrogateescape") for source in manifest.sources
        )
        names = [path.decode("utf-8", "backslashreplace") for path in paths]
        self.names: NDArray[np.object_] = np.array(names, object)
        lines = manifest.totals.source_lines if manifest.totals else []
        self._starts = np.cumsum([0, *lines], dtype=np.int64)[:-1]

    @property
    def mean_name_bytes(self) -> float:
        """Mean length of a name."""
        return float(np.mean([len(name) for name in self.names])) if len(self.names) else 0

    def find(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the number of the source of each position, and its line there, from 1 as editors have it."""
        # Empty sources begin where the next one does, and have none: the last that begins there has it.
        sources = np.searchsorted(self._starts, positions, side="right") - 1
        return sources.astype(np.int32), positions - self._starts[sources] + 1

    def columns(self, positions: NDArray[np.int64]) -> dict[str, pa.Array]:
        """Return positions, the names of their sources, and their lines there, as columns."""
        sources, lines = self.find(positions)
        return {
            "position": pa.array(positions),
            "source": pa.array(self.names[sources], pa.string()),
            "line": pa.array(lines),
        }


def _name(source: Source, sources: Sequence[Source]) -> str:
    """Return the name of a source among others."""
    # Partitions have numbers of their own, a list needs none.
    return "urls" if source.url.startswith(MEMORY) and len(sources) == 1 else source.path


def read_kept(names: Sequence[str], records: Sequence[str], taken: Container[str]) -> dict[str, pa.Array]:
    """Return further fields of records as columns of text.

    Parameters
    ----------
    names : sequence of str
        Names of the fields.
    records : sequence of str
        For each row a list in JSON.
    taken : container of str
        Names of other columns; a field of such a name gets "record." before it, as often as no column has
        the name.

    Examples
    --------
    >>> columns = read_kept(["seen", "url"], ['["2026", null]'], {"url"})
    >>> {name: column.to_pylist() for name, column in columns.items()}
    {'seen': ['2026'], 'record.url': [None]}
    """
    fields = [json.loads(record) if record else [None] * len(names) for record in records]
    columns = zip(*fields, strict=True) if fields else ([] for _ in names)
    shown = _distinct(names, taken)
    return {name: pa.array(column, pa.string()) for name, column in zip(shown, columns, strict=True)}


def _distinct(names: Sequence[str], taken: Container[str]) -> Iterator[str]:
    """Yield the names under which fields are shown, each of them once.

    >>> [*_distinct(["url", "record.url", "seen"], {"url"})]
    ['record.record.url', 'record.url', 'seen']
    """
    # A field may itself be named as another one would be shown.
    shown = {name for name in names if name not in taken}
    for name in names:
        given = name
        while given in taken or (given in shown and name in taken):
            given = f"record.{given}"
        shown.add(given)
        yield given
