"""Runs whose rows are compared with those of a reference: exact, whole, and refused where they can't be."""

import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

import novelty_dask
from novelty_dask.errors import SettingsError, StoreError
from novelty_dask.events import Event, StageFinished
from novelty_dask.features.choose import make_features
from novelty_dask.kernels.choices import VIEWS
from novelty_dask.kernels.text.normal_forms import normalize_texts
from novelty_dask.planning import tiles
from novelty_dask.planning.stages import CALIBRATE
from novelty_dask.run import Run
from novelty_dask.settings import ResultSettings, Settings
from novelty_dask.storage.runs import open_stored
from tests.support.arrays import listed
from tests.support.content import Content, content
from tests.support.damage import forge
from tests.support.files import write_lines
from tests.support.reference import TOLERANCE, count_features

N_KNOWN, K = 1_500, 5
TOKENS = [f"https://a.example/session/{uuid.UUID(int=number * 7**40 % 2**128).hex}" for number in range(40)]
"""Equal but for random tokens, which the features of URLs mask: all are as similar as can be."""
UNSEEN = "ÅÆØ÷ÞßðÿÅÆØ÷ÞßðÿÅÆØ÷Þ"
KNOWN = [*novelty_dask.datasets.make_urls(N_KNOWN, seed=11)[0], *TOKENS[:25], "ab", "https://A.example/Case"]
NEW = [
    *novelty_dask.datasets.make_urls(300, seed=12)[0],
    *KNOWN[100:160],
    *TOKENS[20:],
    "https://a.example/Case/",
    UNSEEN,
    "ab",
    "z",
]
SETTINGS: dict[str, dict[str, Any]] = {
    "url, page": {},
    "url, raw": {"normal_form": "raw"},
    "url, template": {"normal_form": "template"},
    "ngrams, raw": {"features": "ngrams"},
    "ngrams, page": {"features": "ngrams", "ngram_range": (2, 4), "normal_form": "page"},
}


@pytest.fixture(scope="module", params=[*SETTINGS.values()], ids=[*SETTINGS])
def reference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A reference, which no test changes."""
    folder = tmp_path_factory.mktemp("reference")
    lines = write_lines(folder / "known.txt", KNOWN)
    return novelty_dask.score(lines, folder / "ref.zarr", n_neighbors=K, block_rows=400, **request.param)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A reference by default settings, which no test changes."""
    folder = tmp_path_factory.mktemp("usual")
    lines = write_lines(folder / "known.txt", KNOWN)
    return novelty_dask.score(lines, folder / "ref.zarr", block_rows=400)


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("new") / "new.txt", NEW)


@pytest.fixture(scope="module")
def expected(usual: Run, new: Path) -> Content:
    return content_against(novelty_dask.score(new, against=usual, workers=0))


def content_against(run: Run) -> Content:
    """Return hashes of all that a run tells of its rows, and which of them are known."""
    assert run.known is not None
    table = run.top_table(1_000, by="novelty", lists=True, redact=False)
    told = {name: str(hash(str(table[name].to_pylist()))) for name in ("neighbor_urls", "known")}
    p_values = {
        f"p_value of {by}": str(run.top(1_000, by=by, calibrate=True).p_value.tolist()) for by in VIEWS
    }
    return {**content(run), **told, **p_values, "all known": str(np.asarray(run.known[:]).tolist())}


def matrices(reference: Run, run: Run) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """Return the rows of both as they should be: weights by the document frequencies of the reference."""
    settings = reference.manifest.settings
    known, new = (normalize_texts(listed(each.urls[:]), settings.normal_form) for each in (reference, run))
    if settings.ngram_range:
        counts = [count_features(texts, settings.ngram_range) for texts in (known, new)]
        transformer = TfidfTransformer(sublinear_tf=True).fit(counts[0])
        X, Y = (sp.csr_matrix(transformer.transform(each)) for each in counts)
        return X, Y
    features = make_features(settings)
    counts = [features.count(texts) for texts in (known, new)]
    frequency = np.asarray((counts[0] > 0).sum(axis=0)).ravel().astype(np.int64)
    idf = features.inverse_document_frequency(frequency, len(known))
    X, Y = (features.weigh(each, idf) for each in counts)
    return X, Y


