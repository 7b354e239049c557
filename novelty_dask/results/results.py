"""Rows of a complete run, read a block at a time."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from novelty_dask.errors import SettingsError, StoreError
from novelty_dask.kernels.choices import VIEWS
from novelty_dask.results.calibration import Calibration
from novelty_dask.results.records import Places, read_kept
from novelty_dask.results.times import time_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from novelty_dask.results.records import Lines
    from novelty_dask.storage.runs import StoredRun

CACHED_BLOCKS = 16
"""Blocks of URLs kept in memory to look up neighbors, as most neighbors lie in near blocks."""


class Results:
    """Reader of the rows of a run.

    Parameters
    ----------
    run : StoredRun
        A complete run.

    Attributes
    ----------
    arrays : RunArrays
        The arrays of the run.
    places : Places
        The places of its lines in their sources.
    views : tuple of str
        Columns by which rows can be ordered.
    has_urls : bool
        True if rows are lines of text.
    name : str
        What a row is named by: its URL, or its label; empty where rows have numbers alone.
    has_texts : bool
        True if that is text.
    """

    views: tuple[str, ...] = VIEWS
    has_urls: ClassVar[bool] = True
    name: str = "url"
    has_texts: bool = True

    def __init__(self, run: StoredRun) -> None:
        self.arrays = arrays = run.arrays()
        self.places = Places(run.manifest)
        self._keep = run.manifest.settings.keep or ()
        self.n_rows: int = arrays["novelty"].shape[0]
        self.block_rows: int = arrays["novelty"].chunks[0]
        self._cache: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._cited: tuple[int, NDArray[np.int64], NDArray[Any]] | None = None
        reference = run.manifest.reference
        self.is_against = reference is not None
        self._joined = [part.url for part in reference.parts] if reference else []
        self.is_in_time = run.manifest.settings.time_column is not None
        self._since = run.manifest.settings.since

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return -(-self.n_rows // self.block_rows)

    def read(self, name: str, block: int) -> NDArray[Any]:
        """Return one block of an array of rows."""
        return self.arrays.read(name, slice(block * self.block_rows, (block + 1) * self.block_rows))

    def urls(self, ids: NDArray[np.int64]) -> NDArray[Any]:
        """Return the URLs, or labels, of rows, in the shape of `ids`; an id of -1 gives an empty one.

        Raises
        ------
        StoreError
            An id is not the number of a row.
        """
        if ids.size and not -1 <= ids.min() <= ids.max() < self.n_rows:
            message = (
                "The neighbors of the run name rows that it does not have; score again into another path."
            )
            raise StoreError(message)
        urls = np.zeros(ids.size, self.arrays[f"rows/{self.name}"].dtype)
        rows = ids.ravel()
        blocks = np.where(rows < 0, -1, rows // self.block_rows)
        for block in np.unique(blocks[blocks >= 0]):
            in_block = blocks == block
            urls[in_block] = self._block_urls(int(block))[rows[in_block] - block * self.block_rows]
        return urls.reshape(ids.shape)

    def neighbor_urls(self, block: int, ids: NDArray[np.int64]) -> NDArray[Any]:
        """Return the URLs of neighbors of rows of a block; an id of -1 gives an empty string."""
        if not self.is_against:
            return self.urls(ids)
        if self._cited is None or self._cited[0] != block:
            # Those of a reference are kept by the run, each once for the block, in the order of their ids.
            cited = self.arrays.read_cited(slice(block * self.block_rows, (block + 1) * self.block_rows))
            urls = self.arrays.read("neighbors/url", block, slice(cited.size))
            self._cited = block, cited, np.append(urls, np.array([""], np.dtypes.StringDType()))
        _, cited, urls = self._cited
        return np.asarray(urls[np.where(ids < 0, cited.size, np.searchsorted(cited, ids))])

    def calibrate(self, by: str) -> Calibration:
        """Return what judges the values of a column by those of the reference, or of the other rows.

        Raises
        ------
        SettingsError
            The rows of the reference were not compared with all candidates, so their novelty is no measure.
        """
        if self._joined:
            message = (
                f"A row that was compared with {len(self._joined)} references has no p-value: the rows of "
                "each were compared with its own alone; score against one run that holds them all, or leave "
                "out p-values."
            )
            raise SettingsError(message)
        if self._since is not None:
            message = (
                "A row that was compared with what was seen since a time has no p-value: the rows of the "
                "reference were compared with all others; score without since, or leave out p-values."
            )
            raise SettingsError(message)
        return Calibration(self, by)

    def check_view(self, name: str) -> None:
        """Refuse a name that no view has, and a view that rows of this run have not.

        Raises
        ------
        SettingsError
            It is one of these.
        """
        check_view(name)
        if self._joined and name == "lof":
            message = (
                f"Rows that were compared with {len(self._joined)} references have no local outlier factor, "
                "which takes the neighbors of their rows among all; order them by another column."
            )
            raise SettingsError(message)

    def _block_urls(self, block: int) -> NDArray[Any]:
        """Return the URLs, or labels, of a block from the cache, in which the oldest block makes room."""
        if block not in self._cache:
            self._cache[block] = self.read(f"rows/{self.name}", block)
        self._cache.move_to_end(block)
        if len(self._cache) > CACHED_BLOCKS:
            self._cache.popitem(last=False)
        return self._cache[block]

    def mean_url_bytes(self) -> float:
        """Return the mean length of a URL, or of a label that is text."""
        texts = (self.read(f"rows/{self.name}", block) for block in range(self.n_blocks))
        lengths = (np.strings.str_len(text) for text in texts)
        return sum(int(length.sum()) for length in lengths) / self.n_rows

    def check_options(self, order: str, options: Mapping[str, Any]) -> None:
        """Refuse an order and options for which rows of this kind lack something; of lines, none."""

    def table(
        self,
        block: int,
        within: NDArray[np.int64] | None = None,
        *,
        lists: bool = False,
        lines: Lines | None = None,
        calibration: Calibration | None = None,
    ) -> pa.Table:
        """Return rows of a block, with their views and nearest neighbor.

        Parameters
        ----------
        block : int
            Number of the block.
        within : ndarray of int64, optional
            Numbers of rows, counted from the block's first; all by default.
        lists : bool
            True to add all neighbors, most similar first.
        lines : Lines, optional
            A line of each row, to give in place of the first.
        calibration : Calibration, optional
            Adds the column p_value.

        Returns
        -------
        pyarrow.Table
            Columns position, url, count, spellings, novelty, nearest_url and nearest_similarity, with
            `lists` also neighbor_urls and neighbor_similarities, then the other views, and source and line
            of the first occurrence, and what rows keep of its record.  A run that is compared with a
            reference has the column known before these, with several nearest_reference and nearest_row,
            which name the nearest neighbor by its reference and its number there; and one in time the
            columns of `time_columns`.
            Undefined values are null.  With `lines`, a column reason, which is null, precedes what is kept;
            p_value is the last.
        """
        kept = slice(None) if within is None else within
        ids, similarities = (
            self.read("neighbors/ids", block)[kept],
            self.read("neighbors/similarities", block)[kept],
        )
        places = self.places.columns(lines.positions if lines else self.read("rows/position", block)[kept])
        columns = {
            "position": places["position"],
            "url": lines.urls if lines else _text(self._block_urls(block)[kept]),
            "count": pa.array(self.read("rows/count", block)[kept]),
            "spellings": pa.array(self.read("rows/spellings", block)[kept]),
            "novelty": self._view("novelty", block, kept),
            "nearest_url": _text(self.neighbor_urls(block, ids[:, 0]), missing=ids[:, 0] < 0),
            "nearest_similarity": pa.array(similarities[:, 0], mask=ids[:, 0] < 0),
        }
        if lists:
            # Rows may have fewer neighbors than there is room for.
            exists = ids >= 0
            offsets = pa.array(np.concatenate([[0], exists.sum(axis=1).cumsum()]).astype(np.int32))
            urls = _text(self.neighbor_urls(block, ids[exists]))
            columns["neighbor_urls"] = pa.ListArray.from_arrays(offsets, urls)
            columns["neighbor_similarities"] = pa.ListArray.from_arrays(
                offsets, pa.array(similarities[exists])
            )
        # At the end, so that those who count columns find all others where they were.
        columns |= {name: self._view(name, block, kept) for name in VIEWS if name not in columns}
        if self.is_against:
            columns |= self._reference_columns(block, kept, ids[:, 0])
        if self.is_in_time:
            columns |= time_columns(self, block, kept, ids)
        columns |= {"source": places["source"], "line": places["line"]}
        if lines:
            columns["reason"] = pa.nulls(len(lines.urls), pa.string())
        if self._keep:
            records = lines.kept.to_pylist() if lines else self.read("rows/kept", block)[kept].tolist()
            columns |= read_kept(self._keep, records, taken={*columns, "p_value", "marked_url"})
        if calibration:
            p = calibration.read(block)[kept] if len(ids) else np.empty(0)  # Sorts nothing for names alone.
            columns["p_value"] = pa.array(p, mask=np.isnan(p))
        return pa.table(columns)

    def _reference_columns(
        self, block: int, kept: slice | NDArray[np.int64], ids: NDArray[np.int64]
    ) -> dict[str, pa.Array]:
        """Return which rows of a block are known; of several references, where the neighbors of rows are."""
        known = {"known": pa.array(self.read("known", block)[kept])}
        if not self._joined:
            return known
        cited = self.arrays.read_cited(slice(block * self.block_rows, (block + 1) * self.block_rows))
        numbers, rows = (
            self.arrays.read(f"neighbors/{name}", block, slice(cited.size)) for name in ("reference", "row")
        )
        missing = ids < 0
        places = np.where(missing, cited.size, np.searchsorted(cited, ids))
        names = np.array([*self._joined, ""], np.dtypes.StringDType())[np.append(numbers, -1)[places]]
        return known | {
            "nearest_reference": _text(names, missing=missing),
            "nearest_row": pa.array(np.append(rows, -1)[places], mask=missing),
        }

    def _view(self, name: str, block: int, kept: slice | NDArray[np.int64]) -> pa.Array:
        """Return a view of some rows of a block; undefined values are null."""
        view = self.read(name, block)[kept]
        return pa.array(view, mask=np.isnan(view))

    def newest(
        self,
        n: int,
        by: str = "novelty",
        *,
        lists: bool = False,
        least: bool = False,
        kept: NDArray[np.bool_] | None = None,
        calibration: Calibration | None = None,
    ) -> pa.Table:
        """Return the n rows whose view is highest, or lowest, ties by row, with the columns of `table`.

        Rows where it is undefined are left out, and those that are not to be kept.

        Raises
        ------
        SettingsError
            `n` is negative, or there is no such view.
        """
        self.check_view(by)
        if n < 0:
            message = f"Can't give {n} rows; ask for 0 or more."
            raise SettingsError(message)
        rows = np.array([row for _, row in self.best(n, by, least=least, kept=kept)], np.int64)
        return self._rows(rows, lists=lists, calibration=calibration)

    def best(
        self, n: int, by: str, *, least: bool = False, kept: NDArray[np.bool_] | None = None
    ) -> list[tuple[float, int]]:
        """Return view and number of the n rows that `newest` returns, highest views as their negatives."""
        best: list[tuple[float, int]] = []
        for block in range(self.n_blocks):
            start = block * self.block_rows
            keys = self.read(by, block) * (1 if least else -1)
            if kept is not None:
                keys[~kept[start : start + len(keys)]] = np.nan
            # What is undefined or not wanted is NaN, and so comes last and is not counted.
            order = np.argsort(keys, kind="stable")[: min(n, int(np.isfinite(keys).sum()))]
            best += [(float(keys[row]), start + int(row)) for row in order]
            best = sorted(best)[:n]
        return best

    def _rows(self, rows: NDArray[np.int64], *, lists: bool, calibration: Calibration | None) -> pa.Table:
        """Return some rows in their order, reading each block once."""
        blocks, within = np.divmod(rows, self.block_rows)
        # Rows come together block by block; the rank of each in that order puts it back in its place.
        read = partial(self.table, lists=lists, calibration=calibration)
        tables = [read(int(block), within[blocks == block]) for block in np.unique(blocks)]
        table = pa.concat_tables(tables or [read(0, rows)])
        return table.take(np.argsort(np.argsort(blocks, kind="stable")))


def check_view(name: str, views: tuple[str, ...] = VIEWS) -> None:
    """Refuse a name that none of some views has.

    Raises
    ------
    SettingsError
        There is no such view.
    """
    if name not in views:
        message = f"Rows have no view {name!r}; order them by {', '.join(views[:-1])} or {views[-1]}."
        raise SettingsError(message)


def _text(urls: NDArray[Any], missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return text as an array of Arrow."""
    return pa.array(urls.tolist(), pa.string(), mask=missing)
