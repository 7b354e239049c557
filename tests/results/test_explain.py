"""Contributions add up to the number that is shown, and name what carries it; new URLs are as scored anew."""

import lzma
import math
import os
import shutil
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer

import novelty_dask
from novelty_dask.errors import InputError, SettingsError
from novelty_dask.features.choose import make_features
from novelty_dask.kernels.choices import VIEWS
from novelty_dask.kernels.text.urls import normalize
from novelty_dask.results.explanations import Explanation
from novelty_dask.run import Run
from tests.support.arrays import listed
from tests.support.files import write_lines

K = 5
URLS = [
    *novelty_dask.datasets.make_urls(250, seed=3)[0],
    *(f"https://a.example/twin/{number}" for number in range(K + 4)),
    *(f"https://a.example/same?id={number:032x}" for number in range(K + 3)),
    "ab",
    "x",
    "https://me:pw@secret.example/?token=abcdef",
    "https://A.example/İÉ北/<b>&amp;",
]
NEW = [
    "https://new.example/Path/page?x=1",
    "https://a.example/twin/77",
    "https://a.example/twin/1",
    "ÅÆØ÷ÞßðÿÅÆØ÷Þ",
    "z",
]
SETTINGS: dict[str, dict[str, Any]] = {
    "url": {},
    "url, raw": {"normal_form": "raw"},
    "ngrams": {"features": "ngrams"},
    "ngrams, page": {"features": "ngrams", "ngram_range": (2, 4), "normal_form": "page"},
}
CORPORA = os.environ.get("NOVELTY_CORPORA")


@pytest.fixture(scope="module", params=[*SETTINGS.values()], ids=[*SETTINGS])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    lines = write_lines(folder / "urls.txt", URLS)
    return novelty_dask.score(
        lines, folder / "run.zarr", n_neighbors=K, block_rows=100, workers=0, **request.param
    )


def check_sums(run: Run, row: int, explanation: Explanation) -> None:
    """Check that the parts of all numbers of a row add up to those that the run stores."""
    assert explanation.row == row
    for name in VIEWS:
        stored = float(getattr(run, name)[row])
        assert math.isnan(stored) == math.isnan(explanation.views[name])
        parts = [each.contributions[name] for each in explanation.features]
        if math.isnan(stored):
            assert explanation.features == () or not any(parts)
            continue
        total = math.fsum(parts) + explanation.rests[name]
        assert explanation.views[name] == stored
        assert math.isclose(total, stored, rel_tol=1e-9, abs_tol=1e-9), name
        assert name == "lof" or explanation.rests[name] == 0
    ids, similarities = run.neighbors.ids[row], run.neighbors.similarities[row]
    assert [each.similarity for each in explanation.neighbors] == similarities[ids >= 0].tolist()
    for each in explanation.neighbors:
        assert math.isclose(math.fsum(f.contribution for f in each.shared), each.similarity, abs_tol=1e-9)


@pytest.mark.long
def test_contributions_add_up_to_each_number_of_each_row(run: Run) -> None:
    for row, url in enumerate(listed(run.urls[:])):
        check_sums(run, row, run.explain(url))