@pytest.mark.sampled
def test_neighbors_are_those_of_brute_force(reference: Run, new: Path) -> None:
    run = novelty_dask.score(new, against=reference, block_rows=100)
    X, Y = (each.astype(np.float64) for each in matrices(reference, run))
    search = NearestNeighbors(n_neighbors=K, metric="cosine", algorithm="brute").fit(X)
    distances, _ = search.kneighbors(Y)
    ids, similarities = np.asarray(run.neighbors.ids[:]), np.asarray(run.neighbors.similarities[:])
    np.testing.assert_allclose(similarities, 1 - distances, rtol=0, atol=TOLERANCE)
    assert ((ids >= 0) == (similarities > 0)).all()
    rows, ranks = np.nonzero(ids >= 0)
    stated = np.asarray(Y[rows].multiply(X[ids[rows, ranks]]).sum(axis=1)).ravel()
    np.testing.assert_allclose(stated, similarities[rows, ranks], rtol=0, atol=TOLERANCE)
    # Of equally similar ones, those whose rows come first, each once.
    tied = similarities[:, 1:] == similarities[:, :-1]
    assert (np.diff(ids)[tied & (ids[:, 1:] >= 0)] > 0).all()
    has_features = np.diff(Y.indptr) > 0
    mean = np.where(has_features, 1 - similarities.astype(float).mean(axis=1), np.nan)
    np.testing.assert_allclose(np.asarray(run.novelty[:]), np.clip(mean, 0, 1), rtol=0, atol=1e-12)


@pytest.mark.sampled
def test_what_the_reference_holds_is_known(reference: Run, new: Path) -> None:
    run = novelty_dask.score(new, against=reference, block_rows=100)
    form = reference.manifest.settings.normal_form
    there, here = (normalize_texts(listed(each.urls[:]), form) for each in (reference, run))
    assert run.known is not None
    known = np.asarray(run.known[:])
    assert known.tolist() == [form in set(there) for form in here]
    assert 60 < known.sum() < len(run) - 200
    similarities, novelty = np.asarray(run.neighbors.similarities[:]), np.asarray(run.novelty[:])
    nearest = similarities[known & ~np.isnan(novelty), 0]
    np.testing.assert_allclose(nearest, 1, rtol=0, atol=TOLERANCE)
    rows = run.top(len(run), by="novelty_nearest")
    assert rows.known.sum() == known.sum() - (np.isnan(novelty) & known).sum()


@pytest.mark.sampled
def test_only_unseen_features_are_as_novel_as_can_be(reference: Run, new: Path) -> None:
    run = novelty_dask.score(new, against=reference, block_rows=100)
    [row] = [row for row, url in enumerate(listed(run.urls[:])) if url == UNSEEN]
    if reference.manifest.settings.features == "ngrams":
        assert listed(run.neighbors.ids[row]) == [-1] * K
        assert (listed(run.novelty[:])[row], listed(run.uncovered[:])[row]) == (1, 1)
    else:
        # Some of its structure is everybody's.
        assert listed(run.novelty[:])[row] > 0.8


