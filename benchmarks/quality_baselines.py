"""Other ways to find what is new, to be measured beside the views of novelty_dask.

Each gets what was known and the queries, and returns scores of the queries, higher for what is more novel.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from quality_measures import Scores
from quality_search import Rows, find_neighbors, mean_view
from quality_sets import Part
from quality_urls import pattern_template, split
from scipy.stats import skew
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

from novelty_dask.kernels.search.columns import order_columns
from novelty_dask.kernels.text.tfidf import renumber_columns

Dense = NDArray[np.float64]
_T = TypeVar("_T", sp.csr_matrix, NDArray[np.float64])

LOF_ROWS, SVM_ROWS = 20_000, 10_000
"""Most rows that each learns from, as its cost grows with their square: spread evenly over the reference."""
DIMENSIONS, HASHES, ORDER = 50, 128, 4
START, END = b"\x02", b"\x03"


def host_count(part: Part) -> Scores:
    """Return how rarely the host of each query was seen."""
    return _rarity(part, lambda url: split(url).host)


def template_count(part: Part) -> Scores:
    """Return how rarely the template of each query, by patterns, was seen."""
    return _rarity(part, pattern_template)


def _rarity(part: Part, key: Callable[[str], str]) -> Scores:
    """Return the number of known lines that have the key of each query, negated."""
    known = Counter(map(key, part.reference))
    places = defaultdict(list)
    for place, line in enumerate(part.recent):
        places[key(line)].append(place)
    pairs = zip(map(key, part.queries), part.limits.tolist(), strict=True)
    return -np.array([known[name] + bisect_left(places[name], limit) for name, limit in pairs], np.float64)


def bits_a_character(part: Part) -> Scores:
    """Return the mean surprise of the bytes of each query, in bits."""
    bits, lengths = CharacterModel(part.reference).surprise(part.queries)
    return bits / lengths


def total_bits(part: Part) -> Scores:
    """Return the surprise of each query as a whole, in bits."""
    return CharacterModel(part.reference).surprise(part.queries)[0]


class _Level(NamedTuple):
    """Counts of n-grams of one length, and of what follows each context; keys ascend."""

    grams: NDArray[np.uint32]
    counts: Dense
    contexts: NDArray[np.uint32]
    followed: Dense
    kinds: Dense


class CharacterModel:
    """Language model of bytes: 4-grams that back off to shorter ones (Witten and Bell).

    Parameters
    ----------
    lines : sequence of str
        Known lines.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        codes, _ = _windows(lines)
        self._levels = [_count(codes & _bits(length)) for length in range(1, ORDER + 1)]

    def surprise(self, lines: Sequence[str]) -> tuple[Scores, Scores]:
        """Return the bits of each line, and how many bytes they are of, its end included."""
        codes, lengths = _windows(lines)
        bits = -np.log2(self.probability(codes))
        starts = np.cumsum(lengths) - lengths
        return np.add.reduceat(bits, starts), lengths.astype(np.float64)

    def probability(self, codes: NDArray[np.uint32]) -> Dense:
        """Return the probability of the last byte of each window, given those before it."""
        probability = np.full(codes.size, 1 / 256)
        for length, level in enumerate(self._levels, start=1):
            grams = codes & _bits(length)
            context = grams >> np.uint32(8)
            followed = _look_up(level.contexts, level.followed, context)
            kinds = _look_up(level.contexts, level.kinds, context)
            found = _look_up(level.grams, level.counts, grams) + kinds * probability
            np.divide(found, followed + kinds, out=probability, where=followed > 0)
        return probability


def _bits(length: int) -> np.uint32:
    """Return the bits of the last bytes of a window."""
    return np.uint32((1 << 8 * length) - 1)


