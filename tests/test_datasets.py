import hashlib
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.errors import SettingsError
from tests.support.files import write_lines

RESERVED = (".example", ".test", ".example.com", ".example.org", ".example.net")


def brute_force_novelty(urls: list[str], k: int = 10) -> np.ndarray:
    """Novelty by the definition, with scikit-learn and a dense matrix of all similarities."""
    counts = HashingVectorizer(
        analyzer="char", ngram_range=(3, 3), norm=None, alternate_sign=False, dtype=np.float32
    ).transform(urls)
    rows = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    similarities = (rows @ rows.T).toarray()
    np.fill_diagonal(similarities, -1)
    novelty: np.ndarray = 1 - np.sort(similarities, axis=1)[:, -k:].mean(axis=1)
    return novelty


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_urls_are_the_most_novel(seed: int) -> None:
    urls, planted = make_urls(2_000, seed=seed)
    rows = list(dict.fromkeys(urls))
    novelty = brute_force_novelty(rows)
    most_novel = {rows[i] for i in np.argsort(-novelty)[: len(planted)]}
    found = most_novel & {urls[i] for i in planted}
    assert len(found) >= 0.95 * len(planted)


@pytest.mark.sampled
@pytest.mark.parametrize("by", ["novelty", "novelty_nearest", "uncovered"])
def test_planted_urls_are_the_newest_by_the_default_features(tmp_path: Path, by: str) -> None:
    urls, planted = make_urls(2_000)
    run = novelty_dask.score(write_lines(tmp_path / "urls.txt", urls), workers=0)
    assert np.isin(planted, run.top(len(planted), by=by).position).mean() >= 0.95


@pytest.mark.parametrize("n", [1, 2, 3, 10, 99, 1_000])
def test_counts(n: int) -> None:
    urls, planted = make_urls(n)
    assert len(urls) == n
    assert planted.dtype == np.int64
    assert len(planted) == {1: 0, 1_000: 10}.get(n, 1)
    assert np.array_equal(planted, np.unique(planted))


@pytest.mark.parametrize(("n", "n_planted"), [(1, 0), (1, 1), (50, 0), (50, 20), (50, 50)])
def test_number_of_planted_urls_may_be_chosen(n: int, n_planted: int) -> None:
    urls, planted = make_urls(n, n_planted=n_planted)
    assert (len(urls), len(planted)) == (n, n_planted)


@pytest.mark.parametrize(("n", "n_planted"), [(0, None), (-1, None), (0, 0), (10, -1), (10, 11)])
def test_impossible_counts_are_refused(n: int, n_planted: int | None) -> None:
    with pytest.raises(SettingsError, match="n_planted from 0 to n"):
        make_urls(n, n_planted=n_planted)


def test_planted_urls_are_never_repeated() -> None:
    urls, planted = make_urls(3_000, n_planted=500)
    counts = Counter(urls)
    assert [counts[urls[i]] for i in planted] == [1] * 500


def test_the_corpus_looks_like_a_real_one() -> None:
    urls, planted = make_urls(10_000)
    ordinary = np.delete(np.array(urls, object), planted).tolist()
    sizes = np.array(list(Counter(urlsplit(url).netloc for url in ordinary).values()))
    assert 0.01 < 1 - len(set(urls)) / len(urls) < 0.03
    assert 0.10 < np.mean(sizes < 5) < 0.25
    assert sizes.max() > 500
    assert {urlsplit(url).scheme for url in ordinary} == {"http", "https"}


def test_no_host_can_exist() -> None:
    for url in make_urls(2_000, n_planted=500)[0]:
        assert (urlsplit(url).hostname or "").endswith(RESERVED), url


def test_lines_are_printable_and_have_no_spaces() -> None:
    assert all(url.isprintable() and " " not in url for url in make_urls(2_000, n_planted=500)[0])


def test_the_same_seed_gives_the_same_lines_everywhere() -> None:
    urls, planted = make_urls(500, seed=7)
    digest = hashlib.sha256("\n".join(urls).encode()).hexdigest()
    assert digest[:16] == "313d42c663466def"
    assert planted.tolist() == [38, 181, 270, 304, 438]
    assert make_urls(500, seed=8)[0] != urls


def test_ten_thousand_are_made_in_little_time() -> None:
    start = time.process_time()
    make_urls(10_000)
    assert time.process_time() - start < 0.5