@pytest.mark.sampled
def test_views_are_those_of_brute_force(reference: Run, new: Path) -> None:
    run = novelty_dask.score(new, against=reference, block_rows=100)
    X, Y = (each.astype(np.float64) for each in matrices(reference, run))
    ids, uncovered = np.asarray(run.neighbors.ids[:]), np.asarray(run.uncovered[:])
    for row in range(0, len(run), 7):
        neighbors = ids[row][ids[row] >= 0]
        there = set(X[neighbors].indices.tolist()) if len(neighbors) else set()
        columns, values = Y[row].indices, Y[row].data ** 2
        left = sum(value for column, value in zip(columns, values, strict=True) if column not in there)
        share = left / values.sum() if len(values) else np.nan
        np.testing.assert_allclose(uncovered[row], share, rtol=1e-5, atol=1e-7)
    fitted = LocalOutlierFactor(n_neighbors=K, metric="cosine", algorithm="brute", novelty=True).fit(X)
    distances, found = fitted.kneighbors(Y, n_neighbors=K + 1)
    inside = fitted.kneighbors(X[found[:, :K].ravel()], n_neighbors=K + 2)[0]
    gaps = np.diff(inside, axis=1)[:, -2:].min(axis=1).reshape(-1, K).min(axis=1)
    # Ties at k are decided otherwise, and enter by densities; equal places by the rounding of distances.
    is_clear = (np.diff(distances)[:, -1] > 1e-6) & (gaps > 1e-6) & (distances[:, 0] > 1e-3)
    is_clear &= np.diff(Y.indptr) > 0
    assert is_clear.sum() > 20
    scores = -fitted.score_samples(Y)
    np.testing.assert_allclose(np.asarray(run.lof[:])[is_clear], scores[is_clear], rtol=1e-3)


@pytest.mark.sampled
@pytest.mark.parametrize("block_rows", [64, 200, 2_048])
def test_blocks_of_new_rows_do_not_show(usual: Run, new: Path, expected: Content, block_rows: int) -> None:
    run = novelty_dask.score(new, against=usual, workers=0, block_rows=block_rows)
    assert content_against(run) == expected


@pytest.mark.sampled
@pytest.mark.parametrize("block_rows", [100, 5_000])
def test_blocks_of_the_reference_do_not_show(
    new: Path, expected: Content, tmp_path: Path, block_rows: int
) -> None:
    lines = write_lines(tmp_path / "known.txt", KNOWN)
    other = novelty_dask.score(lines, tmp_path / "ref.zarr", block_rows=block_rows)
    assert content_against(novelty_dask.score(new, against=other, workers=0)) == expected


@pytest.mark.long
def test_groups_and_workers_do_not_show(
    usual: Run, new: Path, expected: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "SMALLEST_TILE_PAIRS", 1)
    run = novelty_dask.score(
        new, tmp_path / "new.zarr", against=usual, workers=2, block_rows=200, memory_limit="2 GB"
    )
    assert run.manifest.plan
    assert run.manifest.plan.n_groups > 1
    assert content_against(run) == expected


class StoppedError(Exception):
    """A session that ends, as if it were killed between two stages."""


@pytest.mark.sampled
@pytest.mark.parametrize(
    "stage", ["columns", "weigh", "locate", "compare", "merge", "cite", "cover", "lof", "calibrate"]
)
def test_a_stopped_run_goes_on_to_the_same_bytes(
    usual: Run, new: Path, expected: Content, tmp_path: Path, stage: str
) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, StageFinished) and event.stage == stage:
            raise StoppedError

    out = tmp_path / "new.zarr"
    with pytest.raises(StoppedError):
        novelty_dask.score(new, out, against=usual, workers=0, block_rows=200, listener=stop)
    run = novelty_dask.resume(out)
    assert content_against(run) == expected
    assert not novelty_dask.verify(run, recompute_blocks=9).damages