@pytest.mark.sampled
@pytest.mark.skipif(not CORPORA, reason="needs the real corpora (NOVELTY_CORPORA)")
@pytest.mark.parametrize("n", [50, pytest.param(1_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("features", ["url", "ngrams"])
def test_contributions_add_up_for_rows_of_a_real_corpus(features: str, n: int, tmp_path: Path) -> None:
    with lzma.open(Path(CORPORA or "") / "urls_1m.txt.xz", "rt", encoding="utf-8", newline="\n") as file:
        lines = [line.rstrip("\n") for line in islice(file, 0, 4_000)]
    run = novelty_dask.score(
        write_lines(tmp_path / "urls.txt", lines), tmp_path / "r.zarr", features=features
    )
    rows = np.linspace(0, len(run) - 1, n).astype(int).tolist()
    urls = listed(run.urls[:])
    for row in rows:
        check_sums(run, row, run.explain(urls[row]))


@pytest.mark.sampled
def test_contributions_are_those_of_the_definitions(run: Run) -> None:
    settings = run.manifest.settings
    features, urls = make_features(settings), listed(run.urls[:])
    counts = features.count([normalize(url, settings.normal_form) or "" for url in urls])
    frequency = np.bincount(counts.indices, minlength=settings.n_features)
    X = features.weigh(counts, features.inverse_document_frequency(frequency, len(urls)))
    for row in range(0, len(urls), 7):
        explanation = run.explain(urls[row])
        if math.isnan(explanation.value):
            continue
        weights = X[row].toarray()[0].astype(np.float64)
        ids = run.neighbors.ids[row]
        others = X[ids].toarray().astype(np.float64) * (ids >= 0)[:, None]
        for each in explanation.features:
            assert each.document_frequency == frequency[each.column]
            assert each.is_only_here == (frequency[each.column] == 1)
            own, theirs = weights[each.column], others[:, each.column]
            expected = {
                "novelty": own * own - (own * theirs).mean(),
                "novelty_nearest": own * own - own * theirs[0],
                "novelty_kth": own * own - own * theirs[-1],
                "uncovered": 0 if theirs.any() else own * own,
            }
            for name, value in expected.items():
                assert each.contributions[name] == pytest.approx(value, abs=1e-6)


@pytest.mark.sampled
def test_the_rest_of_lof_is_how_far_the_neighbors_reach(run: Run) -> None:
    read = run._results.arrays.read
    kth, density, lof, all_ids = map(read, ("novelty_kth", "density", "lof", "neighbors/ids"))
    similarities = read("neighbors/similarities").astype(np.float64)
    for row in range(0, len(run), 5):
        ids = all_ids[row]
        if math.isnan(lof[row]) or (ids < 0).any():
            continue
        distances = 1 - similarities[row]
        reach = np.maximum(distances, kth[ids])
        reach[reach < 2.0**-22] = 0
        rest = density[ids].mean() * (reach.mean() - distances.mean() + 1e-10)
        assert run.explain(str(run.urls[row])).rests["lof"] == pytest.approx(rest, rel=1e-5, abs=1e-5)


@pytest.mark.sampled
@pytest.mark.parametrize("url", NEW)
def test_a_new_url_has_the_numbers_of_a_run_against_this_one(run: Run, url: str) -> None:
    explanation = run.explain(url)
    scored = novelty_dask.score(urls=[url], against=run, workers=0)
    expected = scored.top(1, lists=True)
    assert scored.known is not None
    assert explanation.is_new == (not scored.known[0])
    views = [float(getattr(scored, name)[0]) for name in VIEWS]
    if explanation.is_new:
        np.testing.assert_array_equal([explanation.views[name] for name in VIEWS], views)
        check_new = [each.url for each in explanation.neighbors]
        assert check_new == ([] if expected.empty else expected.neighbor_urls[0].tolist())
    # The run against this one has the same to say of it, and no need of the reference.
    other = scored.explain(url)
    check_sums(scored, 0, other)
    if explanation.is_new:
        assert other.features == explanation.features
        assert other.parts == explanation.parts
        assert other.neighbors == explanation.neighbors
        assert all(each.is_only_here == (each.document_frequency == 0) for each in other.features)


def test_a_run_against_a_reference_is_explained_without_it(tmp_path: Path) -> None:
    known = novelty_dask.score(write_lines(tmp_path / "known.txt", URLS), tmp_path / "known.zarr")
    new = novelty_dask.score(write_lines(tmp_path / "new.txt", NEW), tmp_path / "new.zarr", against=known)
    shutil.rmtree(known.url)
    for row, url in enumerate(listed(new.urls[:])):
        check_sums(new, row, new.explain(url))
    with pytest.raises(InputError, match=r"explain it by that: `novelty explain .*known\.zarr"):
        new.explain("https://elsewhere.example/")


def test_a_row_is_found_by_each_of_its_spellings(tmp_path: Path) -> None:
    run = novelty_dask.score(urls=["https://a.example/x", "https://b.example/y", "https://a.example/z"])
    found = run.explain("http://www.A.example/x/?utm_source=news")
    assert (found.url, found.is_new) == ("https://a.example/x", False)


def test_the_marks_are_what_no_other_row_has() -> None:
    urls = [f"https://a.example/item/{letter}" for letter in "abcd"] + ["https://a.example/item/a?admin"]
    run = novelty_dask.score(urls=urls, n_neighbors=3)
    explanation = run.explain(urls[-1])
    [(start, stop)] = explanation.parts
    assert urls[-1][start:stop] == "?admin"
    assert {"adm", "dmi", "min"} <= {each.text for each in explanation.features if each.is_only_here}
    nearest = explanation.neighbors[0]
    assert nearest.url == "https://a.example/item/a"
    shown = "".join(nearest.url[start:stop] for start, stop in nearest.parts)
    assert "a.example/item/a" in shown


@pytest.mark.parametrize("url", ["", "two\nlines", "# comment", "\0", "\ud800", "x" * 9_000])
def test_what_a_run_would_reject_is_refused(run: Run, url: str) -> None:
    with pytest.raises(InputError, match="a run would reject it"):
        run.explain(url)


def test_what_has_no_place_in_a_url_is_refused() -> None:
    run = novelty_dask.score(
        urls=["a b", "a c"], vectorizer=HashingVectorizer(alternate_sign=False, norm=None)
    )
    with pytest.raises(SettingsError, match="compares by a vectorizer"):
        run.explain("a b")


def test_an_unknown_column_is_refused(run: Run) -> None:
    with pytest.raises(SettingsError, match="no view 'p'"):
        run.explain("ab", by="p")


def test_texts_show_nothing_that_commands_a_terminal_or_a_browser(run: Run) -> None:
    explanation = run.explain("https://a.example/\u202e\x1b]0;x\x07<script>alert(1)</script>")
    assert "\x1b" not in str(explanation)
    assert "\u202e" not in str(explanation) + explanation._repr_html_()
    assert "<script" not in explanation._repr_html_()
    assert "<mark>" in explanation._repr_html_()


def test_secrets_are_hidden_with_what_their_features_tell(run: Run) -> None:
    redacted = run.explain("https://me:pw@secret.example/?token=abcdef").redacted()
    assert redacted.url == "https://…@secret.example/?token=…"
    shown = str(redacted) + redacted._repr_html_() + str(redacted.to_dict())
    assert not any(secret in shown for secret in ("me:pw", "abcdef", "'bcd'", '"bcd"', "'cde'"))


def test_carets_stand_below_what_they_mark() -> None:
    run = novelty_dask.score(urls=[f"https://a.example/item/{letter}" for letter in "abcd"], n_neighbors=3)
    first, second, *_ = str(run.explain("https://a.example/item/a\u202eb")).splitlines()
    assert r"\u202eb" in first
    assert "^" in second
    marked = "".join(
        char for char, caret in zip(first, second.ljust(len(first)), strict=True) if caret == "^"
    )
    assert r"\u202eb" in marked
