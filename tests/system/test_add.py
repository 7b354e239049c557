"""Runs that grow: what they hold is what all lines together give, with the weights of the first of them."""

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from click.testing import CliRunner
from numpy.typing import NDArray

import novelty_dask
from novelty_dask.cli import main
from novelty_dask.errors import InputError, SettingsError, StoreError
from novelty_dask.features.choose import make_features
from novelty_dask.kernels.scores import novelty_scores
from novelty_dask.kernels.search.columns import order_columns
from novelty_dask.kernels.text.normal_forms import normalize_texts
from novelty_dask.kernels.text.tfidf import document_frequency
from novelty_dask.run import Run
from tests.support.arrays import listed
from tests.support.content import Content, content
from tests.support.damage import alter, flip, flip_file
from tests.support.files import write_lines

K = 5
TOKENS = [f"https://a.example/session/{uuid.UUID(int=number * 7**40 % 2**128).hex}" for number in range(40)]
"""Equal but for random tokens, which the features of URLs mask: all are as similar as can be."""
UNSEEN = "ÅÆØ÷ÞßðÿÅÆØ÷ÞßðÿÅÆØ÷Þ"
SETTINGS: dict[str, dict[str, Any]] = {
    "url, page": {},
    "url, template": {"normal_form": "template"},
    "ngrams, raw": {"features": "ngrams"},
}
BASE = [*novelty_dask.datasets.make_urls(700, seed=21)[0], *TOKENS[:12], "ab", "https://A.example/Case"]
DAYS = [
    [*novelty_dask.datasets.make_urls(90, seed=22)[0], *BASE[50:90], *TOKENS[8:25], UNSEEN, "ab", "", "ab"],
    [*novelty_dask.datasets.make_urls(60, seed=23)[0], *TOKENS[20:], UNSEEN[::-1], "https://a.example/Case/"],
]


def write_days(folder: Path) -> tuple[Path, list[Path]]:
    days = [write_lines(folder / f"day{number}.txt", lines) for number, lines in enumerate(DAYS)]
    return write_lines(folder / "base.txt", BASE), days


def read(run: Run) -> dict[str, Any]:
    """All that is read of the rows of a run."""
    return {
        "urls": listed(run.urls),
        "counts": listed(run.counts),
        "positions": listed(run.positions),
        "ids": listed(run.neighbors.ids),
        "similarities": np.asarray(run.neighbors.similarities[:]).tobytes(),
        **{name: np.asarray(getattr(run, name)[:]).tobytes() for name in ("novelty", "uncovered", "lof")},
    }


def plain_weights(run: Run, n_base_lines: int) -> sp.csc_matrix:
    """Weights of all rows, from the frequencies in those that were read first, in the order of these."""
    settings = run.manifest.settings
    features = make_features(settings)
    counts = features.count(normalize_texts(listed(run.urls), settings.normal_form))
    is_base = np.asarray(run.positions[:]) < n_base_lines
    frequency = document_frequency(counts[is_base])
    idf = features.inverse_document_frequency(frequency, int(is_base.sum()))
    ranks = order_columns(frequency).rank
    used = np.flatnonzero(np.bincount(counts.indices, minlength=ranks.size))
    # Columns that the first rows lack come last, by number.
    order = used[np.lexsort((used, np.where(ranks[used] < 0, ranks.size, ranks[used])))]
    return sp.csc_matrix(features.weigh(counts, idf)[:, order])


