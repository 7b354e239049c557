"""Runs whose rows have their neighbors outside their groups: exact, whole, and what a crowd can't hide."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

import novelty_dask
from novelty_dask.errors import BudgetError, SettingsError, StoreError
from novelty_dask.events import Event, StageFinished
from novelty_dask.planning import tiles
from novelty_dask.planning.stages import GROUP
from novelty_dask.run import Run
from novelty_dask.stages.groups import LARGEST_THRESHOLD
from novelty_dask.storage.runs import StoredRun, open_complete
from tests.support.arrays import listed
from tests.support.content import Content, content
from tests.support.files import write_lines
from tests.support.runs import writable

K = 5
SESSIONS = [f"https://a.example/session/{number * 7**40 % 2**128:032x}" for number in range(60)]
"""Equal but for random tokens, which the features of URLs mask."""
CHAIN = [f"https://c.example/{'x/' * number}end" for number in range(1, 30)]
LINES = [*novelty_dask.datasets.make_urls(900, seed=21)[0], *SESSIONS, *CHAIN, "ab"]
THRESHOLDS = (0.3, 0.5, 0.8, 1)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("lines") / "urls.txt", LINES)


@pytest.fixture(scope="module")
def expected(lines: Path) -> Content:
    return content_outside(novelty_dask.score(lines, outside_groups=0.6, n_neighbors=K, workers=0))


def content_outside(run: Run) -> Content:
    """Return hashes of all that a run tells of its rows, and their groups."""
    return {**content(run), "groups": str(groups_of(run).tolist())}


def groups_of(run: Run) -> np.ndarray:
    """Return the group of each row."""
    return open_complete(run.url).arrays().read("group")


def weights_of(run: Run) -> np.ndarray:
    """Return the weights of all rows."""
    stored = open_complete(run.url)
    arrays, plan = stored.arrays(), stored.manifest.plan
    assert plan
    n_columns = int(arrays.read("columns/breakpoints").max())
    sizes = [stop - start for start, stop in map(plan.bounds, range(plan.n_blocks))]
    blocks = [arrays.read_csr("weights", block, (size, n_columns)) for block, size in enumerate(sizes)]
    dense: np.ndarray = sp.vstack(blocks).toarray().astype(np.float64)
    return dense[:, dense.any(axis=0)]


def neighbors_outside(X: np.ndarray, least: float, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return groups, ids and similarities of the nearest rows outside them, by the definition."""
    similarities = (X @ X.T).astype(np.float32)
    _, labels = connected_components(sp.csr_matrix(similarities >= least), directed=False)
    groups = np.array([np.flatnonzero(labels == label)[0] for label in labels])
    similarities[labels[:, np.newaxis] == labels] = 0
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(similarities, order, axis=1)
    return groups, np.where(best > 0, order, -1), best


@pytest.mark.sampled
@pytest.mark.parametrize("least", THRESHOLDS)
@pytest.mark.parametrize("features", ["url", "ngrams"])
def test_neighbors_are_the_nearest_rows_outside_the_group(lines: Path, features: str, least: float) -> None:
    run = novelty_dask.score(
        lines, outside_groups=least, features=features, n_neighbors=K, block_rows=130, workers=0
    )
    X = weights_of(run)
    groups, ids, similarities = neighbors_outside(X, min(least, LARGEST_THRESHOLD), K)
    np.testing.assert_array_equal(groups_of(run), groups)
    found, stored = np.asarray(run.neighbors.ids[:]), np.asarray(run.neighbors.similarities[:])
    np.testing.assert_allclose(stored, similarities, rtol=0, atol=1e-7)
    # Sums in another order may be rounded apart: the ids are those of rows as similar as they should be.
    rows, places = np.nonzero(found >= 0)
    stated = np.einsum("ij,ij->i", X[rows], X[found[rows, places]])
    np.testing.assert_allclose(stated, stored[rows, places], rtol=0, atol=1e-7)
    assert (groups[found[rows, places]] != groups[rows]).all()
    assert ((found >= 0) == (ids >= 0)).all()
    tied = stored[:, 1:] == stored[:, :-1]
    assert (np.diff(found)[tied & (found[:, 1:] >= 0)] > 0).all()
    defined = X.any(axis=1)
    mean = 1 - stored.astype(np.float64).mean(axis=1)
    np.testing.assert_allclose(np.asarray(run.novelty[:])[defined], mean[defined], rtol=0, atol=1e-12)
    nearest = np.asarray(run.novelty_nearest[:])[defined]
    np.testing.assert_allclose(nearest, 1 - stored[defined, 0].astype(np.float64), rtol=0, atol=1e-12)


