"""Rows that are compared with those that were seen before them: exact, whole, and refused without times."""

import json
import lzma
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

import novelty_dask
from novelty_dask.answers import Answer, Answerer
from novelty_dask.errors import InputError, NoveltyError
from novelty_dask.events import Event, StageFinished
from novelty_dask.features.choose import make_features
from novelty_dask.kernels.text.normal_forms import normalize_texts
from novelty_dask.kernels.text.times import parse_time
from novelty_dask.planning import tiles
from novelty_dask.planning.periods import begin_periods
from novelty_dask.run import Run
from tests.support.arrays import listed
from tests.support.content import Content, content
from tests.support.files import write_lines
from tests.support.reference import TOLERANCE

K = 4
PERIOD_ROWS = 90
START = datetime(2026, 1, 1, tzinfo=UTC)
SINCE = "2026-01-05"
URLS = novelty_dask.datasets.make_urls(300, seed=21)[0]
# Pages that are equal but for random tokens, of one time and of several.
TOKENS = [f"https://a.example/session/{number * 7**40 % 2**128:032x}" for number in range(30)]
RECORDS = [
    *((url, START + timedelta(hours=number * 37 % 200)) for number, url in enumerate([*URLS, *TOKENS])),
    # Read again, later and earlier, and in another spelling.
    *((url, START + timedelta(hours=250 + number)) for number, url in enumerate(URLS[:20])),
    *((url, START - timedelta(hours=number)) for number, url in enumerate(URLS[20:40])),
    *((f"{url}#part", START + timedelta(hours=number * 20)) for number, url in enumerate(URLS[40:50])),
    ("ab", START + timedelta(hours=3)),
]
CHOSEN: dict[str, Any] = {"column": "url", "time_column": "seen", "period_rows": PERIOD_ROWS}


def write_csv(path: Path, records: Sequence[tuple[str, datetime]] = RECORDS) -> Path:
    return write_lines(path, ["seen,url", *(f"{time.isoformat()},{url}" for url, time in records)])


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("feed") / "feed.csv")


@pytest.fixture(scope="module")
def usual(feed: Path) -> Run:
    """A run in time, which no test changes."""
    out = feed.parent / "run.zarr"
    return novelty_dask.score(feed, out, workers=0, block_rows=100, n_neighbors=K, **CHOSEN)


def content_in_time(run: Run) -> Content:
    """Return hashes of all that a run tells of its rows and their times."""
    table = run.top_table(1_000, by="novelty", lists=True, redact=False)
    names = ("first_seen", "last_seen", "first_url", "first_url_seen")
    return {**content(run), **{name: str(table[name].to_pylist()) for name in names}}


def read_times(run: Run, name: str) -> np.ndarray:
    arrays = run._results
    return np.concatenate([arrays.read(f"rows/{name}", block) for block in range(arrays.n_blocks)])


def weigh(run: Run, urls: Sequence[str], known: np.ndarray) -> sp.csr_matrix:
    """Return rows with weights by the document frequencies of those that are known."""
    settings = run.manifest.settings
    features = make_features(settings)
    counts = features.count(normalize_texts(list(urls), settings.normal_form))
    frequency = np.asarray((counts[known] > 0).sum(axis=0)).ravel().astype(np.int64)
    idf = features.inverse_document_frequency(frequency, int(known.sum()))
    return features.weigh(counts, idf).astype(np.float64)


def loop_over_rows(run: Run, starts: Sequence[int], k: int) -> tuple[list[list[int]], np.ndarray]:
    """Return the neighbors of each row, and their similarities, by the definition in plain Python."""
    urls, times = listed(run.urls[:]), read_times(run, "first_seen")
    in_order = np.sort(times)
    begins = [in_order[start] for start in starts]
    ids: list[list[int]] = []
    similarities = np.zeros((len(urls), k))
    period_of = [sum(time >= begin for begin in begins) - 1 for time in times]
    weights = {p: weigh(run, urls, times < begins[p]) for p in set(period_of)}
    for row, time in enumerate(times):
        X = weights[period_of[row]]
        products = (X @ X[row].T).toarray().ravel().astype(np.float32)
        earlier = [other for other in range(len(urls)) if times[other] < time and products[other] > 0]
        best = sorted(earlier, key=lambda other: (-products[other], other))[:k]
        ids.append(best)
        similarities[row, : len(best)] = products[best]
    return ids, similarities


