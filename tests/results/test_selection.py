"""Selections are those of a naive definition, in the order of the column, whatever the blocks are."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import novelty_dask
from novelty_dask.errors import SettingsError
from novelty_dask.kernels.choices import VIEWS
from novelty_dask.kernels.text.pages import find_host, template
from novelty_dask.kernels.text.sites import site_of
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.results import ordering
from novelty_dask.results.export import export
from novelty_dask.results.results import Results
from novelty_dask.results.selection import Selection, Tally
from novelty_dask.run import Run
from tests.support.files import write_lines
from tests.support.runs import make_run, store

NAN = math.nan
# Hosts of a site are not all adjacent in a run: "example-b" is between "example" and "a.example".
URLS = [
    "https://example.com/orders/1",
    "https://example.com/orders/22",
    "https://a.example.com/",
    "https://a.example.com/x",
    "https://example-b.com/1",
    "https://b.github.io/7",
    "https://c.github.io/8",
    "https://x-GlifW3bS1gnIn.example.com/9",
    "plain text 7",
    "plain text 8",
    "http://192.0.2.7/8",
]


def stored(rows: list[tuple[str, float]], block_rows: int) -> Results:
    """A run of some URLs with their novelty, in reverse order of their positions; other views differ."""
    urls, novelty = zip(*rows, strict=True)
    run = make_run(None, TilePlan(len(rows), block_rows, 1, 1), n_neighbors=1, n_features=1)
    values: dict[str, Any] = {
        "rows/url": np.array(urls, np.dtypes.StringDType()),
        "rows/count": np.ones(len(rows), np.int64),
        "rows/position": np.arange(len(rows))[::-1],
        "rows/spellings": np.ones(len(rows), np.int64),
        "neighbors/ids": np.full((len(rows), 1), -1),
        "neighbors/similarities": np.zeros((len(rows), 1), np.float32),
        **{name: np.roll(novelty, shift) for shift, name in enumerate(VIEWS)},
    }
    store(run, values)
    return Results(run)


def naive(results: Results, order: str, selection: Selection) -> list[int]:
    """The numbers of the selected rows in their order, by lists alone."""
    positions, urls = results.arrays.read("rows/position"), results.arrays.read("rows/url").tolist()
    values = results.arrays.read("novelty" if order == "input" else order).tolist()
    sign = 1 if selection.least else -1
    numbers = sorted(range(len(urls)), key=lambda row: (math.isnan(values[row]), sign * values[row], row))
    if order == "input":
        numbers = sorted(numbers, key=positions.__getitem__)
    if selection.min_novelty is not None:
        numbers = [row for row in numbers if values[row] >= selection.min_novelty]
    limits = [(template, selection.per_template), (lambda url: site_of(find_host(url)), selection.per_site)]
    for name, limit in limits:
        seen: Counter[str] = Counter()
        chosen = []
        for row in numbers:
            seen[name(urls[row])] += 1
            if limit is None or seen[name(urls[row])] <= limit:
                chosen.append(row)
        numbers = chosen
    return numbers


LIMITS = st.none() | st.integers(1, 3)
ROWS = st.lists(
    st.tuples(st.sampled_from(URLS), st.sampled_from([NAN, 0.0, 0.25, 0.5, 1.0])), min_size=1, max_size=14
)
SELECTIONS = st.builds(
    Selection,
    min_novelty=st.none() | st.sampled_from([-1.0, 0.25, 0.3, 2.0]),
    per_site=LIMITS,
    per_template=LIMITS,
    least=st.booleans(),
)


@pytest.mark.long
@settings(deadline=None, max_examples=25)
@given(
    rows=ROWS,
    block_rows=st.integers(1, 15),
    order=st.sampled_from(ordering.ORDERS),
    selection=SELECTIONS,
    bucket_bytes=st.sampled_from([64, 2**24]),
    n=st.integers(0, 15),
)
def test_a_selection_is_that_of_lists(
    rows: list[tuple[str, float]],
    block_rows: int,
    order: str,
    selection: Selection,
    bucket_bytes: int,
    n: int,
) -> None:
    results = stored(rows, block_rows)
    expected = naive(results, order, selection)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "BUCKET_BYTES", bucket_bytes)
        patch.setattr(ordering, "SAMPLED_KEYS", 3)
        kept = selection.rows(results, order, None)
        key = ordering.choose_key(order, least=selection.least)
        tables = list(ordering.tables_in_order(results, results.table, key, 3, kept=kept))
    positions = results.arrays.read("rows/position")
    found = [position for table in tables for position in table["position"].to_pylist()]
    assert found == positions[expected].tolist()
    assert tables
    if order != "input":
        values = results.arrays.read(order)
        top = results.newest(n, order, least=selection.least, kept=kept)["position"].to_pylist()
        defined = [row for row in expected if not math.isnan(values[row])]
        assert top == positions[defined[:n]].tolist()


def test_a_tally_counts_what_it_saw_in_all_calls() -> None:
    numbers = np.random.default_rng(5).integers(0, 50, 400).astype(np.uint64)
    tally, seen = Tally(), Counter[int]()
    for part in np.array_split(numbers, 7):
        expected = []
        for number in part.tolist():
            expected.append(seen[number])
            seen[number] += 1
        assert tally.add(part).tolist() == expected


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"min_novelty": NAN}, r"^The least novelty can't be nan; give a number\.$"),
        ({"per_site": 0}, r"^Can't give 0 rows a site \(per_site\); give 1 or more, or leave it out\.$"),
        ({"per_template": -1}, r"^Can't give -1 rows a template \(per_template\); "),
    ],
)
def test_what_is_no_selection_is_refused(choice: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Selection(**choice)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of a few sites, some with many pages of one template."""
    folder = tmp_path_factory.mktemp("selection")
    lines = [f"https://{host}.example.com/{path}/{n}" for host in "abc" for path in "xy" for n in range(9)]
    source = write_lines(folder / "urls.txt", [*lines, *novelty_dask.datasets.make_urls(200, seed=4)[0]])
    return novelty_dask.score(source, folder / "run.zarr", workers=0, block_rows=64)