def test_the_groups_are_those_of_novelty_groups(lines: Path) -> None:
    alone = novelty_dask.score(lines, n_neighbors=K)
    members = novelty_dask.groups(alone, at_least=0.6, members=True)
    assert members is not None
    first = np.arange(len(alone))
    for _, rows in members.groupby("group").row:
        first[rows] = rows.min()
    run = novelty_dask.score(lines, outside_groups=0.6, n_neighbors=K, block_rows=200)
    assert listed(groups_of(run)) == listed(first)
    assert np.unique(first).size < len(run) - 100


@pytest.mark.sampled
@pytest.mark.parametrize("block_rows", [1_000, 300, 64])
@pytest.mark.parametrize("workers", [0, 2])
def test_the_same_bytes_for_any_cut_and_number_of_workers(
    lines: Path, expected: Content, monkeypatch: pytest.MonkeyPatch, block_rows: int, workers: int
) -> None:
    monkeypatch.setattr(tiles, "SMALLEST_TILE_PAIRS", 1)
    run = novelty_dask.score(lines, outside_groups=0.6, n_neighbors=K, block_rows=block_rows, workers=workers)
    assert content_outside(run) == expected


class StoppedError(Exception):
    """A session that ends, as if it were killed between two stages."""


@pytest.mark.sampled
@pytest.mark.parametrize("stage", ["weigh", "link", "group", "compare", "merge"])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    lines: Path, expected: Content, tmp_path: Path, stage: str
) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, StageFinished) and event.stage == stage:
            raise StoppedError

    out = tmp_path / "run.zarr"
    chosen: dict[str, Any] = {"outside_groups": 0.6, "n_neighbors": K, "block_rows": 200}
    with pytest.raises(StoppedError):
        novelty_dask.score(lines, out, workers=0, listener=stop, **chosen)
    run = novelty_dask.resume(out)
    assert content_outside(run) == expected
    assert not novelty_dask.verify(run, recompute_blocks=99).damages
    assert not (out / "links").exists()


def test_groups_that_were_altered_are_found_and_mended(
    lines: Path, expected: Content, tmp_path: Path
) -> None:
    run = novelty_dask.score(lines, tmp_path / "run.zarr", outside_groups=0.6, n_neighbors=K, block_rows=200)
    chunk = tmp_path / "run.zarr" / "group" / "c" / "2"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    assert [damage.stage for damage in novelty_dask.verify(run).damages] == ["group"]
    assert content_outside(novelty_dask.resume(run)) == expected


def forge_groups(run: StoredRun) -> None:
    """Put a row into another group, with a commit that agrees with it."""
    groups, commit = run.arrays().read("group"), run.commits.get(GROUP.task())
    groups[np.flatnonzero(groups == np.arange(groups.size))[-1]] = 0
    forged, draft = writable(run, GROUP, GROUP.task().item)
    forged["group"][:] = groups
    run.commits.forget(GROUP.task())
    run.commits.add(GROUP.task(), commit._replace(objects={**commit.objects, **draft.digests}))


def test_groups_that_are_no_groups_are_found_by_computing_again(lines: Path, tmp_path: Path) -> None:

    run = novelty_dask.score(lines, tmp_path / "run.zarr", outside_groups=0.6, n_neighbors=K, block_rows=200)
    forge_groups(open_complete(run.url))
    assert not novelty_dask.verify(run).damages
    damages = novelty_dask.verify(run, recompute_blocks=1).damages
    assert "group" in {damage.stage for damage in damages}