def test_a_complete_run_needs_its_reference_no_more(new: Path, expected: Content, tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "known.txt", KNOWN)
    reference = novelty_dask.score(lines, tmp_path / "ref.zarr", block_rows=400)
    run = novelty_dask.score(new, tmp_path / "new.zarr", against=reference)
    shutil.rmtree(reference.url)
    assert content_against(novelty_dask.open(run)) == expected
    assert not novelty_dask.verify(run).damages
    rows = novelty_dask.open(run).top(10, lists=True)
    assert any(listed(urls) for urls in rows.neighbor_urls)
    assert len(list(run.find_marks(rows))) == 10
    novelty_dask.export(run, tmp_path / "rows.csv")
    cut = run.top(10, by="lof", max_p=0.1)
    assert len(cut)
    novelty_dask.export(run, tmp_path / "cut.csv", order="lof", max_p=0.1)
    assert len((tmp_path / "cut.csv").read_text(encoding="utf-8").splitlines()) >= 1 + len(cut)
    assert '"known"' in (tmp_path / "rows.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert content_against(novelty_dask.resume(run)) == expected


def test_to_compute_again_takes_the_reference(new: Path, tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "known.txt", KNOWN)
    reference = novelty_dask.score(lines, tmp_path / "ref.zarr", block_rows=400)
    run = novelty_dask.score(new, tmp_path / "new.zarr", against=reference, block_rows=200)
    shutil.rmtree(reference.url)
    with pytest.raises(StoreError, match=r"ref\.zarr' does not hold a run.*new\.zarr' is compared with it"):
        novelty_dask.verify(run, recompute_blocks=1)


EDGES: dict[str, tuple[list[str], list[str]]] = {
    "one known row": (["https://a.example/x"], ["https://a.example/y", "zzzz", "https://a.example/x"]),
    "known rows without features": (["ab", "cd"], ["https://a.example/", "ab", "q"]),
    "new rows without features": (["https://a.example/", "https://b.example/"], ["ab", "z"]),
    "nothing shared": (["aaaa", "bbbb"], ["cccc", "dddd"]),
    "more new rows than known ones": (["abcd", "abce"], [f"abc{number}" for number in range(40)]),
    "more twins than neighbors": (
        [f"https://a.example/{number:05b}".translate({48: 97, 49: 65}) for number in range(32)],
        ["https://a.example/abABa", "https://a.example/AAAAA"],
    ),
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("known", "new_lines"), EDGES.values(), ids=[*EDGES])
@pytest.mark.parametrize("block_rows", [1, 2, 50])
def test_edges_are_exact_and_defined(
    tmp_path: Path, known: list[str], new_lines: list[str], block_rows: int
) -> None:
    chosen: dict[str, Any] = {"features": "ngrams", "block_rows": block_rows, "n_neighbors": 3}
    reference = novelty_dask.score(write_lines(tmp_path / "known.txt", known), tmp_path / "r.zarr", **chosen)
    lines = write_lines(tmp_path / "new.txt", new_lines)
    run = novelty_dask.score(lines, against=reference, block_rows=block_rows)
    X, Y = (each.toarray().astype(np.float64) for each in sparse_rows(reference, run))
    expected = -np.sort(-(Y @ X.T), axis=1)[:, :3]
    found = np.asarray(run.neighbors.similarities[:])[:, : expected.shape[1]]
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    is_defined = Y.any(axis=1)
    for view in (run.novelty, run.novelty_nearest, run.novelty_kth, run.uncovered):
        values = np.asarray(view[:])
        assert (~np.isnan(values)).tolist() == is_defined.tolist()
        assert ((values[is_defined] >= 0) & (values[is_defined] <= 1)).all()
    assert run.known is not None
    assert np.asarray(run.known[:]).tolist() == [url in known for url in listed(run.urls[:])]
    assert len(run.to_dataframe(lists=True).compute()) == len(run)
    assert not novelty_dask.verify(run, recompute_blocks=99).damages


def sparse_rows(reference: Run, run: Run) -> list[sp.csr_matrix]:
    """Return the rows of both without the columns that are empty in both."""
    X, Y = matrices(reference, run)
    used = np.union1d(X.indices, Y.indices)
    return [sp.csr_matrix(each[:, used]) for each in (X, Y)]


def begin(new: Path, out: Path, reference: Run) -> None:
    """Begin a run and stop it before its rows are compared."""

    def stop(event: Event) -> None:
        if isinstance(event, StageFinished) and event.stage == "weigh":
            raise StoppedError

    with pytest.raises(StoppedError):
        novelty_dask.score(new, out, against=reference, workers=0, listener=stop)


def test_a_reference_that_is_gone_or_another_is_refused_by_name(
    new: Path, expected: Content, tmp_path: Path
) -> None:
    lines = write_lines(tmp_path / "known.txt", KNOWN)
    reference = novelty_dask.score(lines, tmp_path / "ref.zarr", block_rows=400)
    begin(new, tmp_path / "new.zarr", reference)
    shutil.move(reference.url, tmp_path / "moved.zarr")
    with pytest.raises(StoreError, match=r"ref\.zarr.*--against"):
        novelty_dask.resume(tmp_path / "new.zarr")
    other = novelty_dask.score(write_lines(tmp_path / "other.txt", KNOWN[5:]), tmp_path / "ref.zarr")
    with pytest.raises(StoreError, match=r"ref\.zarr.*has changed"):
        novelty_dask.resume(tmp_path / "new.zarr")
    with pytest.raises(StoreError, match=r"its reference '.*ref\.zarr' has changed"):
        novelty_dask.score(new, tmp_path / "new.zarr", against=other)
    with pytest.raises(StoreError, match=r"its reference is '.*ref\.zarr' there and none here"):
        novelty_dask.score(new, tmp_path / "new.zarr")
    # The same at another path is the same.
    run = novelty_dask.score(new, tmp_path / "new.zarr", against=tmp_path / "moved.zarr")
    assert run.reference == str(tmp_path / "moved.zarr")
    assert content_against(run) == expected


@pytest.mark.sampled
@pytest.mark.parametrize("name", ["weights/data", "rows/url", "novelty_kth", "density"])
def test_damage_of_a_reference_is_found_and_named(new: Path, tmp_path: Path, name: str) -> None:
    lines = write_lines(tmp_path / "known.txt", KNOWN)
    reference = novelty_dask.score(lines, tmp_path / "ref.zarr", block_rows=400)
    begin(new, tmp_path / "new.zarr", reference)
    [chunk, *_] = sorted(path for path in Path(reference.url, name, "c").rglob("*") if path.is_file())
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(StoreError, match=r"The reference '.*ref\.zarr' is damaged: .*`novelty resume"):
        novelty_dask.resume(tmp_path / "new.zarr")
    novelty_dask.resume(reference)
    novelty_dask.resume(tmp_path / "new.zarr")


@pytest.mark.sampled
@pytest.mark.parametrize(
    "name",
    [
        "known",
        "rows/place",
        "neighbors/url",
        "neighbors/ids",
        "weights/data",
        "calibration/at_least",
        "calibration/others",
    ],
)
def test_damage_of_a_run_is_found_and_mended(
    usual: Run, new: Path, expected: Content, tmp_path: Path, name: str
) -> None:
    run = novelty_dask.score(new, tmp_path / "new.zarr", against=usual, workers=0)
    [chunk, *_] = sorted(path for path in Path(run.url, name, "c").rglob("*") if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-3])
    assert novelty_dask.verify(run).damages
    assert content_against(novelty_dask.resume(run)) == expected


