"""Whole runs of a vectorizer that the user gives: in processes, stopped, resumed, beside our own features."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer

import novelty_dask
from novelty_dask.cli import main
from novelty_dask.errors import SettingsError, StoreError
from novelty_dask.events import StageFinished
from tests.support.files import write_lines

URLS = novelty_dask.datasets.make_urls(900, seed=8)[0]
HASHING: dict[str, Any] = {"analyzer": "char", "ngram_range": (3, 3), "norm": None, "alternate_sign": False}
VIEWS = ("novelty", "novelty_nearest", "novelty_kth", "uncovered", "lof")


class StopError(Exception):
    """The end of a client."""


def stop_after_rows(event: object) -> None:
    """Stop the client once features were counted, before they are weighed."""
    if isinstance(event, StageFinished) and event.stage == "columns":
        raise StopError


def same(one: Any, other: Any) -> bool:
    """Return whether two runs found the same bytes."""
    names = [*VIEWS, "urls"]
    return all(
        np.array_equal(getattr(one, name)[:], getattr(other, name)[:], equal_nan=name != "urls")
        for name in names
    ) and all(a[:].tobytes() == b[:].tobytes() for a, b in zip(one.neighbors, other.neighbors, strict=True))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run of our own n-grams."""
    folder = tmp_path_factory.mktemp("run")
    return novelty_dask.score(
        urls=URLS, out=folder / "run.zarr", features="ngrams", workers=0, block_rows=300
    )


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("package", "workers"),
    [
        ("sklearn", 2),
        ("dask_ml", 0),
        *(pytest.param(*each, marks=pytest.mark.long) for each in (("sklearn", 0), ("dask_ml", 2))),
    ],
)
def test_hashing_vectorizers_make_the_run_of_our_n_grams(
    expected: Any, tmp_path: Path, package: str, workers: int
) -> None:
    text = pytest.importorskip(f"{package}.feature_extraction.text")
    vectorizer = text.HashingVectorizer(**HASHING)
    out = tmp_path / "run.zarr"
    run = novelty_dask.score(urls=URLS, out=out, vectorizer=vectorizer, workers=workers, block_rows=200)
    assert run.manifest.settings.features.startswith("vectorizer:HashingVectorizer:")
    assert same(run, expected)
    # Given again, it is opened; nothing is computed.
    assert same(novelty_dask.score(urls=URLS, out=out, vectorizer=vectorizer), expected)


def test_normal_forms_and_rows_as_they_are_are_settings_as_others(tmp_path: Path) -> None:
    tfidf = TfidfVectorizer(analyzer="char", ngram_range=(3, 3), sublinear_tf=True, dtype=np.float32)
    first: Any = novelty_dask.score(urls=URLS, out=tmp_path / "own.zarr", features="ngrams", workers=0)
    tfidf.fit(first.urls[:].tolist())
    given: dict[str, Any] = {"vectorizer": tfidf, "weights": "as_is", "workers": 0}
    run: Any = novelty_dask.score(urls=URLS, out=tmp_path / "given.zarr", **given)
    # The columns have another order, and none of them is two n-grams.
    np.testing.assert_allclose(run.novelty[:], first.novelty[:], atol=0.01)
    pages = novelty_dask.score(urls=URLS, out=tmp_path / "pages.zarr", normal_form="page", **given)
    assert pages.manifest.settings.normal_form == "page"


@pytest.mark.long
def test_a_run_that_was_stopped_needs_the_same_vectorizer(expected: Any, tmp_path: Path) -> None:
    vectorizer, out = HashingVectorizer(**HASHING), tmp_path / "run.zarr"
    options: dict[str, Any] = {"out": out, "workers": 0, "block_rows": 300}
    source = write_lines(tmp_path / "urls.txt", URLS)
    with pytest.raises(StopError):
        novelty_dask.score(source, vectorizer=vectorizer, listener=stop_after_rows, **options)
    # The run has its name, and nothing that could be loaded.
    stored = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
    assert not any(b"sklearn" in content for content in stored)
    with pytest.raises(
        SettingsError, match=r"the vectorizer HashingVectorizer:\w+; pass the same, of the same"
    ):
        novelty_dask.resume(out, workers=0)
    other = HashingVectorizer(**{**HASHING, "lowercase": False})
    with pytest.raises(
        SettingsError, match=r"HashingVectorizer:\w+, not HashingVectorizer:\w+; pass the same"
    ):
        novelty_dask.resume(out, workers=0, vectorizer=other)
    with pytest.raises(StoreError, match=r"holds another run .features is 'vectorizer:HashingVectorizer"):
        novelty_dask.score(source, vectorizer=other, **options)
    with pytest.raises(StoreError, match=r"holds another run .features is 'vectorizer:HashingVectorizer"):
        novelty_dask.score(source, **options)
    resumed: Any = novelty_dask.resume(out, workers=2, vectorizer=HashingVectorizer(**HASHING))
    assert resumed.neighbors.ids[:].tobytes() == expected.neighbors.ids[:].tobytes()
    assert resumed.novelty[:].tobytes() == expected.novelty[:].tobytes()


def test_commands_read_the_run_and_need_no_vectorizer(tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    run = novelty_dask.score(urls=URLS, out=out, vectorizer=HashingVectorizer(**HASHING), workers=0)
    for command in ("top", "status", "verify", "sites", "clean"):
        done = CliRunner().invoke(main, [command, str(out)])
        assert done.exit_code == 0, done.output
    with pytest.raises(SettingsError, match="A vectorizer does not tell where its features are"):
        next(iter(run.find_marks(run.top(1, lists=True))))
    with pytest.raises(SettingsError, match="A vectorizer does not tell where its features are"):
        novelty_dask.export(run, tmp_path / "rows.csv", mark=("[", "]"))
    assert not (tmp_path / "rows.csv").exists()
    with pytest.raises(SettingsError, match=r"the vectorizer HashingVectorizer:\w+; pass the same"):
        novelty_dask.verify(run, recompute_blocks=1)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"weights": "as_is"}, "Setting weights is for a vectorizer; pass it too"),
        (
            {"vectorizer": HashingVectorizer(**HASHING), "n_features": 7},
            "n_features is that of the vectorizer",
        ),
        (
            {"vectorizer": HashingVectorizer(**HASHING), "features": "url"},
            "features is that of the vectorizer",
        ),
        ({"vectorizer": HashingVectorizer(**HASHING, n_features=2**25)}, "n_features=33554432"),
        ({"features": "vectorizer:Own:0123456789abcdef"}, "compares by the vectorizer Own:0123456789abcdef"),
        ({"features": "vectorizer:../x:0123456789abcdef"}, "input should be 'url' or 'ngrams'"),
    ],
)
def test_impossible_settings_are_refused_and_leave_nothing(
    settings: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        novelty_dask.score(urls=URLS[:5], out=tmp_path / "run.zarr", workers=0, **settings)
    assert not (tmp_path / "run.zarr").exists()
