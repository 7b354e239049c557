"""The whole way from text to neighbors, against scikit-learn's brute force, and against itself."""

import random
from collections import deque
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster

import novelty_dask
from novelty_dask.events import ignore
from novelty_dask.execution.executors import Outcome, Perform, SerialExecutor
from novelty_dask.objects.owners import claim
from novelty_dask.pipeline.inputs import Inputs
from novelty_dask.pipeline.limits import MemoryLimits
from novelty_dask.pipeline.pipeline import Pipeline
from novelty_dask.pipeline.session import Session
from novelty_dask.planning import tiles
from novelty_dask.planning.budget import Budget
from novelty_dask.sources.find import find_sources
from novelty_dask.storage.runs import create_run, open_stored
from tests.support.arrays import listed
from tests.support.content import Content, content
from tests.support.files import read_real_lines, write_lines
from tests.support.reference import assert_exact, tfidf
from tests.support.runs import make_manifest


def test_made_urls_are_scored_as_scikit_learn_would(tmp_path: Path) -> None:
    urls, _ = novelty_dask.datasets.make_urls(1_500, seed=1)
    run = novelty_dask.score(write_lines(tmp_path / "urls.txt", urls), n_neighbors=5, features="ngrams")
    rows = listed(run.urls[:])
    assert sorted(rows) == sorted(set(urls))
    assert_exact(run.neighbors.ids[:], run.neighbors.similarities[:], tfidf(rows))
    similarities = np.asarray(run.neighbors.similarities[:]).astype(float)
    for found, expected in (
        (run.novelty, similarities.mean(axis=1)),
        (run.novelty_nearest, similarities[:, 0]),
        (run.novelty_kth, similarities[:, -1]),
    ):
        np.testing.assert_allclose(np.asarray(found[:]), 1 - expected, rtol=0, atol=1e-12)


@pytest.mark.corpus
def test_five_thousand_real_urls_are_exact(corpora: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "urls.txt", read_real_lines(corpora, 5_000))
    run = novelty_dask.score(source, block_rows=1_024, features="ngrams")
    assert_exact(run.neighbors.ids[:], run.neighbors.similarities[:], tfidf(listed(run.urls[:])))


@pytest.mark.parametrize("ngram_range", [(3, 3), (2, 4)])
def test_weights_are_those_of_scikit_learn_bit_for_bit(tmp_path: Path, ngram_range: tuple[int, int]) -> None:
    urls, _ = novelty_dask.datasets.make_urls(700, seed=2)
    run = novelty_dask.score(
        write_lines(tmp_path / "urls.txt", urls),
        tmp_path / "run.zarr",
        features="ngrams",
        ngram_range=ngram_range,
        block_rows=256,
    )
    arrays = open_stored(run.url).arrays()
    rank = arrays.read("columns/rank")
    expected = tfidf(listed(run.urls[:]), ngram_range)
    for block in range(3):
        start, stop = block * 256, min((block + 1) * 256, len(run))
        found = arrays.read_csr("weights", block, (stop - start, rank.max() + 1))
        wanted = expected[start:stop]
        wanted.indices = rank[wanted.indices]
        wanted.sort_indices()
        assert found.indices.tobytes() == wanted.indices.astype(np.int32).tobytes()
        assert found.data.tobytes() == wanted.data.tobytes()


EDGES: dict[str, list[str]] = {
    "one row": ["https://a.example/"],
    "two rows": ["https://a.example/", "https://b.example/"],
    "fewer rows than neighbors": [f"https://a.example/{i}" for i in range(7)],
    "all identical": ["https://a.example/x"] * 9,
    "identical features": [f"https://a.example/{case}" for case in ("abc", "ABC", "aBc", "Abc", "abC")],
    "nothing shared": ["aaaa", "bbbb", "cccc"],
    "too short for a feature": ["ab", "https://a.example/1", "https://a.example/2", "z"],
    "only too short": ["ab", "cd"],
}


@pytest.mark.parametrize("urls", EDGES.values(), ids=EDGES.keys())
def test_edges_are_exact_and_defined(tmp_path: Path, urls: list[str]) -> None:
    run = novelty_dask.score(write_lines(tmp_path / "urls.txt", urls), features="ngrams", block_rows=2)
    rows = listed(run.urls[:])
    assert sorted(rows) == sorted(set(urls))
    if len(rows) > 1:
        assert_exact(run.neighbors.ids[:], run.neighbors.similarities[:], tfidf(rows))
    undefined = [len(url) < 3 or len(rows) == 1 for url in rows]
    novelty = np.asarray(run.novelty[:])
    assert np.isnan(novelty).tolist() == undefined
    assert (novelty[~np.array(undefined)] <= 1).all()