def check_exact(run: Run, starts: Sequence[int], k: int) -> None:
    """Compare a run with the plain loop."""
    expected, values = loop_over_rows(run, starts, k)
    ids, similarities = np.asarray(run.neighbors.ids[:]), np.asarray(run.neighbors.similarities[:])
    np.testing.assert_allclose(similarities, values, rtol=0, atol=TOLERANCE)
    times = read_times(run, "first_seen")
    for row, others in enumerate(ids):
        there = others[others >= 0]
        assert (times[there] < times[row]).all()
        assert len(there) == len(expected[row])
        # Those that are more similar than the last are the same; of these, others may tie but for rounding.
        clear = [
            other
            for other, value in zip(expected[row], values[row], strict=False)
            if value > values[row, -1] + 1e-5
        ]
        assert set(clear) <= set(there.tolist())
    tied = similarities[:, 1:] == similarities[:, :-1]
    assert (np.diff(ids)[tied & (ids[:, 1:] >= 0)] > 0).all()
    has_features = ~np.isnan(np.asarray(run.novelty[:]))
    mean = np.clip(1 - similarities.astype(float).mean(axis=1), 0, 1)
    np.testing.assert_allclose(
        np.asarray(run.novelty[:])[has_features], mean[has_features], rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(
    "chosen", [{}, {"features": "ngrams"}, {"period_rows": None}, {"normal_form": "template"}], ids=str
)
def test_neighbors_are_those_of_a_plain_loop(feed: Path, chosen: dict[str, Any]) -> None:
    settings = {**CHOSEN, **chosen}
    run = novelty_dask.score(feed, workers=0, block_rows=100, n_neighbors=K, **settings)
    check_exact(run, begin_periods(len(run), settings["period_rows"]), K)


def test_rows_of_one_time_do_not_see_each_other(tmp_path: Path) -> None:
    day = START + timedelta(days=1)
    records = [("https://a.example/x", day), ("https://a.example/y", day), ("https://a.example/x/y", day)]
    run = novelty_dask.score(
        write_csv(tmp_path / "a.csv", records), workers=0, column="url", time_column="seen"
    )
    assert (np.asarray(run.neighbors.ids[:]) == -1).all()
    for view in (run.novelty, run.novelty_nearest, run.novelty_kth, run.uncovered):
        assert listed(view[:]) == [1, 1, 1]
    later = [*records, ("https://a.example/x/z", day + timedelta(microseconds=1))]
    run = novelty_dask.score(
        write_csv(tmp_path / "b.csv", later), workers=0, column="url", time_column="seen"
    )
    [row] = [row for row, url in enumerate(listed(run.urls[:])) if url.endswith("/z")]
    assert sorted(listed(run.neighbors.ids[row])[:3]) == [number for number in range(4) if number != row]


def test_a_row_has_its_first_and_its_last_time(usual: Run) -> None:
    by_form: dict[str, list[datetime]] = {}
    form = usual.manifest.settings.normal_form
    for (_, time), key in zip(RECORDS, normalize_texts([url for url, _ in RECORDS], form), strict=True):
        by_form.setdefault(key, []).append(time)
    keys = normalize_texts(listed(usual.urls[:]), form)
    first, last = (read_times(usual, name).tolist() for name in ("first_seen", "last_seen"))
    assert first == [parse_time(min(by_form[key]).isoformat()) for key in keys]
    assert last == [parse_time(max(by_form[key]).isoformat()) for key in keys]
    assert first != last


def test_the_first_of_the_neighbors_is_told(usual: Run) -> None:
    rows = usual.top(len(usual), lists=True)
    times = dict(zip(listed(usual.urls[:]), read_times(usual, "first_seen").tolist(), strict=True))
    n_found = 0
    for row in rows.itertuples():
        neighbors = listed(row.neighbor_urls)
        if not neighbors:
            assert not isinstance(row.first_url, str)
            continue
        assert row.first_url == min(neighbors, key=times.__getitem__)
        assert parse_time(row.first_url_seen) == times[row.first_url] < times[row.url]
        assert parse_time(row.first_seen) == times[row.url]
        n_found += 1
    assert n_found > 200


def test_nothing_leaks_back(feed: Path, usual: Run, tmp_path: Path) -> None:
    # What comes after a period changes nothing of what is in it or before.
    times = np.sort(read_times(usual, "first_seen"))
    end = times[PERIOD_ROWS * 2]
    early = [(url, time) for url, time in RECORDS if int(parse_time(time.isoformat()) or 0) < end]
    part = novelty_dask.score(
        write_csv(tmp_path / "early.csv", early), workers=0, block_rows=100, n_neighbors=K, **CHOSEN
    )
    there = dict(zip(listed(usual.urls[:]), listed(usual.novelty[:]), strict=True))
    found = dict(zip(listed(part.urls[:]), listed(part.novelty[:]), strict=True))
    same = found.keys() & there.keys()
    assert len(same) > PERIOD_ROWS
    np.testing.assert_allclose([found[url] for url in same], [there[url] for url in same], atol=1e-6)


@pytest.mark.parametrize(("block_rows", "workers"), [(40, 0), (400, 0), (64, 2)])
def test_cuts_and_workers_do_not_show(
    feed: Path, usual: Run, monkeypatch: pytest.MonkeyPatch, block_rows: int, workers: int
) -> None:
    monkeypatch.setattr(tiles, "SMALLEST_TILE_PAIRS", 1)
    run = novelty_dask.score(
        feed, workers=workers, block_rows=block_rows, n_neighbors=K, memory_limit="2 GB", **CHOSEN
    )
    assert content_in_time(run) == content_in_time(usual)


class StoppedError(Exception):
    """A session that ends, as if it were killed between two stages."""


@pytest.mark.parametrize("stage", ["vectorize", "date", "tally", "reweigh", "compare", "merge", "cover"])
def test_a_stopped_run_goes_on_to_the_same_bytes(feed: Path, usual: Run, tmp_path: Path, stage: str) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, StageFinished) and event.stage == stage:
            raise StoppedError

    out = tmp_path / "run.zarr"
    with pytest.raises(StoppedError):
        novelty_dask.score(feed, out, workers=0, block_rows=100, n_neighbors=K, listener=stop, **CHOSEN)
    run = novelty_dask.resume(out)
    assert content_in_time(run) == content_in_time(usual)
    assert not (out / "past").exists()


