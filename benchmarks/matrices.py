"""The matrices that the search is measured on, and the search as a run does it, on one core."""

import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

from novelty_dask.kernels.search.columns import order_columns
from novelty_dask.kernels.search.topk import Block, Neighbors, SearchCounts, prepare, search
from novelty_dask.kernels.text.urls import sort_key

BLOCK_ROWS = 65_536
TOKENS = r"(?u)\b\w+\b"
"""The words of a URL: the text between its punctuation marks."""


class Features(NamedTuple):
    """Features that rows are made of.

    >>> Features.parse("char:3-5")
    Features(analyzer='char', shortest=3, longest=5)
    """

    analyzer: str
    shortest: int
    longest: int

    @classmethod
    def parse(cls, text: str) -> "Features":
        """Parse the form of the command line."""
        analyzer, _, lengths = text.partition(":")
        shortest, _, longest = lengths.partition("-")
        return cls(analyzer, int(shortest), int(longest))


def make_matrix(urls: list[str], features: str) -> sp.csr_matrix:
    """Return weighted rows in sort order: hashed into as many columns as a run has, sublinear TF-IDF.

    Columns that no row has are left out, which the other libraries gain a few percent from.
    """
    analyzer, *lengths = Features.parse(features)
    vectorizer = HashingVectorizer(
        analyzer=analyzer,
        ngram_range=tuple(lengths),
        token_pattern=TOKENS if analyzer == "word" else None,
        norm=None,
        alternate_sign=False,
        dtype=np.float32,
    )
    counts = vectorizer.transform(sorted(urls, key=sort_key))
    counts = counts[:, np.unique(counts.indices)]
    return sp.csr_matrix(TfidfTransformer(sublinear_tf=True).fit(counts).transform(counts, copy=False))


def in_order(X: sp.csr_matrix) -> tuple[sp.csr_matrix, NDArray[np.int32]]:
    """Return a matrix, which is overwritten, with its columns in order, and their break-points."""
    columns = order_columns(np.bincount(X.indices, minlength=X.shape[1]))
    shape = (X.shape[0], columns.document_frequency.size)
    Y = sp.csr_matrix((X.data, columns.rank[X.indices], X.indptr), shape=shape)
    Y.sort_indices()
    return Y, columns.breakpoints


@dataclass(frozen=True)
class Corpus:
    """A matrix with its columns in order, and its rows in blocks, ready to be searched.

    Parameters
    ----------
    X : csr_matrix of shape (rows, columns)
    breakpoints : ndarray of shape (levels,), int32
    blocks : list of Block
        Of `block_rows` rows each; the last may have fewer.
    block_rows : int
    prepare_seconds : float
        CPU seconds that this took.
    """

    X: sp.csr_matrix
    breakpoints: NDArray[np.int32]
    blocks: list[Block]
    block_rows: int
    prepare_seconds: float

    @classmethod
    def of(cls, X: sp.csr_matrix, block_rows: int = BLOCK_ROWS) -> "Corpus":
        """Order the columns of a matrix, which is overwritten, and prepare all blocks, inverted lists too."""
        began = time.process_time()
        Y, breakpoints = in_order(X)
        blocks = [prepare(Y[a : a + block_rows], breakpoints) for a in range(0, Y.shape[0], block_rows)]
        for block in blocks:
            assert block.tiles  # made when they are first asked for
        return cls(Y, breakpoints, blocks, block_rows, time.process_time() - began)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.X.shape[0])

    @property
    def n_tiles(self) -> int:
        """Number of inverted tiles of all blocks."""
        return sum(len(block.tiles) for block in self.blocks)

    def nearest_first(self, row: int) -> list[int]:
        """Return the numbers of all blocks, the nearest to the block of a row first."""
        own = row // self.block_rows
        return sorted(range(len(self.blocks)), key=lambda other: abs(other - own))

    def chunks(self, count: int, rows: int) -> list[range]:
        """Return stretches of consecutive rows, evenly spread, none across two blocks."""
        rows = min(rows, self.block_rows, self.n_rows)
        starts = np.linspace(0, self.n_rows - rows, min(count, self.n_rows // rows)).astype(int)
        ends = [min(start + rows, (start // self.block_rows + 1) * self.block_rows) for start in starts]
        return [range(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]

    def cut(self, rows: range) -> Block:
        """Return consecutive rows as a block of their own."""
        return prepare(self.X[rows.start : rows.stop], self.breakpoints)

    def seed(self, rows: range, k: int) -> Neighbors:
        """Return the neighbors from which a run starts: for each row, the best of the adjacent ones."""
        seeded = Neighbors.empty(len(rows), k)
        for at, row in enumerate(rows):
            first = max(0, row - k)
            window = self.cut(range(first, min(row + k + 1, self.n_rows)))
            found = Neighbors.empty(window.n_rows, k)
            search(window, window, found, row_start=first, candidate_start=first)
            seeded.ids[at], seeded.similarities[at] = found.ids[row - first], found.similarities[row - first]
        return seeded

    def meet(self, rows: Block, first: int, block: int, neighbors: Neighbors) -> SearchCounts:
        """Search one block for neighbors of some rows, the first of which is row `first`."""
        start = block * self.block_rows
        return search(rows, self.blocks[block], neighbors, row_start=first, candidate_start=start)

    def search(self, rows: Block, first: int, neighbors: Neighbors) -> SearchCounts:
        """Search all blocks for neighbors of some rows."""
        work = SearchCounts()
        for block in self.nearest_first(first):
            work += self.meet(rows, first, block, neighbors)
        return work
