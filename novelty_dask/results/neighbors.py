"""Neighbors of all rows, and the forms in which other programs take them."""

from __future__ import annotations

from functools import partial
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from novelty_dask.errors import SettingsError, StoreError
from novelty_dask.results.cards import METRICS, neighbors_card
from novelty_dask.results.edges import Edges, edge_schema, make_edges, scan_edges
from novelty_dask.results.fixed_neighbors import FixedNeighbors, with_self
from novelty_dask.results.formats import write_parquet
from novelty_dask.results.outputs import open_output, writing_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import networkx
    import polars
    import scipy.sparse as sp
    from numpy.typing import NDArray

    from novelty_dask.engines.dense import Metric
    from novelty_dask.results.recall import Recall

Values = Literal["similarity", "distance", "connectivity"]
"""Weights of edges: similarities, distances, or ones."""
VALUES: tuple[Values, ...] = ("similarity", "distance", "connectivity")
BLOCK_ROWS = 65_536
"""Rows that are read at once where the arrays are not cut into chunks."""


class NeighborArrays:
    """Neighbors of all rows, which are read when they are sliced, and the forms that other programs take.

    Parameters
    ----------
    ids : ndarray or zarr.Array of int64, shape (n_rows, n_neighbors)
        Row numbers, closest first, ties by row number; -1 where there are fewer.
    values : ndarray or zarr.Array of float32 or float64, shape (n_rows, n_neighbors)
        Similarities, 0 where there is no neighbor, or Euclidean distances, infinite where there is none.
    metric : {"cosine", "euclidean", "inner_product"}
        What they are: cosines, distances, or products.
    recall : Recall, optional
        Share that was found, if not all were looked for.
    names : (str, zarr.Array of shape (n_rows,)), optional
        What the rows are named by, ``"url"`` or ``"label"``, and these.
    sources : sequence of str
        Files that are not to be replaced.
    n_known : int, optional
        Rows of the reference, if the neighbors are rows of one.
    """

    def __init__(  # noqa: PLR0913 - all but the first two are keywords
        self,
        ids: Any,
        values: Any,
        *,
        metric: Metric = "cosine",
        recall: Recall | None = None,
        names: tuple[str, Any] | None = None,
        sources: Sequence[str] = (),
        n_known: int | None = None,
    ) -> None:
        self.ids, self._values = ids, values
        self.metric, self.recall = metric, recall
        self._weight: Values = "distance" if metric == "euclidean" else "similarity"
        self._names = names
        self._sources = sources
        self._n_known = n_known

    def __iter__(self) -> Iterator[Any]:
        """Yield the two arrays."""
        return iter((self.ids, self._values))

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.ids.shape[0])

    def __repr__(self) -> str:
        """Return one line."""
        return f"<{type(self).__name__} of {len(self):,} rows: {self._said()}>"

    def _repr_html_(self) -> str:
        """Return what they are, and the closest ones of the first rows, for notebooks."""
        return neighbors_card(type(self).__name__, self._said(), *self)

    def _said(self) -> str:
        """Return how many there are, by what, and their recall."""
        recall = f", {self.recall}" if self.recall else ""
        return f"{self.ids.shape[1]:,} of each row, by {METRICS[self.metric]}{recall}"

    @property
    def similarities(self) -> Any:
        """Cosines, -1 to 1, or products: the array of values.

        Raises
        ------
        SettingsError
            The metric is Euclidean.
        """
        if self.metric == "euclidean":
            message = "Neighbors by Euclidean distance have no similarities; use distances."
            raise SettingsError(message)
        return self._values

    @property
    def distances(self) -> Any:
        """Euclidean distances, or 1 minus the cosines, in float64 and in memory.

        Raises
        ------
        SettingsError
            The metric is the inner product.
        """
        return self._values if self.metric == "euclidean" else self._distances(self._values[:])

    def _distances(self, values: Any) -> NDArray[Any]:
        """Return the distances of some values."""
        if self.metric == "inner_product":
            message = "An inner product is no distance; use similarities."
            raise SettingsError(message)
        return np.asarray(values if self.metric == "euclidean" else 1 - np.asarray(values, np.float64))

    @property
    def _n_candidates(self) -> int:
        """The number of rows that neighbors are among."""
        return len(self) if self._n_known is None else self._n_known

    def _check_own(self) -> None:
        """Refuse a form in which rows and neighbors are the same if they are not."""
        if self._n_known is not None:
            message = (
                "The neighbors of this run are rows of its reference; use to_csr, stream_edges, to_reader, "
                "to_parquet or to_polars, without include_self."
            )
            raise SettingsError(message)

    def _blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]]:
        """Yield numbers, neighbors and values of some rows at a time.

        Raises
        ------
        StoreError
            A neighbor is not the number of a row.
        """
        # Chunk by chunk, so that each is read once.
        step = getattr(self.ids, "chunks", (BLOCK_ROWS,))[0]
        # Of no rows, too, a block: whoever joins or writes them needs the types of the columns.
        for start in range(0, max(len(self), 1), step):
            ids, values = (np.asarray(array[start : start + step]) for array in self)
            if ids.size and not -1 <= ids.min() <= ids.max() < self._n_candidates:
                message = (
                    "The neighbors of the run name rows that it does not have; score again into another path."
                )
                raise StoreError(message)
            yield np.arange(start, start + len(ids)), ids, values

    def to_csr(self, values: Values | None = None, *, include_self: bool = False) -> sp.csr_matrix:
        """Return the graph of neighbors as a sparse matrix in memory.

        Parameters
        ----------
        values : {"similarity", "distance", "connectivity"}, optional
            What is stored, or distances or ones, in float64.  Default: what is stored.
        include_self : bool
            True to put each row first among its own neighbors, with cosine 1, or distance 0.

        Returns
        -------
        csr_matrix of shape (n_rows, n_rows), or (n_rows, rows of the reference)
            Entries of each row in the order of their ranks; zeros are stored.  A row has as many as it
            has neighbors.

        Raises
        ------
        SettingsError
            There are no such values; or rows are to be neighbors of themselves, and neighbors are rows of a
            reference, or the metric is the inner product.
        """
        import scipy.sparse as sp  # noqa: PLC0415 - takes long to import

        chosen = values or self._weight
        if chosen not in VALUES:
            message = f"There are no values {values!r}; pass {', '.join(VALUES[:-1])} or {VALUES[-1]}."
            raise SettingsError(message)
        # The whole graph is in memory in this form alone.
        parts = [*self._edges(include_self=include_self)]
        rows, neighbors, _, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(self)))])
        if chosen == "connectivity":
            weights = np.ones(rows.size)
        elif chosen != self._weight:
            weights = self._distances(weights) if chosen == "distance" else self.similarities
        # Given in three parts, entries stay in their order, which tells ranks.
        return sp.csr_matrix((weights, neighbors, starts), shape=(len(self), self._n_candidates))

    def stream_edges(self, *, include_self: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield the edges from rows to their neighbors, those of one chunk of rows at a time.

        Parameters
        ----------
        include_self : bool
            True to put an edge from each row to itself before the others, with rank 0, and cosine 1 or
            distance 0.

        Yields
        ------
        pyarrow.RecordBatch
            Columns row, neighbor, rank, and similarity or distance, in the order of rows and ranks.
        """
        for edges in self._edges(include_self=include_self):
            yield pa.record_batch([pa.array(column) for column in edges], schema=self._schema())

    def _edges(self, *, include_self: bool) -> Iterator[Edges]:
        """Yield the same as arrays."""
        itself = self._weight_of_itself() if include_self else None
        for rows, ids, values in self._blocks():
            yield make_edges(rows, ids, values, itself)

    def _schema(self) -> pa.Schema:
        """Return the schema of edges."""
        return edge_schema(self._weight, self._values.dtype)

    def _weight_of_itself(self) -> float:
        """Return the value of a row and itself."""
        self._check_own()
        if self.metric == "inner_product":
            message = "The products of rows with themselves are not known; leave include_self out."
            raise SettingsError(message)
        return 0.0 if self.metric == "euclidean" else 1.0

    def to_reader(self, *, include_self: bool = False) -> pa.RecordBatchReader:
        """Return the edges of `stream_edges` as a reader of Arrow, which DuckDB and others take.

        Parameters
        ----------
        include_self : bool
            As for `stream_edges`.
        """
        return pa.RecordBatchReader.from_batches(self._schema(), self.stream_edges(include_self=include_self))

    def to_parquet(
        self, out: str | PathLike[str], *, include_self: bool = False, overwrite: bool = False
    ) -> None:
        """Write the edges of `stream_edges` to a Parquet file, which is there when it is whole.

        Parameters
        ----------
        out : str or path
            The file.
        include_self : bool
            As for `stream_edges`.
        overwrite : bool
            True to replace an existing file.

        Raises
        ------
        StoreError
            The file exists, is one of a run or its source, or can't be written.
        DiskFullError
            There is no space for the file; an existing one stays.
        """
        name = fspath(out).removeprefix("file://")
        batches = self.stream_edges(include_self=include_self)
        with writing_errors(name), open_output(name, self._sources, overwrite=overwrite) as output:
            write_parquet((pa.Table.from_batches([batch], self._schema()) for batch in batches), output.file)

    def to_polars(self, *, include_self: bool = False) -> polars.LazyFrame:
        """Return the edges of `stream_edges` as a lazy frame of polars, which reads what a query needs.

        Parameters
        ----------
        include_self : bool
            As for `stream_edges`.

        Raises
        ------
        ImportError
            polars is not installed.
        """
        return scan_edges(self._schema(), partial(self.stream_edges, include_self=include_self))

    def to_umap(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return neighbors as ``precomputed_knn`` of UMAP takes them.

        Returns
        -------
        indices : ndarray of int64, shape (n_rows, n_neighbors + 1)
            The row itself, then its neighbors.  Rows that have fewer get the lowest other numbers.
        distances : ndarray of float32, shape (n_rows, n_neighbors + 1)
            1 minus the cosine, or the Euclidean distance, and 0 for the row itself.

        Raises
        ------
        SettingsError
            Neighbors are rows of a reference, or the metric is the inner product.
        """
        self._check_own()
        # No row has more neighbors than there are others.
        k = min(self.ids.shape[1], len(self) - 1)
        parts = [
            with_self(rows, ids[:, :k], self._distances(values[:, :k]))
            for rows, ids, values in self._blocks()
        ]
        indices, distances = (np.concatenate(part) for part in zip(*parts, strict=True))
        return indices, distances

    def to_scanpy(self) -> FixedNeighbors:
        """Return neighbors as a ``transformer`` of ``scanpy.pp.neighbors``.

        Returns
        -------
        FixedNeighbors
            Takes any data of as many rows, and returns these neighbors.
        """
        return FixedNeighbors(*self.to_umap())

    def to_networkx(self) -> networkx.DiGraph[int]:
        """Return the graph of neighbors of networkx, in memory.

        Returns
        -------
        networkx.DiGraph
            Nodes are row numbers, with the attribute url or label where rows have one; edges have rank, and
            similarity or distance.

        Raises
        ------
        ImportError
            networkx is not installed.
        """
        import networkx  # noqa: PLC0415 - needed for this alone

        self._check_own()
        graph = networkx.DiGraph()
        graph.add_nodes_from(range(len(self)))
        name, array = self._names or ("", np.empty(0))
        for rows, _, _ in self._blocks() if name else ():
            named = zip(rows.tolist(), array[rows[0] : rows[-1] + 1].tolist(), strict=True)
            graph.add_nodes_from((row, {name: each}) for row, each in named)
        for batch in self.stream_edges():
            for edge in batch.to_pylist():
                graph.add_edge(edge.pop("row"), edge.pop("neighbor"), **edge)
        return graph