def test_a_run_is_verified_and_mended(feed: Path, usual: Run, tmp_path: Path) -> None:
    assert not novelty_dask.verify(usual, recompute_blocks=9).damages
    run = novelty_dask.score(feed, tmp_path / "run.zarr", workers=0, block_rows=100, n_neighbors=K, **CHOSEN)
    for name in ("rows/first_seen", "periods/start", "periods/idf", "uncovered", "neighbors/ids"):
        [chunk, *_] = sorted(path for path in Path(run.url, name, "c").rglob("*") if path.is_file())
        chunk.write_bytes(chunk.read_bytes()[:-3])
        assert novelty_dask.verify(run).damages
        run = novelty_dask.resume(run)
        assert content_in_time(run) == content_in_time(usual)


def test_every_reader_with_columns_has_times(usual: Run, tmp_path: Path) -> None:
    urls, times = ([record[part] for record in RECORDS] for part in (0, 1))
    lines = [json.dumps({"url": url, "at": {"seen": time.timestamp()}}) for url, time in RECORDS]
    jsonl = write_lines(tmp_path / "feed.jsonl", lines)
    tsv = write_lines(tmp_path / "feed.tsv", [f"{url}\t{time:%Y%m%dT%H%M%SZ}" for url, time in RECORDS])
    table = pa.table({"url": urls, "seen": pa.array(times, pa.timestamp("ns", "UTC"))})
    pq.write_table(table, tmp_path / "feed.parquet", row_group_size=90)
    with pa.ipc.new_file(tmp_path / "feed.arrow", table.schema) as file:
        file.write_table(table, max_chunksize=50)
    expected = {name: value for name, value in content_in_time(usual).items() if name != "positions"}
    for source, chosen in (
        (jsonl, {"time_column": "at.seen"}),
        (tsv, {"column": "1", "time_column": "2", "input_format": "tsv"}),
        (tmp_path / "feed.parquet", {"keep": ("seen",)}),
        (tmp_path / "feed.arrow", {}),
    ):
        run = novelty_dask.score(source, workers=0, n_neighbors=K, **{**CHOSEN, **chosen})
        found = content_in_time(run)
        assert {name: found[name] for name in expected} == expected, source.name


