"""Selections of rows: from a novelty on, limited for each site and template, most or least novel first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import pyarrow as pa

from novelty_dask.errors import SettingsError
from novelty_dask.results.dismissed import Dismissed
from novelty_dask.results.groups import GROUPS, digests
from novelty_dask.results.ordering import choose_key, tables_in_order

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike
    from pathlib import Path

    from numpy.typing import NDArray

    from novelty_dask.results.calibration import Calibration
    from novelty_dask.results.ordering import Kept
    from novelty_dask.results.results import Results


class Choice(TypedDict, total=False):
    """Keywords of a selection, as `Selection` explains them."""

    min_novelty: float | None
    per_site: int | None
    per_template: int | None
    least: bool
    ignore: str | PathLike[str] | Dismissed | None
    max_p: float | None
    fdr: float | None
    calibrate: bool


@dataclass(frozen=True)
class Selection:
    """Choice of rows, and whether the least novel ones come first.

    Parameters
    ----------
    min_novelty : float, optional
        Least value of the column of the order, or of novelty in the order of the input; rows where it is
        undefined are left out too.
    per_site : int, optional
        Most rows of one site, which is a registered domain; the first in the order are given.
    per_template : int, optional
        Most rows of one template, likewise.  Templates are limited first, and sites after that.
    least : bool
        True to order by the lowest values first.
    ignore : str, path or Dismissed, optional
        File of the hosts, pages and templates to leave out; see `Dismissed`.
    max_p : float, optional
        Largest p-value in the column of the order, in (0, 1]; rows where it is undefined are left out too.
    fdr : float, optional
        False discovery rate, in (0, 1], at which rows are chosen by the procedure of Benjamini and Hochberg.
    calibrate : bool
        True to add p-values also where they choose no rows.

    Raises
    ------
    SettingsError
        One of them is impossible.
    InputError
        The file can't be read.
    """

    min_novelty: float | None = None
    per_site: int | None = None
    per_template: int | None = None
    least: bool = False
    ignore: str | PathLike[str] | Dismissed | None = None
    max_p: float | None = None
    fdr: float | None = None
    calibrate: bool = False

    def __post_init__(self) -> None:
        """Check the values, and read the file."""
        if self.min_novelty is not None and not math.isfinite(self.min_novelty):
            message = f"The least novelty can't be {self.min_novelty}; give a number."
            raise SettingsError(message)
        for name in ("max_p", "fdr"):
            share = getattr(self, name)
            if share is not None and not 0 < share <= 1:
                message = f"A share of {share} is impossible ({name}); give a number above 0, and at most 1."
                raise SettingsError(message)
        for name in ("per_site", "per_template"):
            limit = getattr(self, name)
            if limit is not None and limit < 1:
                message = f"Can't give {limit} rows a {name[4:]} ({name}); give 1 or more, or leave it out."
                raise SettingsError(message)
        if self.ignore is not None:
            object.__setattr__(self, "ignore", Dismissed.read(self.ignore))

    @property
    def leaves_out(self) -> bool:
        """True if any row may be left out."""
        limits = (self.min_novelty, self.per_site, self.per_template, self.ignore, self.max_p, self.fdr)
        return any(limit is not None for limit in limits)

    @property
    def _is_likely_left_out(self) -> bool:
        """True if p-values choose rows."""
        return self.max_p is not None or self.fdr is not None

    def calibration(self, results: Results, order: str) -> Calibration | None:
        """Return what gives p-values, if they are asked for.

        Parameters
        ----------
        results : Results
            A complete run.
        order : str
            "input" or the name of a view.

        Raises
        ------
        SettingsError
            There is no such view, or rows of the run have none, or no p-value.
        """
        results.check_view(_view(order))
        return results.calibrate(_view(order)) if self.calibrate or self._is_likely_left_out else None

    def rows(
        self, results: Results, order: str, calibration: Calibration | None, folder: Path | None = None
    ) -> Kept:
        """Return which rows are wanted, or None if all are.

        Parameters
        ----------
        results : Results
            A complete run.
        order : str
            "input" or the name of a view.
        calibration : Calibration or None
            Made by `calibration` of the same order.
        folder : Path, optional
            Folder for temporary files; the system's by default.
        """
        if not self.leaves_out:
            return None
        view = _view(order)
        kept = np.concatenate([self._keeps(results, view, block) for block in range(results.n_blocks)])
        if calibration and self._is_likely_left_out:
            self._leave_likely(results, calibration, kept)
        # Templates first: a row that is one too many of its template takes no place of its site.
        limits = {
            name: limit
            for name, limit in (("template", self.per_template), ("site", self.per_site))
            if limit is not None
        }
        if not limits:
            return kept
        read, key = partial(_read_groups, results, tuple(limits)), choose_key(order, least=self.least)
        # Digests and not URLs are sorted: they are short, and found where a host has its rows together.
        tables = tables_in_order(results, read, key, 0, folder=folder, kept=kept)
        return _limited(tables, results.n_rows, limits)

    def _leave_likely(self, results: Results, calibration: Calibration, kept: NDArray[np.bool_]) -> None:
        """Leave out the rows whose p-values are too large, in place."""
        limit = 1.0 if self.max_p is None else self.max_p
        if self.fdr is not None:
            limit = min(limit, calibration.limit(self.fdr))
        for block in range(results.n_blocks):
            rows = slice(block * results.block_rows, (block + 1) * results.block_rows)
            # Comparison with NaN is false.
            kept[rows] &= calibration.read(block) <= limit

    def _keeps(self, results: Results, view: str, block: int) -> NDArray[np.bool_]:
        """Return which rows of a block are novel enough, and not dismissed."""
        values = results.read(view, block)
        # Comparison with NaN is false.
        kept = np.ones(len(values), np.bool_) if self.min_novelty is None else values >= self.min_novelty
        if isinstance(self.ignore, Dismissed):
            kept[kept] = self.ignore.keeps(_texts(results, block, np.flatnonzero(kept)))
        return kept


def _view(order: str) -> str:
    """Return the column by which an order chooses rows."""
    return "novelty" if order == "input" else order


def _texts(results: Results, block: int, within: NDArray[np.int64]) -> pa.StringArray:
    """Return the URLs of some rows of a block."""
    return pa.array(results.read("rows/url", block)[within].tolist(), pa.string())


def _limited(tables: Iterable[pa.Table], n_rows: int, limits: dict[str, int]) -> NDArray[np.bool_]:
    """Return the first rows of each group, from tables of rows and their groups."""
    tallies = {name: Tally() for name in limits}
    kept = np.zeros(n_rows, np.bool_)
    for table in tables:
        rows = table["row"].to_numpy()
        chosen = np.arange(len(rows))
        for name, limit in limits.items():
            ranks = tallies[name].add(table[name].to_numpy()[chosen])
            chosen = chosen[ranks < limit]
        kept[rows[chosen]] = True
    return kept


def _read_groups(results: Results, names: tuple[str, ...], block: int, within: NDArray[np.int64]) -> pa.Table:
    """Return digests of the groups of some rows of a block, and the numbers of the rows."""
    urls = _texts(results, block, within)
    groups = {name: digests(GROUPS[name](urls)) for name in names}
    return pa.table({"row": pa.array(block * results.block_rows + within), **groups})


class Tally:
    """How often each of many numbers was seen, in 16 bytes for each."""

    def __init__(self) -> None:
        self._seen = np.array([], np.uint64)
        self._counts = np.array([], np.int64)

    def add(self, numbers: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return how often each number was seen before it, here and in earlier calls.

        >>> tally = Tally()
        >>> tally.add(np.array([7, 7, 5], np.uint64)), tally.add(np.array([5, 6, 7, 5], np.uint64))
        (array([0, 1, 0]), array([1, 0, 2, 2]))
        """
        distinct, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
        # Sorted arrays, as a dictionary of Python would take 100 bytes for each number.
        places = np.searchsorted(self._seen, distinct)
        is_known = places < len(self._seen)
        is_known[is_known] = self._seen[places[is_known]] == distinct[is_known]
        before = np.zeros(len(distinct), np.int64)
        before[is_known] = self._counts[places[is_known]]
        self._counts[places[is_known]] += counts[is_known]
        self._seen = np.insert(self._seen, places[~is_known], distinct[~is_known])
        self._counts = np.insert(self._counts, places[~is_known], counts[~is_known])
        # Stable, so that equal numbers are counted in the order in which they came.
        order = np.argsort(inverse, kind="stable")
        ranks = np.empty(len(numbers), np.int64)
        ranks[order] = np.arange(len(numbers)) - np.repeat(np.cumsum(counts) - counts, counts)
        return ranks + before[inverse]
