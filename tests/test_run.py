import os
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import novelty_dask
from novelty_dask.errors import StoreError
from novelty_dask.features.marks import find_marks
from novelty_dask.features.places import choose_places
from novelty_dask.planning.stages import LAST_STAGE
from novelty_dask.run import Run
from novelty_dask.storage.runs import open_stored
from novelty_dask.storage.totals import Totals
from tests.support.arrays import listed
from tests.support.files import write_lines

HOSTILE = [
    "<script>alert(1)</script>",
    'https://a.example/"><img src=x onerror=alert(1)>',
    "https://a.example/'onmouseover='alert(1)",
    "</td></tr></table><iframe src=javascript:alert(1)>",
    "javascript:alert(1)//</script><svg onload=alert(1)>",
    "https://a.example/&lt;b&gt;&#x3c;b&#x3e;",
    "https://a.example/\u2028\u202ereversed",
]
URLS = [*novelty_dask.datasets.make_urls(300, seed=10)[0], "ab", "http://dup.example/", "http://dup.example/"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    (folder / "urls.txt").write_bytes(("\n".join(URLS) + "\n\0\n").encode())
    return novelty_dask.score(
        folder / "urls.txt", folder / "run.zarr", features="ngrams", block_rows=100, n_neighbors=4
    )


def test_a_run_is_its_rows(run: Run) -> None:
    n_rows = len(set(URLS))
    assert len(run) == n_rows
    arrays = [run.urls, run.counts, run.positions, run.novelty, *run.neighbors]
    assert [array.shape for array in arrays] == [(n_rows,)] * 4 + [(n_rows, 4)] * 2
    assert [str(array.dtype) for array in arrays[1:]] == ["int64", "int64", "float64", "int64", "float32"]
    for url, count, position in zip(
        listed(run.urls[:]), listed(run.counts[:]), listed(run.positions[:]), strict=True
    ):
        assert (URLS.count(url), URLS.index(url)) == (count, position)


def test_a_run_is_opened_from_any_kind_of_path(run: Run) -> None:
    for path in (run.url, Path(run.url), f"{run.url}/", f"file://{run.url}"):
        assert novelty_dask.open(path).top(3).equals(run.top(3))


FUNCTIONS: dict[str, Callable[[Any, Path], Any]] = {
    "open": lambda run, folder: len(novelty_dask.open(run)),
    "status": lambda run, folder: novelty_dask.status(run).state,
    "verify": lambda run, folder: novelty_dask.verify(run, recompute_blocks=1, seed=1),
    "clean": lambda run, folder: novelty_dask.clean(run),
    "resume": lambda run, folder: len(novelty_dask.resume(run, workers=0)),
    "export": lambda run, folder: exported(run, folder / "rows.csv"),
}
FORMS: dict[str, Callable[[Run], Any]] = {
    "run": lambda run: run,
    "opened again": novelty_dask.open,
    "stored": lambda run: open_stored(run.url),
    "text": lambda run: run.url,
    "path": lambda run: Path(run.url),
    "with a slash": lambda run: f"{run.url}/",
    "relative": lambda run: os.path.relpath(run.url),
    "url": lambda run: f"file://{run.url}",
}


def exported(run: Any, out: Path) -> bytes:
    """The CSV of a run."""
    novelty_dask.export(run, out)
    return out.read_bytes()


@pytest.mark.sampled
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_takes_a_run_in_any_form(run: Run, tmp_path: Path, function: str, form: str) -> None:
    (tmp_path / "expected").mkdir()
    expected = FUNCTIONS[function](run.url, tmp_path / "expected")
    assert FUNCTIONS[function](FORMS[form](run), tmp_path) == expected


@pytest.mark.sampled
@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_takes_a_run_of_a_store(tmp_path: Path, function: str) -> None:
    source = write_lines(tmp_path / "urls.txt", URLS)
    run = novelty_dask.score(source, f"memory:/{tmp_path}/run.zarr", workers=0)
    (tmp_path / "expected").mkdir()
    expected = FUNCTIONS[function](run.url, tmp_path / "expected")
    for form in ("run", "opened again", "stored", "text"):
        (tmp_path / form).mkdir()
        assert FUNCTIONS[function](FORMS[form](run), tmp_path / form) == expected


def test_a_run_is_a_path(run: Run) -> None:
    assert os.fspath(run) == run.url
    assert (Path(run) / "zarr.json").exists()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("other", [None, 7, b"run.zarr", ["run.zarr"]])
def test_no_function_takes_anything_else(tmp_path: Path, function: str, other: Any) -> None:
    with pytest.raises((TypeError, StoreError)):
        FUNCTIONS[function](other, tmp_path)


def test_the_text_form_is_one_line(run: Run) -> None:
    assert repr(run) == f"<Run {run.url!r}: {len(run)} rows, 4 neighbors>"


def test_the_top_rows_are_the_most_novel_with_their_nearest(run: Run) -> None:
    top, novelty, urls = run.top(5), np.asarray(run.novelty[:]), np.asarray(run.urls[:])
    columns = ["position", "url", "count", "spellings", "novelty", "nearest_url", "nearest_similarity"]
    assert list(top.columns) == [
        *columns,
        "novelty_nearest",
        "novelty_kth",
        "uncovered",
        "lof",
        "source",
        "line",
    ]
    order = np.lexsort((np.arange(len(run)), -novelty))[:5]
    assert top.url.tolist() == urls[order].tolist()
    assert top.novelty.tolist() == novelty[order].tolist()
    nearest = run.neighbors.ids[:][order, 0]
    expected = [urls[row] if row >= 0 else None for row in nearest]
    assert [None if pd.isna(url) else url for url in top.nearest_url] == expected
    assert len(run.top()) == 20
    assert len(run.top(10_000)) == np.isfinite(novelty).sum() == len(run) - 1


def test_marks_are_what_no_neighbor_has(run: Run) -> None:
    rows = run.top(len(run), lists=True)
    marks = list(run.find_marks(rows))
    assert [bool(parts) for parts in marks] == (rows.uncovered > 0).tolist()
    assert 0 < sum(map(bool, marks)) < len(marks)
    find_places = choose_places(run.manifest.settings)
    expected = map(partial(find_marks, find_places), rows.url, rows.neighbor_urls)
    assert marks == list(expected)


@pytest.mark.parametrize("lists", [False, True])
def test_the_frame_is_the_arrays(run: Run, lists: bool) -> None:
    frame = run.to_dataframe(lists=lists)
    assert frame.npartitions == 3
    rows = frame.compute(scheduler="synchronous")
    assert list(rows.columns) == list(frame.columns)
    assert rows.dtypes.tolist() == frame.dtypes.tolist()
    assert rows.url.tolist() == listed(run.urls[:])
    np.testing.assert_array_equal(rows["count"], run.counts[:])
    np.testing.assert_array_equal(rows.position, run.positions[:])
    np.testing.assert_array_equal(rows.novelty.to_numpy(float, na_value=np.nan), run.novelty[:])
    if lists:
        urls = np.asarray(run.urls[:])
        ids, similarities = run.neighbors.ids[:], run.neighbors.similarities[:]
        assert [list(each) for each in rows.neighbor_urls] == [urls[row[row >= 0]].tolist() for row in ids]
        expected = [row[own >= 0].tolist() for row, own in zip(similarities, ids, strict=True)]
        assert [list(each) for each in rows.neighbor_similarities] == expected


def test_the_frame_is_lazy_and_may_be_filtered(run: Run) -> None:
    frame = run.to_dataframe()
    found = frame[frame["count"] > 1].url.compute(scheduler="synchronous").tolist()
    assert found == sorted({url for url in URLS if URLS.count(url) > 1}, key=listed(run.urls[:]).index)


class Elements(HTMLParser):
    """The tags and attributes of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def html(path: Path, urls: list[str]) -> Elements:
    path.mkdir()
    run = novelty_dask.score(write_lines(path / "urls.txt", urls), path / "<b>run.zarr", features="ngrams")
    return Elements(run._repr_html_())


def test_the_html_form_has_the_counts_and_the_top_rows(run: Run) -> None:
    page = Elements(run._repr_html_())
    duplicates = len(URLS) - len(set(URLS))
    assert f"{len(URLS) + 1} lines: {len(run)} rows, {duplicates} duplicates, 1 rejected (1 " in page.text
    assert run.top(1).url[0] in page.text


def test_the_html_form_counts_one_page_as_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = run.manifest.model_copy(deep=True)
    manifest.totals = Totals(lines=2, rows=1, duplicates=1, rejected={})
    of_pages = manifest.settings.model_copy(update={"normal_form": "page"})
    manifest.identity = manifest.identity.model_copy(update={"settings": of_pages})
    monkeypatch.setattr(run, "manifest", manifest)
    assert "2 lines, 1 page: 1 duplicate, 0 rejected" in Elements(run._repr_html_()).text


def test_no_reason_gets_out_of_the_summary_of_html(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    harmless = Elements(run._repr_html_())
    manifest = run.manifest.model_copy(deep=True)
    manifest.totals = Totals(lines=2, rows=1, duplicates=0, rejected={HOSTILE[0]: 1})
    monkeypatch.setattr(run, "manifest", manifest)
    hostile = Elements(run._repr_html_())
    assert (hostile.tags, hostile.attributes) == (harmless.tags, harmless.attributes)
    assert f"1 {HOSTILE[0]}" in hostile.text


@pytest.mark.sampled
@pytest.mark.parametrize("url", HOSTILE)
def test_no_url_gets_out_of_its_cell_of_html(tmp_path: Path, url: str) -> None:
    harmless = html(tmp_path / "harmless", ["https://a.example/1", "https://b.example/2"])
    hostile = html(tmp_path / "hostile", [url, f"{url}/1"])
    assert hostile.tags == harmless.tags
    assert hostile.attributes == harmless.attributes
    assert "<b>run.zarr" in hostile.text


def test_an_incomplete_run_is_refused(tmp_path: Path) -> None:
    copy = novelty_dask.score(write_lines(tmp_path / "urls.txt", URLS), tmp_path / "run.zarr")
    stored = open_stored(copy.url)
    del stored.manifest.stages[LAST_STAGE.name]
    stored.save()
    with pytest.raises(StoreError, match=r"is not complete; `novelty resume .*/run\.zarr` goes on\.$"):
        novelty_dask.open(copy.url)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"does not hold a run; check the path\.$"):
        novelty_dask.open(tmp_path / "missing.zarr")
