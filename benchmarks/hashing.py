"""Counting hashed character 3-grams: novelty_dask beside scikit-learn and other ways to do it.

    python benchmarks/hashing.py --rows 20000 --output hashing.json

All get the same URLs and count the same n-grams.  They take turns, so that what else the machine does strikes
all of them, and the median of the rounds counts, in CPU time of all threads, without imports and compiling.
Those whose packages are not installed (mmh3, polars with polars-hash) are left out.  The counts of each are
compared with those of scikit-learn's vectorizer.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import scipy.sparse as sp
from corpora import corpus_option, name_of, read_corpus
from results import add_entries
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.utils import murmurhash3_32

from novelty_dask.kernels.text.ngrams import count_ngrams

SIZE, N_FEATURES = 3, 2**20
OURS, REFERENCE = "novelty_dask", "scikit-learn HashingVectorizer"

Hash = Callable[[str], int]


@click.command(help=__doc__)
@click.option("--rows", default=20_000, help="URLs to hash.")
@click.option("--rounds", default=5, help="How often each takes its turn.")
@corpus_option
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
def main(*, rows: int, rounds: int, corpus: Path | None, output: Path | None) -> None:
    """Measure all, and compare them."""
    urls = read_corpus(rows, corpus)
    expected = vectorizer(urls)
    results = {name: equal(count(urls), expected) for name, count in COUNTERS.items()}
    seconds = measure(urls, rounds)
    entries = [
        {"name": name, "rows": rows, "us_per_row": seconds[name] / rows * 1e6, "equal": results[name]}
        for name in COUNTERS
    ]
    show(entries)
    add_entries(output, name_of(corpus), entries, ("name", "rows"))


def measure(urls: list[str], rounds: int) -> dict[str, float]:
    """Return the median CPU seconds of each way, measured in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in COUNTERS}
    for _ in range(rounds):
        for name, count in COUNTERS.items():
            began = time.process_time()
            count(urls)
            seconds[name].append(time.process_time() - began)
    return {name: median(each) for name, each in seconds.items()}


def equal(found: sp.csr_matrix, expected: sp.csr_matrix) -> bool:
    """Return whether two matrices have the same arrays."""
    names = ("indptr", "indices", "data")
    return all(np.array_equal(getattr(found, name), getattr(expected, name)) for name in names)


def show(entries: list[dict[str, Any]]) -> None:
    """Print a table."""
    least = next(entry["us_per_row"] for entry in entries if entry["name"] == OURS)
    click.echo(f"{'':38}{'us a URL':>10}{'ours ahead':>12}")
    for entry in entries:
        note = "" if entry["equal"] else "  other counts"
        click.echo(f"{entry['name']:38}{entry['us_per_row']:10.2f}{entry['us_per_row'] / least:11.1f}x{note}")


def ours(urls: list[str]) -> sp.csr_matrix:
    """Count by the kernel of novelty_dask."""
    return count_ngrams(urls, (SIZE, SIZE), N_FEATURES)


def vectorizer(urls: list[str]) -> sp.csr_matrix:
    """Count by scikit-learn's vectorizer, which dask-ml calls for each partition."""
    hashing = HashingVectorizer(
        analyzer="char",
        ngram_range=(SIZE, SIZE),
        n_features=N_FEATURES,
        norm=None,
        alternate_sign=False,
        dtype=np.float32,
    )
    return sp.csr_matrix(hashing.transform(urls))


def ngrams(url: str) -> list[str]:
    """Return the n-grams of a URL, without scikit-learn's care for white space."""
    text = url.lower()
    return [text[i : i + SIZE] for i in range(len(text) - SIZE + 1)]


def hasher_of_strings(urls: list[str]) -> sp.csr_matrix:
    """Count by scikit-learn's hasher, given the n-grams."""
    hasher = FeatureHasher(N_FEATURES, input_type="string", alternate_sign=False, dtype=np.float32)
    return sp.csr_matrix(hasher.transform(map(ngrams, urls)))


def hasher_of_counts(urls: list[str]) -> sp.csr_matrix:
    """Count by scikit-learn's hasher, given distinct n-grams and their counts."""
    hasher = FeatureHasher(N_FEATURES, input_type="pair", alternate_sign=False, dtype=np.float32)
    return sp.csr_matrix(hasher.transform(Counter(ngrams(url)).items() for url in urls))


def one_by_one(hash_ngram: Hash, urls: list[str]) -> sp.csr_matrix:
    """Hash each n-gram by a call from Python."""
    return counted([[abs(hash_ngram(ngram)) % N_FEATURES for ngram in ngrams(url)] for url in urls])