@pytest.mark.parametrize(
    ("lines", "chosen", "words"),
    [
        (
            ["seen,url", "2026-01-01,a.example/", ",b.example/"],
            {},
            r"Line 3 of '.*' has no time in the column",
        ),
        (
            ["seen,url", "2026-01-01,a.example/", "soon,b.example/"],
            {},
            r"Line 3 of '.*' has 'soon' in the col",
        ),
        (["seen,url", "1,a.example/"], {}, r"Line 2 of '.*' has '1' in the column 'seen', which is no time"),
        (["when,url", "2026-01-01,a.example/"], {}, "has no column 'seen'"),
        (["seen,url", "2026-01-01,a.example/"], {"column": None}, "name the one to score as column, too"),
        (["seen,url", "2026-01-01,a.example/"], {"time_column": None}, "name a time_column, too"),
        (["seen,url", "2026-01-01,a.example/"], {"since": "2026-01-01"}, "is for a reference"),
        (["seen,url", "2026-01-01,a.example/"], {"since": "soon"}, "is no time"),
        (
            ["seen,url", *(f"2026-01-01,a{n}.example/" for n in range(300))],
            {"period_rows": 1},
            "use --period-rows 2",
        ),
    ],
)
def test_what_has_no_times_is_refused(
    tmp_path: Path, lines: list[str], chosen: dict[str, Any], words: str
) -> None:
    source, out = write_lines(tmp_path / "feed.csv", lines), tmp_path / "run.zarr"
    with pytest.raises(NoveltyError, match=words) as caught:
        novelty_dask.score(source, out, workers=0, **{**CHOSEN, "input_format": "csv", **chosen})
    assert str(caught.value).count(". ") == 0
    assert not out.exists()


def test_the_line_is_that_of_its_own_source(tmp_path: Path) -> None:
    good = write_lines(tmp_path / "a.jsonl", ['{"url": "a.example/", "seen": "2026-01-01"}'] * 3)
    bad = write_lines(
        tmp_path / "b.jsonl", ['{"url": "a.example/", "seen": "2026-01-01"}', '{"url": "b.example"}']
    )
    with pytest.raises(InputError, match=r"Line 2 of '.*b\.jsonl' has no time"):
        novelty_dask.score([good, bad], workers=0, input_format="jsonl", **CHOSEN)


NEW = [*URLS[10:60], *novelty_dask.datasets.make_urls(60, seed=22)[0], "https://a.example/session/new", "q"]


def test_rows_seen_since_a_time_are_all_that_is_known(usual: Run, tmp_path: Path) -> None:
    run = novelty_dask.score(urls=NEW, against=usual, since=SINCE, workers=0, block_rows=50)
    since = parse_time(SINCE)
    is_left = read_times(usual, "last_seen") >= since
    assert 20 < is_left.sum() < len(usual) - 20
    there, here = listed(usual.urls[:]), listed(run.urls[:])
    # Weights are those of the whole reference.
    both = weigh(usual, [*there, *here], np.arange(len(there) + len(here)) < len(there))
    X, Y = both[: len(there)], both[len(there) :]
    products = (Y @ X.T).toarray().astype(np.float32)
    products[:, ~is_left] = 0
    expected = -np.sort(-products, axis=1)[:, :K]
    np.testing.assert_allclose(np.asarray(run.neighbors.similarities[:]), expected, rtol=0, atol=TOLERANCE)
    ids = np.asarray(run.neighbors.ids[:])
    assert is_left[ids[ids >= 0]].all()
    forms = normalize_texts(there, "page")
    left = {form for form, ok in zip(forms, is_left, strict=True) if ok}
    assert run.known is not None
    known = np.asarray(run.known[:])
    assert known.tolist() == [form in left for form in normalize_texts(here, "page")]
    assert 0 < known.sum() < sum(form in set(forms) for form in normalize_texts(here, "page"))
    cut = novelty_dask.score(urls=NEW, against=usual, since=SINCE, workers=0, block_rows=7)
    assert content(cut) == content(run)
    whole = novelty_dask.score(urls=NEW, against=usual, workers=0)
    assert content(whole)["ids"] != content(run)["ids"]
    assert not novelty_dask.verify(run, recompute_blocks=9).damages