CAMPAIGNS: dict[str, tuple[float, list[str]]] = {
    "one host": (0.8, [f"https://login-secure.test/verify/session?user={n * 7919}" for n in range(40)]),
    "forty hosts of one name": (
        0.5,
        [f"https://secure-login.account-{n:02}.example/verify/session?user={n * 7919}" for n in range(40)],
    ),
    "a kit on forty hosts": (
        0.4,
        [
            f"https://{word}{n}.test/wp-content/plugins/office365/login.php?session={n * 7919}"
            for n, word in enumerate(["alpha", "zeta", "kilo", "mono"] * 10)
        ],
    ),
}


@pytest.mark.sampled
@pytest.mark.parametrize(("least", "pages"), CAMPAIGNS.values(), ids=[*CAMPAIGNS])
@pytest.mark.parametrize("seed", range(3))
def test_a_campaign_of_forty_pages_takes_the_first_ranks(least: float, pages: list[str], seed: int) -> None:
    others = list(dict.fromkeys(novelty_dask.datasets.make_urls(420, n_planted=0, seed=seed)[0]))[:400]
    alone = novelty_dask.score(urls=[*others, *pages])
    assert not {*alone.top(40).url} & {*pages}
    run = novelty_dask.score(urls=[*others, *pages], outside_groups=least)
    assert len(run) == 440
    top = run.top(40)
    assert {*top.url} == {*pages}
    assert top.novelty.min() > 0.9


def test_without_groups_the_novelty_is_never_higher(lines: Path) -> None:
    alone = novelty_dask.score(lines, n_neighbors=K)
    run = novelty_dask.score(lines, outside_groups=0.6, n_neighbors=K)
    for name in ("novelty", "novelty_nearest", "novelty_kth"):
        before, after = (np.nan_to_num(np.asarray(getattr(each, name)[:])) for each in (alone, run))
        assert (after >= before).all()
        assert (after > before).sum() > 100


def test_one_group_of_all_rows_leaves_no_neighbor() -> None:
    pages = [f"https://login.test/verify?user={number}" for number in range(1_000, 1_060)]
    run = novelty_dask.score(urls=pages, outside_groups=0.8, n_neighbors=K)
    assert len(run) == 60
    assert (np.asarray(run.novelty[:]) == 1).all()
    assert (np.asarray(run.neighbors.ids[:]) == -1).all()
    assert (np.asarray(run.uncovered[:]) == 1).all()
    assert np.isfinite(np.asarray(run.lof[:])).all()


@pytest.mark.parametrize("value", [0, -0.5, 1.5, float("nan"), True, "much"])
def test_what_is_no_threshold_is_refused(lines: Path, tmp_path: Path, value: Any) -> None:
    with pytest.raises(SettingsError, match=r"Setting outside_groups="):
        novelty_dask.score(lines, tmp_path / "run.zarr", outside_groups=value)
    assert not (tmp_path / "run.zarr").exists()


def test_groups_and_a_reference_exclude_each_other(lines: Path, tmp_path: Path) -> None:
    known = novelty_dask.score(lines, tmp_path / "known.zarr", n_neighbors=K)
    grouped = novelty_dask.score(lines, tmp_path / "grouped.zarr", outside_groups=0.8, n_neighbors=K)
    with pytest.raises(SettingsError, match=r"outside_groups is for rows that are compared with each other"):
        novelty_dask.score(lines, tmp_path / "new.zarr", against=known, outside_groups=0.8)
    with pytest.raises(StoreError, match=r"grouped\.zarr' was scored with outside_groups"):
        novelty_dask.score(lines, tmp_path / "new.zarr", against=grouped)
    assert not (tmp_path / "new.zarr").exists()


def test_memory_is_projected(lines: Path) -> None:
    plan = novelty_dask.plan(lines, outside_groups=0.8, block_rows=300)
    alone = novelty_dask.plan(lines, block_rows=300)
    assert plan.tasks["link"] == plan.tasks["merge"]
    assert plan.tasks["group"] == 1
    assert {"link", "group"} <= {*plan.stage_bytes}
    assert not {"link", "group"} & {*alone.tasks, *alone.stage_bytes}
    assert plan.disk_bytes > alone.disk_bytes
    with pytest.raises(BudgetError, match=r"raise --memory-limit"):
        novelty_dask.plan(lines, outside_groups=0.8, block_rows=300, memory_limit=465 * 10**6)