@pytest.mark.parametrize("name", ["calibration/at_least", "calibration/others"])
def test_calibration_that_was_forged_is_found_by_computing_again(
    usual: Run, new: Path, tmp_path: Path, name: str
) -> None:
    run = novelty_dask.score(new, tmp_path / "new.zarr", against=usual, workers=0)

    def count_one_more(values: Any) -> None:
        values[..., 1] += 1

    forge(Path(run.url), CALIBRATE.task("0"), name, count_one_more)
    assert not novelty_dask.verify(run).damages
    [damage] = novelty_dask.verify(run, recompute_blocks=1).damages
    assert str(damage).startswith(
        f"Array {name!r} (stage calibrate, task 0) differs from a fresh computation"
    )


def test_a_store_of_objects_can_hold_the_reference(new: Path, expected: Content, tmp_path: Path) -> None:
    url = f"memory://{uuid.uuid4().hex}/ref.zarr"
    reference = novelty_dask.score(write_lines(tmp_path / "known.txt", KNOWN), url, workers=0, block_rows=400)
    run = novelty_dask.score(new, tmp_path / "new.zarr", against=reference, workers=0)
    assert run.reference == url
    assert content_against(run) == expected


def test_other_settings_are_refused(usual: Run, new: Path) -> None:
    others: dict[str, Any] = {
        "features": "ngrams",
        "normal_form": "raw",
        "n_neighbors": 3,
        "n_features": 2**20,
    }
    for name, value in others.items():
        with pytest.raises(SettingsError, match=rf"The reference '.*ref\.zarr' was scored with {name}="):
            novelty_dask.score(new, against=usual, settings=Settings.make(**{name: value}))
    assert novelty_dask.score(new, against=usual, n_neighbors=10).manifest.settings.n_neighbors == 10