def plain_neighbors(weights: sp.csc_matrix, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k best of each row, of equally similar ones that which comes first."""
    total = np.zeros((weights.shape[0],) * 2)
    for column in range(weights.shape[1]):
        rows = weights.indices[weights.indptr[column] : weights.indptr[column + 1]]
        values = weights.data[weights.indptr[column] : weights.indptr[column + 1]].astype(np.float64)
        total[np.ix_(rows, rows)] += np.outer(values, values)
    similarities = np.minimum(total, 1).astype(np.float32)
    np.fill_diagonal(similarities, -1)
    ids = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(similarities, ids, axis=1)
    return np.where(best > 0, ids, -1), np.maximum(best, 0)


@pytest.mark.sampled
@pytest.mark.parametrize("settings", [*SETTINGS.values()], ids=[*SETTINGS])
def test_a_grown_run_holds_what_a_plain_computation_gives(settings: dict[str, Any], tmp_path: Path) -> None:
    base, days = write_days(tmp_path)
    run = novelty_dask.score(base, tmp_path / "run.zarr", n_neighbors=K, block_rows=200, **settings)
    together = novelty_dask.score([base, *days], n_neighbors=K, **settings)
    for day in days:
        run = novelty_dask.add(day, run, block_rows=150)
    assert not (tmp_path / "run.zarr.growing").exists()
    # Which rows there are, how often and since when does not depend on weights.
    for name in ("urls", "counts", "positions"):
        assert listed(getattr(run, name)) == listed(getattr(together, name)), name
    assert run.manifest.totals == together.manifest.totals
    ids, similarities = plain_neighbors(plain_weights(run, len(BASE)), K)
    np.testing.assert_array_equal(np.asarray(run.neighbors.ids[:]), ids)
    assert np.asarray(run.neighbors.similarities[:]).tobytes() == similarities.tobytes()
    scores = novelty_scores(similarities, len(run) - 1, np.ones(len(run), bool))
    compared = similarities[:, 0] > 0
    np.testing.assert_array_equal(np.asarray(run.novelty[:])[compared], scores.mean[compared])
    # The rest, from the URLs: columns, weights, neighbors among all rows, and what follows from them.
    verified = novelty_dask.verify(run, recompute_blocks=100)
    assert verified.recomputed == -(-len(run) // 150)
    assert verified.damages == []


@pytest.mark.long
def test_segments_cuts_and_workers_change_nothing(tmp_path: Path) -> None:
    base, days = write_days(tmp_path)
    contents: list[dict[str, Any]] = []
    for number, (parts, settings) in enumerate(
        [
            ([days], {"block_rows": 97}),
            ([[day] for day in days], {"block_rows": 400}),
            ([days], {"workers": 2, "block_rows": 300}),
        ]
    ):
        run = novelty_dask.score(base, tmp_path / f"{number}.zarr", n_neighbors=K)
        for part in parts:
            run = novelty_dask.add(part, run, **settings)  # type: ignore[arg-type]
        contents.append(read(run))
    assert contents[1] == contents[0]
    assert contents[2] == contents[0]


def test_what_is_there_is_added_once(tmp_path: Path) -> None:
    base, days = write_days(tmp_path)
    run = novelty_dask.score(base, tmp_path / "run.zarr")
    heard: list[str] = []
    grown = novelty_dask.add(days[0], run)
    before: Content = content(grown)
    again = novelty_dask.add([days[0], base], run, listener=lambda event: heard.append(str(event)))
    assert content(again) == before
    assert [said for said in heard if said.startswith("Nothing to add")]
    assert novelty_dask.add(days, run).manifest.identity.segments[-1].sources == 1


def test_refreshed_weights_are_those_of_all_rows(tmp_path: Path) -> None:
    base, days = write_days(tmp_path)
    run = novelty_dask.score(base, tmp_path / "run.zarr", n_neighbors=K)
    run = novelty_dask.add(days[0], run)
    refreshed = novelty_dask.add(days[1], run, refresh=True)
    assert read(refreshed) == read(novelty_dask.score([base, *days], n_neighbors=K))


def small_run(folder: Path, **settings: Any) -> Path:
    lines = write_lines(folder / "few.txt", ["a.example/1", "a.example/2", "b.example/x"])
    novelty_dask.score(lines, folder / "few.zarr", workers=0, **settings)
    return folder / "few.zarr"


def test_texts_in_memory_and_columns_are_added_as_the_run_was_read(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    grown = novelty_dask.add(urls=["b.example/x", "c.example/y"], to=run, workers=0)
    assert listed(grown.urls) == ["a.example/1", "a.example/2", "b.example/x", "c.example/y"]
    assert listed(grown.counts) == [1, 1, 2, 1]
    assert len(novelty_dask.add(urls=["b.example/x", "c.example/y"], to=run, workers=0)) == 4
    assert listed(novelty_dask.open(run).counts) == [1, 1, 2, 1]
    logs = [write_lines(tmp_path / f"{day}.csv", ["day,url", f"{day},x.example/{day}"]) for day in (1, 2)]
    novelty_dask.score(logs[0], tmp_path / "logs.zarr", column="url", keep=("day",), workers=0)
    kept = novelty_dask.add(logs[1], tmp_path / "logs.zarr", workers=0)
    assert kept.top_table(2, by="novelty", lists=False, redact=False).column("day").to_pylist() == ["1", "2"]
    with pytest.raises(SettingsError, match="keep other columns, which URLs in memory lack"):
        novelty_dask.add(urls=["x.example/3"], to=tmp_path / "logs.zarr", workers=0)


def test_rejected_lines_of_all_lists_are_there(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    new = [
        write_lines(tmp_path / f"{number}.txt", ["c.example/z", "# note", "", "d.example"])
        for number in (1, 2)
    ]
    grown = novelty_dask.add(new[1], novelty_dask.add(new[0], run, workers=0), workers=0)
    together = novelty_dask.score([tmp_path / "few.txt", *new], workers=0)
    pd.testing.assert_frame_equal(grown.rejected(), together.rejected())


@pytest.mark.parametrize(
    ("lines", "settings", "sentence"),
    [
        ([], {}, r"There is no URL in the sources: they are empty\."),
        (["c.example"], {"n_neighbors": 3}, "Setting n_neighbors belongs to the run and can't change"),
        (["c.example"], {"column": "url"}, "Setting column belongs to the run and can't change"),
    ],
)
def test_what_can_not_be_added_leaves_the_run_as_it_was(
    lines: list[str], settings: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    run = small_run(tmp_path)
    before = content(run)
    with pytest.raises((InputError, SettingsError), match=sentence):
        novelty_dask.add(write_lines(tmp_path / "new.txt", lines), run, workers=0, **settings)
    assert content(run) == before
    assert not (tmp_path / "few.zarr.growing").exists()


def test_a_run_that_can_not_grow_is_refused_by_name(tmp_path: Path) -> None:
    run, new = small_run(tmp_path), write_lines(tmp_path / "new.txt", ["c.example"])
    against = novelty_dask.score(new, tmp_path / "against.zarr", against=run, workers=0)
    with pytest.raises(StoreError, match="was compared with a reference, whose weights it has; add its sour"):
        novelty_dask.add(new, against)
    with pytest.raises(StoreError, match="is in an object store, where it can't be exchanged"):
        novelty_dask.add(new, "memory://bucket/run.zarr")
    with pytest.raises(InputError, match="Give the run to add to, and either"):
        novelty_dask.add(new)
    (tmp_path / "few.zarr.growing").mkdir()
    (tmp_path / "few.zarr.growing" / "notes.txt").touch()
    with pytest.raises(StoreError, match=r"few.zarr.growing' exists and is not of novelty; move it"):
        novelty_dask.add(new, run)
    (tmp_path / "few.zarr.growing" / "notes.txt").unlink()
    chunk = next((run / "weights" / "data").rglob("c/0/0"))
    whole = chunk.read_bytes()
    chunk.write_bytes(flip(whole))
    with pytest.raises(StoreError, match=r"few.zarr' is damaged: .*`novelty resume .*` mends it"):
        novelty_dask.add(new, run, workers=0)
    chunk.write_bytes(whole)
    with pytest.raises(
        StoreError, match=r"addition of '.*new.txt' to '.*few.zarr' was begun and not finished"
    ):
        novelty_dask.add(write_lines(tmp_path / "other.txt", ["d.example"]), run, workers=0)
    assert len(novelty_dask.add(new, run, workers=0)) == 4
    (run / "commits" / "lof" / "0.json").unlink()
    alter(run, lambda manifest: manifest["stages"].pop("lof"))
    with pytest.raises(StoreError, match=r"is not complete; `novelty resume .*few.zarr` goes on"):
        novelty_dask.add(new, run)


def test_the_command_adds_and_says_how_many(tmp_path: Path) -> None:
    run, new = small_run(tmp_path), write_lines(tmp_path / "new.txt", ["a.example/1", "c.example"])
    command = ["add", str(new), "--to", str(run), "--workers", "0"]
    added, again = (CliRunner().invoke(main, command) for _ in range(2))
    assert (added.exit_code, again.exit_code) == (0, 0), added.output
    assert f"1 row added to {run}, which has 4 now." in added.stderr
    assert f"Nothing to add: {str(run)!r} has all of these sources already." in again.stderr
    assert listed(novelty_dask.open(run).counts) == [2, 1, 1, 1]


def test_damage_of_a_grown_run_is_mended_by_its_own_rows(tmp_path: Path) -> None:
    base, days = write_days(tmp_path)
    run = novelty_dask.score(base, tmp_path / "run.zarr", n_neighbors=K, block_rows=300, workers=0)
    before = read(novelty_dask.add(days[0], run, workers=0, block_rows=300))
    for name in ("neighbors/ids/c/1/0", "columns/rank/c/0", "weights/data/c/0/0", "rows/url/c/0"):
        flip_file(tmp_path / "run.zarr" / name)
    assert read(novelty_dask.resume(run, workers=0)) == before