def test_answers_are_those_of_a_run_since_a_time(usual: Run) -> None:
    run = novelty_dask.score(urls=NEW, against=usual, since=SINCE, workers=0)
    answerer = Answerer(usual.url, since=parse_time(SINCE))
    assert run.known is not None
    for url, novelty, known in zip(
        listed(run.urls[:]), listed(run.novelty[:]), np.asarray(run.known[:]).tolist(), strict=True
    ):
        answer = answerer.answer(url.encode())
        assert isinstance(answer, Answer)
        np.testing.assert_array_equal([answer.novelty, answer.known], [novelty, known])


def test_a_reference_without_times_or_rows_since_is_refused(usual: Run, feed: Path, tmp_path: Path) -> None:
    alone = novelty_dask.score(feed, tmp_path / "alone.zarr", workers=0, column="url")
    out = tmp_path / "new.zarr"
    with pytest.raises(NoveltyError, match=r"The reference '.*alone\.zarr' has no times"):
        novelty_dask.score(urls=NEW, out=out, against=alone, since=SINCE)
    with pytest.raises(NoveltyError, match="was seen since 2030-01-01T00:00:00Z; name an earlier time"):
        novelty_dask.score(urls=NEW, out=out, against=usual, since="2030-01-01")
    with pytest.raises(NoveltyError, match="in time or with a reference, not both"):
        novelty_dask.score(feed, out, against=usual, column="url", time_column="seen")
    assert not out.exists()


def test_what_a_run_in_time_is_not_for_is_refused(usual: Run, feed: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.zarr"
    with pytest.raises(NoveltyError, match=r"outside_groups=0\.5: is not for rows in time"):
        novelty_dask.score(feed, out, column="url", time_column="seen", outside_groups=0.5)
    assert not out.exists()
    run = novelty_dask.score(feed, out, workers=0, **CHOSEN)
    before = content(run)
    with pytest.raises(NoveltyError, match="is one in time, whose periods follow from all its rows"):
        novelty_dask.add(urls=NEW, to=run, workers=0)
    assert content(run) == before
    since = novelty_dask.score(urls=NEW, workers=0, against=usual, since=SINCE)
    assert len(since.top(3)) == 3
    with pytest.raises(NoveltyError, match="has no p-value"):
        since.top(3, max_p=0.1)


def test_contributions_add_up_in_time(usual: Run) -> None:
    for row in range(0, len(usual), 9):
        url, novelty = listed(usual.urls[:])[row], listed(usual.novelty[:])[row]
        if np.isnan(novelty):
            continue
        explained = usual.explain(url)
        added = sum(feature.contributions["novelty"] for feature in explained.features)
        np.testing.assert_allclose(added + explained.rests["novelty"], novelty, atol=1e-6)
    assert usual.explain("https://new.example/page").row is None


@pytest.mark.parametrize("n_rows", [1_500])
def test_real_urls_are_those_of_a_plain_loop(tmp_path: Path, n_rows: int) -> None:
    corpus = Path(os.environ.get("NOVELTY_CORPORA", ""), "dated_200k.tsv.xz")
    if not corpus.is_file():
        pytest.skip("the corpus of dated URLs is not in the folder that NOVELTY_CORPORA names")
    with lzma.open(corpus, "rt", encoding="utf-8") as file:
        lines = [next(file).rstrip("\n") for _ in range(n_rows + 1)]
    source = write_lines(tmp_path / "dated.tsv", lines)
    run = novelty_dask.score(
        source, workers=0, column="url", time_column="first_seen", period_rows=400, block_rows=300
    )
    check_exact(run, begin_periods(len(run), 400), 10)