def test_top_and_export_give_the_same_rows(run: Run, tmp_path: Path) -> None:
    choice: Any = {"min_novelty": 0.01, "per_site": 3, "per_template": 1}
    export(run, tmp_path / "rows.parquet", order="uncovered", **choice)
    exported = pq.read_table(tmp_path / "rows.parquet")["url"].to_pylist()
    top = run.top(1_000, by="uncovered", **choice)
    assert top.url.tolist() == exported
    assert top.uncovered.min() >= 0.01
    sites = Counter(site_of(find_host(url)) for url in exported)
    assert max(sites.values()) == 3
    assert max(Counter(map(template, exported)).values()) == 1
    assert run.top(5, by="uncovered", **choice).url.tolist() == exported[:5]


def test_an_export_without_rows_has_columns(run: Run, tmp_path: Path) -> None:
    export(run, tmp_path / "rows.csv", min_novelty=5)
    assert (tmp_path / "rows.csv").read_text(encoding="utf-8").count("\n") == 1
    export(run, tmp_path / "rows.parquet", min_novelty=5)
    assert pq.read_table(tmp_path / "rows.parquet").num_rows == 0


def test_the_least_novel_come_first(run: Run) -> None:
    values = run.top(10_000, least=True).novelty.tolist()
    assert values == sorted(np.asarray(run.novelty[:]).tolist())


@pytest.mark.parametrize(
    ("name", "choice", "said"),
    [
        ("rows.npz", {"per_site": 1}, r"^An npz file has all rows, which its neighbor_ids refer to; "),
        ("rows.csv", {"least": True}, r"^The order of the input has no least rows; choose a column "),
    ],
)
def test_what_an_export_can_not_have_is_refused(
    run: Run, tmp_path: Path, name: str, choice: Any, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        export(run, tmp_path / name, **choice)
    assert not list(tmp_path.iterdir())