def test_missing_neighbors_count_as_similarity_zero(tmp_path: Path) -> None:
    run = novelty_dask.score(write_lines(tmp_path / "urls.txt", ["aaaa", "bbbb", "aaaab"]), features="ngrams")
    novelty = dict(zip(listed(run.urls[:]), listed(run.novelty[:]), strict=True))
    [similarity] = {float(value) for value in run.neighbors.similarities[:].ravel() if value > 0}
    assert novelty["bbbb"] == 1
    assert novelty["aaaa"] == pytest.approx(1 - similarity / 2)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with many near-duplicates, repeated lines and features that tie."""
    urls, _ = novelty_dask.datasets.make_urls(2_500, seed=3)
    ties = [f"https://{case}.example/{i % 7}" for i in range(40) for case in ("TIE", "tie", "Tie")]
    return write_lines(tmp_path_factory.mktemp("source") / "urls.txt", [*urls, *ties])


@pytest.fixture(scope="module")
def expected(source: Path) -> Content:
    return content(novelty_dask.score(source, workers=0))


@pytest.mark.parametrize("block_rows", [200, 777, 2_048])
def test_block_size_does_not_show(source: Path, expected: Content, block_rows: int) -> None:
    assert content(novelty_dask.score(source, workers=0, block_rows=block_rows)) == expected


def test_number_of_groups_does_not_show(
    source: Path, expected: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "LARGEST_TILE_PAIRS", 1)
    run = novelty_dask.score(source, workers=0, block_rows=200)
    assert run.manifest.plan
    assert run.manifest.plan.n_groups == tiles.MAXIMUM_GROUPS - 1
    assert content(run) == expected


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("workers", "processes"), [(1, False), (2, True), pytest.param(1, True, marks=pytest.mark.long)]
)
def test_who_works_does_not_show(
    source: Path, expected: Content, tmp_path: Path, workers: int, processes: bool
) -> None:
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=2,
            processes=processes,
            dashboard_address="127.0.0.1:0",
            memory_limit="4GB",
        ) as cluster,
        Client(cluster) as client,
    ):
        run = novelty_dask.score(source, tmp_path / "run.zarr", client=client, block_rows=512)
        assert content(run) == expected


class ShufflingExecutor(SerialExecutor):
    """Runs the tasks of each phase in random order."""

    def map(self, stage: str, perform: Perform, ready: deque[str]) -> Generator[Outcome, None, None]:
        rng = random.Random(7)
        while ready:
            ready.rotate(rng.randrange(len(ready)))
            yield self._perform(perform, ready.popleft())


def test_order_of_tasks_does_not_show(source: Path, expected: Content, tmp_path: Path) -> None:
    sources = find_sources([str(source)])
    stored = create_run(str(tmp_path / "run.zarr"), make_manifest(sources))
    budget = Budget(n_neighbors=10, n_features=2**20, entries_a_byte=1, threads=1, limit=10**10)
    with claim(stored.objects, stored.url) as owner:
        limits = MemoryLimits(stored.manifest, budget, block_rows=300)
        inputs = Inputs(stored, sources)
        Pipeline(Session(stored, owner.epoch, ShufflingExecutor(), ignore, inputs, limits)).execute()
    assert content(novelty_dask.open(stored.url)) == expected


def test_files_and_their_order_show_only_in_positions(
    source: Path, expected: Content, tmp_path: Path
) -> None:
    lines = source.read_text(encoding="utf-8").splitlines()
    first, second = (
        write_lines(tmp_path / "1.txt", lines[1_000:]),
        write_lines(tmp_path / "2.txt", lines[:1_000]),
    )
    found = content(novelty_dask.score([second, first], workers=0))
    assert found == expected
    swapped = content(novelty_dask.score([first, second], workers=0))
    assert {name for name in swapped if swapped[name] != expected[name]} == {"positions"}


def test_planted_urls_are_the_most_novel(tmp_path: Path) -> None:
    urls, planted = novelty_dask.datasets.make_urls(5_000, seed=4)
    run = novelty_dask.score(write_lines(tmp_path / "urls.txt", urls))
    found = set(run.top(len(planted)).position) & set(planted.tolist())
    assert len(found) >= 0.95 * len(planted)
