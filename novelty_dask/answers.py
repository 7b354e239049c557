"""Answers: lines that come one by one, each compared with all rows of a reference as soon as it is there.

An answer has the values that the row of its URL has in a run against the same reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from novelty_dask.engines.postings import PostingsEngine
from novelty_dask.engines.texts import Texts
from novelty_dask.errors import StoreError
from novelty_dask.execution.clusters.resources import local_resources
from novelty_dask.features.choose import make_features
from novelty_dask.kernels.scores import novelty_scores
from novelty_dask.kernels.text.lines import LineBatch, Rejected, read_lines
from novelty_dask.kernels.text.normal_forms import normalize_texts, reject_nameless
from novelty_dask.planning.memory import check_index, index_bytes
from novelty_dask.results.places import find_place
from novelty_dask.storage.references import find_left, find_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from novelty_dask.storage.arrays import RunArrays


class Answer(NamedTuple):
    """Novelty of a URL against a reference.

    Parameters
    ----------
    url : str
    novelty, novelty_nearest, novelty_kth : float
        As in a run; NaN where undefined.
    known : bool
        True if the reference holds the URL.
    neighbors : list of (str, float32)
        Nearest rows of the reference, most similar first, with their similarities.
    """

    url: str
    novelty: float
    novelty_nearest: float
    novelty_kth: float
    known: bool
    neighbors: list[tuple[str, np.float32]]


class Answerer:
    """Comparer of single lines with the rows of a reference, which it indexes when it is made.

    Parameters
    ----------
    path : str
        Path or URL of the reference.
    change : callable, optional
        Makes of a batch of lines the one to score.
    memory_limit : int, optional
        Bytes that the process may use; by default 80 % of what is free.
    since : int, optional
        Microseconds since 1970: rows that were last seen before are not known.

    Raises
    ------
    StoreError, DamageError
        It is no reference, or damaged.
    BudgetError
        The index would take more.
    DiskFullError
        There is no space for the index.
    SettingsError
        The reference has no times, or no row of it was seen since.
    """

    def __init__(
        self,
        path: str,
        change: Callable[[LineBatch], LineBatch] | None = None,
        memory_limit: int | None = None,
        since: int | None = None,
    ) -> None:
        stored = find_reference(path, None)
        assert stored.manifest.plan
        self._settings, self._plan = stored.manifest.settings, stored.manifest.plan
        self._features, self._change = make_features(self._settings), change
        self._is_left = None if since is None else find_left(stored, since)
        self._n_left = self.n_rows if self._is_left is None else int(self._is_left.sum())
        arrays = stored.arrays(is_reference=True)
        self._idf, self._rank = arrays.read("columns/idf"), arrays.read("columns/rank")
        self._urls, frequency = self._read_urls(arrays), self._read_frequency(arrays)
        held = self._rank.size, self._plan.block_rows, stored.manifest.widest_block or 0
        sizes = self.n_rows, frequency.size, int(frequency.sum()), self._urls.characters.size
        projected = index_bytes(*sizes, held)
        check_index(path, projected, local_resources(0, 0, memory_limit=memory_limit).memory_limit)
        self._engine = self._index(arrays, frequency, path)
        # Compiled code is loaded at its first call, which takes seconds: before the first line comes.
        self._compare("https://a.example/")

    @property
    def n_rows(self) -> int:
        """Number of rows of the reference."""
        return self._plan.n_rows

    def _read_urls(self, arrays: RunArrays) -> Texts:
        """Return the URLs of the reference."""
        bounds = (self._plan.bounds(block) for block in range(self._plan.n_blocks))
        return Texts.joined(
            [Texts.of(arrays.read("rows/url", slice(start, stop)).tolist()) for start, stop in bounds]
        )

    def _read_frequency(self, arrays: RunArrays) -> NDArray[np.int64]:
        """Return the rows of the reference that have each column, by the rank of the column."""
        frequency = np.zeros(int(self._rank.max(initial=-1)) + 1, np.int64)
        # The rank of a column that no row has is -1, which would count for the last rank.
        occurring = self._rank >= 0
        frequency[self._rank[occurring]] = arrays.read("columns/document_frequency")[occurring]
        return frequency

    def _index(self, arrays: RunArrays, frequency: NDArray[np.int64], path: str) -> PostingsEngine:
        """Return the rows of the reference by column."""
        engine = PostingsEngine(frequency, self.n_rows)
        for block in range(self._plan.n_blocks):
            start, stop = self._plan.bounds(block)
            try:
                X = arrays.read_csr("weights", block, (stop - start, frequency.size))
                if self._is_left is not None:
                    # Rows that are not known have similarity 0, which is no neighbor's.
                    X.data *= np.repeat(self._is_left[start:stop], np.diff(X.indptr))
                engine.add(X, start)
            except ValueError as error:
                message = f"The weights of the reference {path!r} are damaged: {error}"
                raise StoreError(message) from None
        return engine

    def answer(self, line: bytes) -> Answer | Rejected:
        """Return the novelty of the URL of a line, or why the line has none.

        Parameters
        ----------
        line : bytes
            Without its end.
        """
        # No line is the start of a file: what looks like a byte order mark belongs to it.
        [batch] = read_lines([line + b"\n"], first_chunk_is_start=False)
        batch = self._change(batch) if self._change else batch
        batch = reject_nameless(batch) if self._settings.normal_form == "web" else batch
        return batch.rejected[0] if batch.rejected else self._compare(batch.texts[0])

    def _compare(self, url: str) -> Answer:
        """Return the novelty of a URL."""
        form = self._settings.normal_form
        weights = self._features.weigh(self._features.count(normalize_texts([url], form)), self._idf)
        ranks = self._rank[weights.indices]
        # Columns that the reference lacks count in the length of the row, and meet no other row.
        order = np.argsort(ranks, kind="stable")[np.count_nonzero(ranks < 0) :]
        # In the order of ranks a run adds up products, too: the last bit of a sum depends on it.
        found = self._engine.search(
            ranks[order].astype(np.int64), weights.data[order], self._settings.n_neighbors
        )
        scores = novelty_scores(found.similarities, self._n_left, np.array([weights.nnz > 0]))
        place, is_there = find_place(url, self.n_rows, self._urls.__getitem__, form)
        pairs = zip(found.ids[0].tolist(), found.similarities[0], strict=True)
        return Answer(
            url,
            float(scores.mean[0]),
            float(scores.nearest[0]),
            float(scores.kth[0]),
            is_there and (self._is_left is None or bool(self._is_left[place])),
            [(self._urls[row], value) for row, value in pairs if row >= 0],
        )
