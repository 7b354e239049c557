"""Runs that are compared with several references, with the bytes of those against one that holds all rows."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import novelty_dask
from novelty_dask.errors import InputError, SettingsError, StoreError
from novelty_dask.events import Event, ReferencesJoined, StageFinished
from novelty_dask.kernels.choices import VIEWS
from novelty_dask.run import Run
from tests.support.arrays import listed
from tests.support.content import Content, content
from tests.support.damage import flip_file
from tests.support.files import write_lines

URLS = novelty_dask.datasets.make_urls(900, seed=41)[0]
PARTS = [[*URLS[:400], "http://A.example/Case"], [*URLS[300:700], "https://a.example/case/"], URLS[:40]]
"""Lists that have lines in common, spelled alike or not."""
NEW = [
    *novelty_dask.datasets.make_urls(120, seed=42)[0],
    *URLS[350:380],
    "https://a.example/CASE",
    "z",
    "ab",
]
LEFT_OUT = ("lof", "density")
"""What takes the neighbors of known rows among all, which nobody knows."""
FEW: dict[str, Any] = {"workers": 0, "n_features": 2**14}
"""Columns whose arrays take no time."""
SETTINGS: dict[str, dict[str, Any]] = {
    "url, page": {},
    "ngrams, raw": {"features": "ngrams"},
    "url, template": {"normal_form": "template"},
}


def joined_content(run: Run) -> Content:
    """Return hashes of all that a run has in common with one against a reference that holds all rows."""
    assert run.known is not None
    hashes = {name: found for name, found in content(run).items() if name not in LEFT_OUT}
    table = run.top_table(1_000, by="novelty", lists=True, redact=False)
    return {**hashes, "urls": str(table["neighbor_urls"].to_pylist()), "known": str(listed(run.known[:]))}


def rows_of(references: Sequence[Run]) -> list[str]:
    """Return the rows of references, in the order in which a run joins them."""
    return [url for reference in references for url in listed(reference.urls[:])]


def in_order(run: Run, references: Sequence[Run]) -> list[Run]:
    """Return references in the order in which a run joins them."""
    assert run.manifest.reference
    by_path = {reference.url: reference for reference in references}
    return [by_path[part.url] for part in run.manifest.reference.parts]


@pytest.fixture(scope="module", params=[*SETTINGS.values()], ids=[*SETTINGS])
def references(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """References, which no test changes, each cut into blocks of other sizes."""
    folder = tmp_path_factory.mktemp("references")
    return [
        novelty_dask.score(
            write_lines(folder / f"{number}.txt", lines),
            folder / f"{number}.zarr",
            block_rows=rows,
            **FEW,
            **request.param,
        )
        for number, (lines, rows) in enumerate(zip(PARTS, (150, 90, 2_000), strict=True))
    ]


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("new") / "new.txt", NEW)


@pytest.mark.sampled
def test_bytes_are_those_of_one_reference_that_holds_all(
    references: list[Run], new: Path, tmp_path: Path
) -> None:
    run = novelty_dask.score(new, tmp_path / "new.zarr", against=references, workers=0, block_rows=64)
    chosen = references[0].manifest.settings
    kept = {name: getattr(chosen, name) for name in ("features", "n_features", "normal_form")}
    union = novelty_dask.score(urls=rows_of(in_order(run, references)), workers=0, **kept)
    alone = novelty_dask.score(new, against=union, workers=0)
    expected = joined_content(alone)
    assert joined_content(run) == expected
    assert run.manifest.plan
    assert alone.manifest.plan
    assert run.manifest.plan.known_rows == len(union)
    assert np.isnan(run.lof[:]).all()
    # Neither the order, nor a name that is given twice, nor blocks.
    again: list[Any] = [*reversed(references), references[1].url]
    assert joined_content(novelty_dask.score(new, against=again, workers=0)) == expected
    assert novelty_dask.verify(run, recompute_blocks=2).damages == []
    # Nothing of the references is kept.
    assert not (tmp_path / "new.zarr" / "references").exists()


LINES = st.lists(st.text("ab#\u2003 ", min_size=1, max_size=4), min_size=1, max_size=9)


@pytest.mark.long
@given(st.lists(LINES, min_size=2, max_size=3), LINES)
@settings(max_examples=20, deadline=None)
def test_small_lists_have_the_same_bytes(lists: list[list[str]], new: list[str]) -> None:
    # So few columns and rows that much is equally similar, and lines that files would take for comments.
    chosen: dict[str, Any] = {"workers": 0, "features": "ngrams", "ngram_range": (1, 2), "n_features": 16}
    try:
        references = [
            novelty_dask.score(urls=lines, n_neighbors=3, block_rows=2, **chosen) for lines in lists
        ]
        run = novelty_dask.score(urls=new, against=references, workers=0, block_rows=2)
    except InputError:
        return
    union = novelty_dask.score(urls=[line for lines in lists for line in lines], n_neighbors=3, **chosen)
    assert joined_content(run) == joined_content(novelty_dask.score(urls=new, against=union, workers=0))


def test_what_a_file_would_reject_is_a_row_still(tmp_path: Path) -> None:
    # White space that only `str` counts: without it the row looks like a comment.
    chosen: dict[str, Any] = {"features": "ngrams", "workers": 0}
    first = novelty_dask.score(urls=["https://a.example/"], **chosen)
    (tmp_path / "known.txt").write_text("\u2003# known\nhttps://b.example/\n", encoding="utf-8")
    second = novelty_dask.score(tmp_path / "known.txt", **chosen)
    assert "# known" in listed(second.urls[:])
    run = novelty_dask.score(tmp_path / "known.txt", against=[first, second], workers=0)
    assert run.known is not None
    assert listed(run.known[:]) == [True, True]


class StoppedError(Exception):
    """A session that ends, as if it were killed between two stages."""


def stop_at(number: int, events: list[Event] | None = None) -> Any:
    """Return a listener that ends the session when so many stages are done."""
    done: list[Event] = []

    def listen(event: Event) -> None:
        if events is not None:
            events.append(event)
        done.extend([event] if isinstance(event, StageFinished) else [])
        if len(done) == number:
            raise StoppedError

    return listen


def begin(new: Path, out: Path, references: Sequence[Run], number: int) -> None:
    """Begin a run, which stops when so many stages are done; the fifth is the last that joins rows."""
    with pytest.raises(StoppedError):
        novelty_dask.score(new, out, against=[*references], workers=0, listener=stop_at(number))


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """References by default settings, which no test changes."""
    folder = tmp_path_factory.mktemp("usual")
    return [
        novelty_dask.score(write_lines(folder / f"{number}.txt", lines), folder / f"{number}.zarr", **FEW)
        for number, lines in enumerate(PARTS)
    ]


@pytest.fixture(scope="module")
def expected(usual: list[Run], new: Path) -> Content:
    return joined_content(novelty_dask.score(new, against=usual, workers=0))


@pytest.mark.sampled
@pytest.mark.parametrize("number", [5, 1, 3, 4, 7, 11, 14])
def test_a_stopped_run_goes_on(
    usual: list[Run], new: Path, expected: Content, tmp_path: Path, number: int
) -> None:
    out, events = tmp_path / "new.zarr", list[Event]()
    begin(new, out, usual, number)
    assert novelty_dask.clean(out) == 0
    run = novelty_dask.resume(out, workers=0, listener=events.append)
    assert joined_content(run) == expected
    assert any(isinstance(event, ReferencesJoined) for event in events) == (number <= 4)


def test_damage_of_the_joined_rows_is_mended(
    usual: list[Run], new: Path, expected: Content, tmp_path: Path
) -> None:
    out = tmp_path / "new.zarr"
    begin(new, out, usual, 7)
    [chunk, *_] = sorted(path for path in (out / "references/weights/data/c").rglob("*") if path.is_file())
    flip_file(chunk)
    assert joined_content(novelty_dask.resume(out, workers=0)) == expected
    begin(new, tmp_path / "other.zarr", usual, 7)
    for name in ("zarr.json", "manifest/zarr.json"):
        flip_file(tmp_path / "other.zarr/references" / name)
    assert joined_content(novelty_dask.resume(tmp_path / "other.zarr", workers=0)) == expected


def test_a_complete_run_needs_its_references_no_more(new: Path, expected: Content, tmp_path: Path) -> None:
    references = [
        novelty_dask.score(write_lines(tmp_path / f"{number}.txt", lines), tmp_path / f"{number}.zarr", **FEW)
        for number, lines in enumerate(PARTS)
    ]
    run = novelty_dask.score(new, tmp_path / "new.zarr", against=references, workers=0, block_rows=50)
    # Left by a client that was killed right behind the end.
    (tmp_path / "new.zarr/references").mkdir()
    (tmp_path / "new.zarr/references/zarr.json").write_text("{}")
    assert novelty_dask.clean(run) == 1
    shutil.move(references[0].url, tmp_path / "moved.zarr")
    assert joined_content(novelty_dask.open(run)) == expected
    assert not novelty_dask.verify(run).damages
    with pytest.raises(StoreError, match=r"0\.zarr' does not hold a run.*new\.zarr' is compared with it"):
        novelty_dask.verify(run, recompute_blocks=1)
    [chunk, *_] = sorted(
        path for path in (tmp_path / "new.zarr/neighbors/row/c").rglob("*") if path.is_file()
    )
    flip_file(chunk)
    assert novelty_dask.verify(run).damages
    with pytest.raises(StoreError, match=r"0\.zarr' does not hold a run"):
        novelty_dask.resume(run)
    moved = [references[1], novelty_dask.open(tmp_path / "moved.zarr"), references[2]]
    # A complete run is opened as it is, but has the new names from then on where it is mended.
    shutil.move(tmp_path / "moved.zarr", references[0].url)
    assert joined_content(novelty_dask.resume(run)) == expected
    assert not novelty_dask.verify(run, recompute_blocks=9).damages
    shutil.move(references[0].url, tmp_path / "moved.zarr")
    begin(new, tmp_path / "begun.zarr", moved, 9)
    shutil.move(tmp_path / "moved.zarr", references[0].url)
    with pytest.raises(StoreError, match=r"moved\.zarr' does not hold a run"):
        novelty_dask.resume(tmp_path / "begun.zarr")
    run = novelty_dask.score(new, tmp_path / "begun.zarr", against=references, workers=0)
    assert joined_content(run) == expected
    assert run.reference == ", ".join(part.url for part in in_order(run, references))


def test_a_neighbor_is_named_by_its_reference_and_row(usual: list[Run], new: Path, tmp_path: Path) -> None:
    run = novelty_dask.score(new, against=usual, workers=0, block_rows=64)
    rows = run.top(len(run))
    assert rows.nearest_reference.nunique() > 1
    found = rows[rows.nearest_url.notna()]
    by_path = {reference.url: listed(reference.urls[:]) for reference in usual}
    named = zip(found.nearest_reference, found.nearest_row.astype(int), strict=True)
    assert [by_path[path][row] for path, row in named] == found.nearest_url.tolist()
    nothing = rows[rows.nearest_url.isna()]
    assert len(nothing)
    assert nothing.nearest_reference.isna().all()
    assert nothing.nearest_row.isna().all()
    novelty_dask.export(run, tmp_path / "rows.csv", columns=["url", "nearest_reference", "nearest_row"])
    [_, *lines] = (tmp_path / "rows.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(run)
    frame = run.to_dataframe(lists=True).compute()
    assert frame.nearest_row.notna().sum() == len(found)
    novelty_dask.export(run, tmp_path / "rows.npz")
    assert run.manifest.plan
    assert run.neighbors.to_csr().shape == (len(run), run.manifest.plan.known_rows)


def test_a_plan_counts_what_joining_takes(
    usual: list[Run], new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("novelty_dask.pipeline.forecast.measure_speed", lambda: 1.0)
    out, most = tmp_path / "new.zarr", 0

    def measure(event: Event) -> None:
        nonlocal most
        files = [path.stat().st_size for path in out.rglob("*") if path.is_file()]
        most = max(most, sum(files))

    one, several = (novelty_dask.plan(new, against=known, **FEW) for known in (usual[0], usual))
    assert several.core_seconds > one.core_seconds
    novelty_dask.score(new, out, against=usual, **FEW, listener=measure)
    assert one.disk_bytes < most <= several.disk_bytes


def test_what_takes_neighbors_of_known_rows_is_refused(usual: list[Run], new: Path, tmp_path: Path) -> None:
    run = novelty_dask.score(new, against=usual, workers=0)
    for ask in (
        lambda: run.top(by="lof"),
        lambda: run.explain(NEW[0], by="lof"),
        lambda: novelty_dask.export(run, tmp_path / "rows.csv", order="lof"),
    ):
        with pytest.raises(SettingsError, match="compared with 3 references have no local outlier factor"):
            ask()
    for view in VIEWS[:4]:
        with pytest.raises(SettingsError, match="compared with 3 references has no p-value"):
            run.top(by=view, max_p=0.1)
    explained = run.explain(NEW[0])
    assert explained.views["novelty"] == pytest.approx(
        sum(each.contributions["novelty"] for each in explained.features) + explained.rests["novelty"]
    )
    with pytest.raises(InputError, match="explain it by that: `novelty explain /"):
        run.explain("https://other.example/")


def test_references_that_do_not_belong_together_are_refused(
    usual: list[Run], new: Path, expected: Content, tmp_path: Path
) -> None:
    out = tmp_path / "new.zarr"
    other = novelty_dask.score(urls=URLS[:9], out=tmp_path / "other.zarr", n_neighbors=3, **FEW)
    begin(new, tmp_path / "begun.zarr", usual, 3)
    run = novelty_dask.score(new, tmp_path / "run.zarr", against=usual, workers=0)
    shutil.copytree(usual[1].url, tmp_path / "damaged.zarr")
    [chunk, *_] = sorted(path for path in (tmp_path / "damaged.zarr/rows/url/c").rglob("*") if path.is_file())
    flip_file(chunk)
    for named, words in (
        (other, r"0\.zarr' and '.*other\.zarr' were scored with n_neighbors=10 and n_neighbors=3; score one"),
        (tmp_path / "begun.zarr", r"begun\.zarr' is not complete"),
        (run, r"run\.zarr' was itself compared with a reference"),
        (tmp_path / "new.zarr/references", "is where the run is to be stored"),
        (tmp_path / "nothing.zarr", r"nothing\.zarr' does not hold a run"),
        (tmp_path / "damaged.zarr", r"The reference '.*damaged\.zarr' is damaged: .*`novelty resume"),
    ):
        with pytest.raises((SettingsError, StoreError), match=words):
            novelty_dask.score(new, out, against=[usual[0], named], workers=0)
    chosen: list[dict[str, Any]] = [{"since": "2026-01-01"}, {"outside_groups": 0.8}, {"n_neighbors": 4}]
    for each in chosen:
        with pytest.raises(SettingsError):
            novelty_dask.score(new, against=usual, workers=0, **each)
    # A reference that was named twice counts once, and alone has all columns.
    run = novelty_dask.score(new, against=[usual[0], usual[0].url], workers=0)
    assert run.reference == usual[0].url
    assert len(run.top(3, by="lof", calibrate=True))


def test_a_reference_that_changed_meanwhile_is_refused(usual: list[Run], new: Path, tmp_path: Path) -> None:
    changing = novelty_dask.score(urls=URLS[:50], out=tmp_path / "changing.zarr", **FEW)
    for number in (2, 7):
        begin(new, tmp_path / f"{number}.zarr", [usual[0], changing], number)
    shutil.rmtree(changing.url)
    novelty_dask.score(urls=URLS[:51], out=tmp_path / "changing.zarr", **FEW)
    for number in (2, 7):
        with pytest.raises(StoreError, match=r"changing\.zarr' of '.*\.zarr' has changed since"):
            novelty_dask.resume(tmp_path / f"{number}.zarr", workers=0)


@pytest.mark.long
def test_workers_do_not_show(usual: list[Run], new: Path, expected: Content, tmp_path: Path) -> None:
    out = tmp_path / "new.zarr"
    run = novelty_dask.score(new, out, against=usual, workers=2, block_rows=100, memory_limit="2 GB")
    assert joined_content(run) == expected