def by_murmurhash3_32(urls: list[str]) -> sp.csr_matrix:
    """Hash n-grams by scikit-learn's function."""
    return one_by_one(murmurhash3_32, urls)


def by_mmh3(urls: list[str]) -> sp.csr_matrix:
    """Hash n-grams by the same function of another package."""
    return one_by_one(import_module("mmh3").hash, urls)


class Columns(dict[str, int]):
    """The columns of all n-grams that were met."""

    def __missing__(self, ngram: str) -> int:
        """Hash an n-gram that has not been met yet."""
        column: int = abs(murmurhash3_32(ngram)) % N_FEATURES
        self[ngram] = column
        return column


def by_dictionary(urls: list[str]) -> sp.csr_matrix:
    """Hash each distinct n-gram once, and look it up where it occurs again."""
    columns = Columns()
    return counted([[columns[ngram] for ngram in ngrams(url)] for url in urls])


def by_numpy(urls: list[str]) -> sp.csr_matrix:
    """Hash all windows of three bytes at once: right only where each character is a byte."""
    encoded = [url.lower().encode() for url in urls]
    sizes = np.array([len(text) for text in encoded])
    text = np.frombuffer(b"".join(encoded), np.uint8).astype(np.uint32)
    k = (text[:-2] | text[1:-1] << 8 | text[2:] << 16) * np.uint32(0xCC9E2D51)
    h = (k << 15 | k >> 17) * np.uint32(0x1B873593) ^ np.uint32(SIZE)
    h = (h ^ h >> 16) * np.uint32(0x85EBCA6B)
    h = (h ^ h >> 13) * np.uint32(0xC2B2AE35)
    columns = np.abs((h ^ h >> 16).view(np.int32)) % N_FEATURES
    across = np.cumsum(sizes)[:-1, None] - np.arange(1, SIZE)
    return csr(np.delete(columns, across.ravel()), np.maximum(sizes - SIZE + 1, 0))


def by_polars(urls: list[str]) -> sp.csr_matrix:
    """Hash and count a table of n-grams by polars and its plugin."""
    pl, hashing = import_module("polars"), import_module("polars_hash")
    last = pl.col("text").str.len_chars().cast(pl.Int64) - (SIZE - 1)
    frame = pl.DataFrame({"text": urls}).with_row_index().with_columns(pl.col("text").str.to_lowercase())
    frame = frame.with_columns(i=pl.int_ranges(0, pl.max_horizontal(last, 0))).explode("i").drop_nulls("i")
    frame = frame.select("index", ngram=pl.col("text").str.slice(pl.col("i"), SIZE))
    hashed = hashing.col("ngram").nchash.murmur32().reinterpret(signed=True).cast(pl.Int64)
    frame = frame.select("index", column=hashed.abs() % N_FEATURES)
    frame = frame.group_by("index", "column").len().sort("index", "column")
    sizes = np.bincount(frame["index"].to_numpy(), minlength=len(urls))
    return csr(frame["column"].to_numpy(), sizes, frame["len"].to_numpy())


def counted(columns: Sequence[Sequence[int]]) -> sp.csr_matrix:
    """Return the counts of the columns of each row."""
    flat = np.fromiter((column for row in columns for column in row), np.int32)
    return csr(flat, list(map(len, columns)))


def csr(columns: Any, sizes: Iterable[int], counts: Any = None) -> sp.csr_matrix:
    """Return a matrix of rows of some sizes, from the columns of all rows one after the other."""
    indptr = np.cumsum([0, *sizes])
    data = np.ones(len(columns), np.float32) if counts is None else counts.astype(np.float32)
    X = sp.csr_matrix((data, columns.astype(np.int32), indptr), shape=(indptr.size - 1, N_FEATURES))
    X.sum_duplicates()
    return X


COUNTERS: dict[str, Callable[[list[str]], sp.csr_matrix]] = {
    OURS: ours,
    REFERENCE: vectorizer,
    "scikit-learn FeatureHasher, strings": hasher_of_strings,
    "scikit-learn FeatureHasher, counts": hasher_of_counts,
    "scikit-learn murmurhash3_32, by n-gram": by_murmurhash3_32,
    "a dictionary of n-grams": by_dictionary,
    "NumPy on windows of bytes, ASCII only": by_numpy,
}
if find_spec("mmh3"):
    COUNTERS["mmh3, by n-gram"] = by_mmh3
if find_spec("polars_hash"):
    COUNTERS["polars and polars-hash"] = by_polars


if __name__ == "__main__":
    main()
