"""Rows of a run of vectors, which have numbers in place of URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from novelty_dask.errors import SettingsError
from novelty_dask.results.results import Results, check_view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from novelty_dask.results.calibration import Calibration
    from novelty_dask.results.records import Lines
    from novelty_dask.storage.runs import StoredRun

VECTOR_VIEWS = ("novelty", "novelty_nearest", "novelty_kth", "lof")
"""Columns by which rows can be ordered, where they have a novelty."""
OF_URLS = ("mark", "every_line", "per_site", "per_template", "ignore")
"""Options that look at URLs."""
NEIGHBOR_BYTES = 16
"""A number and a value, which a row has in place of the URL of a neighbor."""


class VectorResults(Results):
    """Reader of the rows of a run of vectors.

    Attributes
    ----------
    values : {"similarities", "distances"}
        What says how close neighbors are.
    """

    has_urls: ClassVar[bool] = False

    def __init__(self, run: StoredRun) -> None:
        super().__init__(run)
        matrix = run.manifest.identity.matrix
        assert matrix
        self.values, self._value = (
            matrix.value_name,
            "distance" if matrix.metric == "euclidean" else "similarity",
        )
        self.views = VECTOR_VIEWS if matrix.has_novelty else ()
        self.name = "label" if matrix.label_type else ""
        self.has_texts = matrix.label_type == "str"

    def read(self, name: str, block: int) -> NDArray[Any]:
        """Return one block of an array of rows; their positions are their numbers."""
        if name != "rows/position":
            return super().read(name, block)
        return np.arange(block * self.block_rows, min((block + 1) * self.block_rows, self.n_rows))

    def mean_url_bytes(self) -> float:
        """Return what a row has for each neighbor, its label included."""
        return NEIGHBOR_BYTES + (super().mean_url_bytes() if self.has_texts else 0)

    def check_options(self, order: str, options: Mapping[str, Any]) -> None:
        """Refuse an order that vectors lack, and options that look at URLs.

        Raises
        ------
        SettingsError
            It says which.
        """
        given = [name for name in OF_URLS if options.get(name)]
        if given:
            message = f"{given[0]} looks at URLs, and the rows of this run are vectors; leave it out."
            raise SettingsError(message)
        if order != "input" and not self.views:
            message = (
                "Rows that were compared by inner product have no novelty, as a product is no distance; use "
                "run.neighbors, or export them in the order of the input."
            )
            raise SettingsError(message)
        if order != "input":
            check_view(order, self.views)

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
            True to add all neighbors, closest first.
        lines : None
            Rows of vectors are no lines.
        calibration : Calibration, optional
            Adds the column p_value.

        Returns
        -------
        pyarrow.Table
            Columns row, novelty, nearest_row and nearest_similarity or nearest_distance, with `lists` also
            neighbor_rows and neighbor_similarities or neighbor_distances, then the other views.  Rows that
            were compared by inner product have no views.  Where rows have labels, there are label,
            nearest_label and neighbor_labels, each behind its number.
        """
        assert lines is None
        kept = slice(None) if within is None else within
        ids, values = (
            self.read("neighbors/ids", block)[kept],
            self.read(f"neighbors/{self.values}", block)[kept],
        )
        views = {name: self._view(name, block, kept) for name in self.views}
        columns = {"row": pa.array(self.read("rows/position", block)[kept])}
        if self.name:
            columns["label"] = pa.array(self._block_urls(block)[kept].tolist(), self._label_type)
        columns |= {name: view for name, view in views.items() if name == "novelty"}
        columns["nearest_row"] = pa.array(ids[:, 0], mask=ids[:, 0] < 0)
        if self.name:
            columns["nearest_label"] = self._labels(ids[:, 0])
        columns[f"nearest_{self._value}"] = pa.array(values[:, 0], mask=ids[:, 0] < 0)
        if lists:
            exists = ids >= 0
            offsets = pa.array(np.concatenate([[0], exists.sum(axis=1).cumsum()]).astype(np.int32))
            columns["neighbor_rows"] = pa.ListArray.from_arrays(offsets, pa.array(ids[exists]))
            if self.name:
                columns["neighbor_labels"] = pa.ListArray.from_arrays(offsets, self._labels(ids[exists]))
            columns[f"neighbor_{self.values}"] = pa.ListArray.from_arrays(offsets, pa.array(values[exists]))
        columns |= {name: view for name, view in views.items() if name not in columns}
        if calibration:
            p = calibration.read(block)[kept] if len(ids) else np.empty(0)
            columns["p_value"] = pa.array(p, mask=np.isnan(p))
        return pa.table(columns)

    @property
    def _label_type(self) -> pa.DataType:
        """The type of labels."""
        return pa.string() if self.has_texts else pa.int64()

    def _labels(self, ids: NDArray[np.int64]) -> pa.Array:
        """Return the labels of rows; those of rows that do not exist are null."""
        return pa.array(self.urls(ids).tolist(), self._label_type, mask=ids < 0)


def results_of(run: StoredRun) -> Results:
    """Return the reader of the rows of a complete run, be they lines or vectors."""
    return VectorResults(run) if run.manifest.identity.matrix else Results(run)
