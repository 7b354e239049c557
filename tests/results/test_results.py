import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.errors import SettingsError
from novelty_dask.kernels.choices import VIEWS
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.results import results
from novelty_dask.results.results import Results
from tests.support.runs import make_run, store

NAN = math.nan


def stored(novelty: list[float], block_rows: int = 2, k: int = 3) -> Results:
    """A run of which row i has the neighbors i + 1, i + 2, ... as far as there are rows."""
    n_rows = len(novelty)
    run = make_run(None, TilePlan(n_rows, block_rows, 1, 1), n_neighbors=k, n_features=1)
    ids = np.arange(n_rows)[:, None] + np.arange(1, k + 1)
    ids[ids >= n_rows] = -1
    similarities = np.where(ids < 0, 0, 1 / np.arange(2, k + 2)).astype(np.float32)
    values: dict[str, Any] = {
        "rows/url": np.array([url(row) for row in range(n_rows)], np.dtypes.StringDType()),
        "rows/count": np.arange(n_rows) + 1,
        "rows/position": np.arange(n_rows)[::-1],
        "rows/spellings": np.ones(n_rows, np.int64),
        "neighbors/ids": ids,
        "neighbors/similarities": similarities,
        # Each view has an order of its own.
        **{name: np.roll(novelty, shift) for shift, name in enumerate(VIEWS)},
    }
    store(run, values)
    return Results(run)


def url(row: int) -> str:
    return f"https://例え.example/{row}"


def test_blocks_are_read_one_at_a_time() -> None:
    run = stored([0.5] * 5)
    assert (run.n_rows, run.block_rows, run.n_blocks) == (5, 2, 3)
    assert [run.read("rows/count", block).tolist() for block in range(3)] == [[1, 2], [3, 4], [5]]
    assert run.read("neighbors/ids", 2).tolist() == [[-1, -1, -1]]


@pytest.mark.parametrize(
    "ids", [[], [0], [-1], [-1, -1], [4, 0, 4, -1, 3], [[0, 1], [-1, 4]], [[[2]]]], ids=str
)
def test_urls_of_rows_come_in_the_shape_of_their_ids(ids: list[Any]) -> None:
    wanted = np.array(ids, np.int64)
    found = stored([0.5] * 5).urls(wanted)
    assert found.shape == wanted.shape
    assert found.ravel().tolist() == [url(int(row)) if row >= 0 else "" for row in wanted.ravel()]


def test_urls_are_right_when_more_blocks_are_in_use_than_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "CACHED_BLOCKS", 2)
    run = stored([0.5] * 9)
    wanted = np.array([8, 0, 4, 2, 6, 0, 8, 1])
    for _ in range(2):
        assert run.urls(wanted).tolist() == [url(row) for row in wanted]


def test_a_table_says_of_each_row_its_novelty_and_nearest() -> None:
    run = stored([0.5, NAN, 0.25])
    assert run.table(0).to_pylist() == [
        {
            "position": 2,
            "url": url(0),
            "count": 1,
            "spellings": 1,
            "novelty": 0.5,
            "nearest_url": url(1),
            "nearest_similarity": 0.5,
            "novelty_nearest": 0.25,
            "novelty_kth": None,
            "uncovered": 0.5,
            "lof": 0.25,
            "source": "/corpus/urls.txt",
            "line": 3,
        },
        {
            "position": 1,
            "url": url(1),
            "count": 2,
            "spellings": 1,
            "novelty": None,
            "nearest_url": url(2),
            "nearest_similarity": 0.5,
            "novelty_nearest": 0.5,
            "novelty_kth": 0.25,
            "uncovered": None,
            "lof": 0.5,
            "source": "/corpus/urls.txt",
            "line": 2,
        },
    ]
    [last] = run.table(1).to_pylist()
    assert (last["nearest_url"], last["nearest_similarity"]) == (None, None)


def test_a_table_may_be_of_some_rows_in_any_order() -> None:
    run = stored([0.1, 0.2, 0.3, 0.4], block_rows=4)
    assert run.table(0, np.array([2, 0], np.int64))["url"].to_pylist() == [url(2), url(0)]
    empty = run.table(0, np.array([], np.int64), lists=True)
    assert empty.num_rows == 0
    assert empty.schema == run.table(0, lists=True).schema


@pytest.mark.parametrize("within", [None, [1, 0], [1]])
def test_lists_hold_all_neighbors_there_are(within: list[int] | None) -> None:
    run = stored([0.5] * 3)
    table = run.table(0, None if within is None else np.array(within), lists=True)
    rows = within or [0, 1]
    wanted = {0: [url(1), url(2)], 1: [url(2)]}
    assert table["neighbor_urls"].to_pylist() == [wanted[row] for row in rows]
    similarities = [[0.5, pytest.approx(1 / 3)], [0.5]]
    assert table["neighbor_similarities"].to_pylist() == [similarities[row] for row in rows]
    [last] = run.table(1, lists=True).select(["neighbor_urls", "neighbor_similarities"]).to_pylist()
    assert last == {"neighbor_urls": [], "neighbor_similarities": []}


def most_novel(run: Results, n: int) -> list[tuple[str, float]]:
    table = run.newest(n)
    return list(zip(table["url"].to_pylist(), table["novelty"].to_pylist(), strict=True))


@pytest.mark.sampled
@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 100])
@pytest.mark.parametrize("block_rows", [1, 2, 5, 9])
def test_the_most_novel_come_first_and_ties_by_row(n: int, block_rows: int) -> None:
    run = stored([0.5, NAN, 1.0, 0.5, 0.0, 1.0], block_rows)
    expected = [(url(2), 1.0), (url(5), 1.0), (url(0), 0.5), (url(3), 0.5), (url(4), 0.0)]
    assert most_novel(run, n) == expected[:n]


@pytest.mark.parametrize("by", VIEWS)
def test_rows_come_first_by_any_view(by: str) -> None:
    run = stored([0.5, NAN, 1.0, 0.25])
    table = run.newest(10, by)
    assert table[by].to_pylist() == [1.0, 0.5, 0.25]
    values = run.arrays.read(by).tolist()
    assert table["url"].to_pylist() == [url(values.index(value)) for value in (1.0, 0.5, 0.25)]


@pytest.mark.parametrize("by", ["count", "density", "", "Novelty"])
def test_rows_are_not_ordered_by_what_is_no_view(by: str) -> None:
    with pytest.raises(SettingsError, match=rf"^Rows have no view '{by}'; order them by .* or lof\.$"):
        stored([0.5]).newest(1, by)


def test_where_nothing_is_defined_nothing_is_most_novel() -> None:
    run = stored([NAN, NAN, NAN])
    assert most_novel(run, 10) == []
    assert run.newest(10).schema == run.table(0).schema


@pytest.mark.long
@settings(deadline=None, max_examples=30)
@given(
    novelty=st.lists(st.sampled_from([NAN, 0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=12),
    block_rows=st.integers(1, 13),
    n=st.integers(0, 13),
)
def test_the_most_novel_are_those_of_a_sorted_list(novelty: list[float], block_rows: int, n: int) -> None:
    defined = [(-value, row) for row, value in enumerate(novelty) if not math.isnan(value)]
    found = most_novel(stored(novelty, block_rows), n)
    assert found == [(url(row), -value) for value, row in sorted(defined)][:n]
