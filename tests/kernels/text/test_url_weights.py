"""Weights of URLs: each block of a row has its share, every row has length 1, and the bytes are the same."""

import hashlib
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.datasets import make_urls
from novelty_dask.kernels.text.tfidf import document_frequency
from novelty_dask.kernels.text.url_features import block_starts, count_url_features
from novelty_dask.kernels.text.url_weights import SHARES, balanced_idf, weigh_balanced

N_FEATURES = 2**16


def expected(counts: sp.csr_matrix, n_rows: int) -> Any:
    """Return the weights of a matrix by the formula, in double precision, column by column."""
    dense = counts.toarray().astype(float)
    frequency = (dense > 0).sum(axis=0)
    idf = np.log((1 + n_rows) / (1 + frequency)) + 1
    weights = np.where(dense > 0, 1 + np.log(np.maximum(dense, 1)), 0) * idf
    starts = block_starts(dense.shape[1])
    for row in weights:
        blocks = [row[first:end] for first, end in pairwise(starts)]
        energies = [math.fsum(block**2) for block in blocks]
        total = sum(share * math.sqrt(energy) for share, energy in zip(SHARES, energies, strict=True))
        for number, (share, energy) in enumerate(zip(SHARES, energies, strict=True)):
            if energy:
                blocks[number] *= math.sqrt(share / (math.sqrt(energy) * total))
    return weights


def weights_of(lines: list[str]) -> sp.csr_matrix:
    """Return the weights of a corpus."""
    counts = count_url_features(lines, N_FEATURES)
    return weigh_balanced(counts, balanced_idf(document_frequency(counts), len(lines)))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text("ab1./?=&#@:", max_size=30), min_size=1, max_size=6))
def test_weights_are_those_of_the_formula(lines: list[str]) -> None:
    counts = count_url_features(lines, 2**10)
    wanted = expected(counts, len(lines))
    idf = balanced_idf(document_frequency(counts), len(lines))
    found = weigh_balanced(counts, idf)
    assert found.data.dtype == np.float32
    assert found.data.min() > 0
    assert found.toarray() == pytest.approx(wanted, rel=1e-5, abs=0)
    assert sp.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-6)


def test_a_missing_block_leaves_its_part_to_the_others() -> None:
    weights = weights_of(["GET /a HTTP/1.1", "http://a.example/b"])
    host, rest, tokens, _ = block_starts(N_FEATURES)
    energy = weights.multiply(weights).tocsc()
    assert energy[0, host:rest].sum() == energy[0, tokens:].sum() == 0
    assert energy[0].sum() == pytest.approx(1, abs=1e-6)
    assert all(
        energy[1, first:end].sum() > 0.1 for first, end in [(host, rest), (rest, tokens), (tokens, None)]
    )


def test_rows_without_features_stay_empty() -> None:
    counts = sp.csr_matrix(np.zeros((2, 8), np.float32))
    assert weigh_balanced(counts, np.ones(8, np.float32)).nnz == 0


def test_weights_have_the_same_bytes_everywhere_and_however_rows_are_cut() -> None:
    lines = make_urls(2_000, seed=5)[0]
    weights = weights_of(lines)
    frequency = document_frequency(count_url_features(lines, N_FEATURES))
    idf = balanced_idf(frequency, len(lines))
    parts = [weigh_balanced(count_url_features(lines[i : i + 700], N_FEATURES), idf) for i in (0, 700, 1_400)]
    assert sp.vstack(parts, format="csr").data.tobytes() == weights.data.tobytes()
    digest = hashlib.sha256(weights.data.astype("<f4").tobytes() + weights.indices.astype("<i4").tobytes())
    assert digest.hexdigest() == "0b053ba767f6255589cb5be60eb8b4815dee7413a39190ef404791f6caaf26f2"