def test_what_is_no_reference_is_refused(usual: Run, new: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.zarr"
    (tmp_path / "empty").mkdir()
    for name, words in (
        ("", "is no name of a run"),
        (str(tmp_path / "empty"), "does not hold a run"),
        (str(out), "is where the run is to be stored"),
        (f"{out}/ref.zarr", "is where the run is to be stored"),
        ("memory://user:secret@bucket/ref.zarr", "has credentials"),
    ):
        with pytest.raises(StoreError, match=words) as caught:
            novelty_dask.score(new, out, against=name)
        assert "secret" not in str(caught.value)
    with pytest.raises(StoreError, match="inside the run"):
        novelty_dask.score(new, f"{usual.url}/new.zarr", against=usual)
    assert not out.exists()
    run = novelty_dask.score(new, out, against=usual)
    with pytest.raises(StoreError, match=r"new\.zarr' was itself compared with a reference"):
        novelty_dask.score(new, against=run)
    begin(new, tmp_path / "begun.zarr", usual)
    with pytest.raises(StoreError, match=r"begun\.zarr' is not complete"):
        novelty_dask.score(new, against=tmp_path / "begun.zarr")


def test_another_version_is_refused(
    usual: Run, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("novelty_dask.storage.references.this_version", lambda: "99.9")
    with pytest.raises(StoreError, match=r"The reference '.*' was made by novelty_dask .*this is 99\.9"):
        novelty_dask.score(new, tmp_path / "new.zarr", against=usual)


def test_the_cost_grows_with_the_new_rows(usual: Run, new: Path, tmp_path: Path) -> None:
    few = write_lines(tmp_path / "few.txt", NEW[:40])
    small, large = (novelty_dask.score(source, against=usual) for source in (few, new))
    counts = [each.manifest.stages["compare"] for each in (small, large, usual)]
    for name in ("multiply_adds", "slots", "adjacent"):
        first, second, all_of_them = (count[name] for count in counts)
        assert first < second / 3, name
        assert second < all_of_them, name


def test_a_plan_counts_the_reference(usual: Run, new: Path) -> None:
    alone, against = novelty_dask.plan(new), novelty_dask.plan(new, against=usual)
    for stage in ("locate", "cite", "calibrate"):
        assert against.tasks[stage] == against.tasks["merge"]
    assert "locate" not in alone.tasks
    assert against.tiles.known_rows == len(usual)
    run = novelty_dask.score(new, against=usual)
    assert run.manifest.memory["compare"] <= against.stage_bytes["compare"]


def test_settings_that_read_stay(usual: Run, tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "new.csv", ["url,day", *(f"{url},1" for url in NEW[:20])])
    run = novelty_dask.score(lines, against=usual, input_format="csv", column="url", keep=("day",))
    assert set(run.top(20).day) == {"1"}
    assert isinstance(open_stored(run.url).manifest.settings, ResultSettings)