def _windows(lines: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return the window that ends at each byte, in its lowest bits, and the number of them of each line."""
    encoded = [START * (ORDER - 1) + line.encode() + END for line in lines]
    sizes = np.array([len(line) for line in encoded])
    text = np.frombuffer(b"".join(encoded), np.uint8).astype(np.uint32)
    is_start = np.zeros(text.size, np.bool_)
    is_start[(np.cumsum(sizes) - sizes)[:, None] + np.arange(ORDER - 1)] = True
    ends = np.flatnonzero(~is_start)
    codes = np.zeros(ends.size, np.uint32)
    for before in range(ORDER):
        codes |= text[ends - before] << np.uint32(8 * before)
    return codes, sizes - (ORDER - 1)


def _count(codes: NDArray[np.uint32]) -> _Level:
    """Return the counts of n-grams."""
    grams, counts = np.unique(codes, return_counts=True)
    contexts, first, kinds = np.unique(grams >> np.uint32(8), return_index=True, return_counts=True)
    followed = np.add.reduceat(counts, first).astype(np.float64)
    return _Level(grams, counts.astype(np.float64), contexts, followed, kinds.astype(np.float64))


def _look_up(keys: NDArray[np.uint32], values: Dense, wanted: NDArray[np.uint32]) -> Dense:
    """Return the values of keys, 0 for those that are not there."""
    place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    return np.where(keys[place] == wanted, values[place], 0)


def local_outlier_factor(rows: Rows) -> Scores:
    """Return scikit-learn's local outlier factor, with cosine distance and 10 neighbors."""
    known = _spread(rows.reference, LOF_ROWS)
    model = LocalOutlierFactor(min(10, known.shape[0] - 1), metric="cosine", algorithm="brute", novelty=True)
    return -np.asarray(model.fit(known).score_samples(rows.queries), np.float64)


def minhash_nearest(rows: Rows) -> Scores:
    """Return 1 minus the largest share of 128 MinHash values of a query that a known row has too."""
    signatures = [_minhash(X) for X in (rows.reference, rows.queries, rows.recent)]
    values = np.unique(np.concatenate(signatures), return_inverse=True)[1].reshape(-1, HASHES)
    # The cosine similarity of rows that have the same weight in 128 columns is the share in common.
    columns = order_columns(np.bincount(values.ravel()))
    weights = np.full(values.size, HASHES**-0.5, np.float32)
    shape = (len(values), columns.document_frequency.size)
    X = sp.csr_matrix((weights, values.ravel().astype(np.int32), np.arange(len(values) + 1) * HASHES), shape)
    X = renumber_columns(X, columns.rank, shape[1])
    ends = np.cumsum([len(signature) for signature in signatures])
    made = Rows(X[: ends[0]], X[ends[0] : ends[1]], X[ends[1] :], rows.limits, columns.breakpoints)
    return mean_view(made, find_neighbors(made, 1))


def _minhash(X: sp.csr_matrix) -> NDArray[np.uint64]:
    """Return the least value of the columns of each row, by 128 hash functions; values tell the function."""
    rng = np.random.default_rng(0)
    factors, terms = rng.integers(0, 2**64, (2, HASHES), np.uint64, endpoint=False)
    signature = np.full((X.shape[0], HASHES), 2**32, np.uint64)
    filled = np.diff(X.indptr) > 0
    columns = X.indices.astype(np.uint64)
    for number in range(HASHES if columns.size else 0):
        hashed = (columns * (factors[number] | np.uint64(1)) + terms[number]) >> np.uint64(32)
        signature[filled, number] = np.minimum.reduceat(hashed, X.indptr[:-1][filled])
    return signature | np.arange(HASHES, dtype=np.uint64) << np.uint64(40)


def embed(rows: Rows) -> tuple[Dense, Dense]:
    """Return reference and queries in the 50 directions in which the reference is largest."""
    svd = TruncatedSVD(min(DIMENSIONS, min(rows.reference.shape) - 1), random_state=0)
    known = svd.fit_transform(rows.reference)
    return known.astype(np.float64), svd.transform(rows.queries).astype(np.float64)


def isolation_forest(known: Dense, queries: Dense) -> Scores:
    """Return the anomaly of queries by random trees."""
    return -np.asarray(IsolationForest(random_state=0).fit(known).score_samples(queries), np.float64)


def one_class_svm(known: Dense, queries: Dense) -> Scores:
    """Return the distance of queries from the inside of a one-class SVM with a Gaussian kernel."""
    model = OneClassSVM(nu=0.1, gamma="scale").fit(_spread(known, SVM_ROWS))
    return -np.asarray(model.score_samples(queries), np.float64)


def ecod(known: Dense, queries: Dense) -> Scores:
    """Return the surprise of queries by the empirical distribution of each dimension (Li and others, 2022).

    >>> ecod(np.arange(9.0)[:, None], np.array([[4.0], [9.0]])).round(2)
    array([0.51, 2.3 ])
    """
    n_known = len(known) + 1
    tails = np.zeros((3, len(queries)))
    is_skewed = np.atleast_1d(skew(known) > 0)
    for values, wanted, to_right in zip(known.T, queries.T, is_skewed, strict=True):
        ordered = np.sort(values)
        below = -np.log((np.searchsorted(ordered, wanted, side="right") + 1) / n_known)
        above = -np.log((n_known - np.searchsorted(ordered, wanted, side="left")) / n_known)
        tails += (below, above, above if to_right else below)
    largest: Scores = tails.max(axis=0)
    return largest


def _spread(X: _T, most: int) -> _T:
    """Return some rows, evenly spread."""
    spread: _T = X[np.linspace(0, X.shape[0] - 1, min(most, X.shape[0])).astype(int)]
    return spread


OF_LINES: dict[str, Callable[[Part], Scores]] = {
    "host count": host_count,
    "template count": template_count,
    "language model, bits a character": bits_a_character,
    "language model, total bits": total_bits,
}
"""Baselines on the lines themselves."""
OF_ROWS: dict[str, Callable[[Rows], Scores]] = {
    "LocalOutlierFactor": local_outlier_factor,
    "MinHash nearest": minhash_nearest,
}
"""Baselines on the features."""
OF_VECTORS: dict[str, Callable[[Dense, Dense], Scores]] = {
    "IsolationForest, SVD": isolation_forest,
    "OneClassSVM, SVD": one_class_svm,
    "ECOD, SVD": ecod,
}
"""Baselines on the features in 50 dimensions."""
