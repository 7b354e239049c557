"""Sites and templates are those of a naive definition, whatever the blocks and parts are."""

import math
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.errors import SettingsError
from novelty_dask.kernels.choices import VIEWS
from novelty_dask.kernels.text.pages import find_host, template
from novelty_dask.kernels.text.sites import site_of
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.results import summaries
from novelty_dask.results.groups import to_readable
from novelty_dask.results.results import Results
from novelty_dask.results.summaries import BY, summarize
from tests.support.runs import make_run, store

NAN = math.nan
# A random token in a host may make one template of several sites.
URLS = [
    "https://example.com/orders/1",
    "https://example.com/orders/22",
    "https://a.example.com/",
    "https://example-b.com/1",
    "https://34220a167aed9c15.github.io/7",
    "https://3c0b828c38558ef5.github.io/8",
    "http://me:pw@example.com:8080/orders/3",
    "plain text 7",
    "plain text 8",
]
Row = tuple[str, float, int]


def stored(rows: list[Row], block_rows: int) -> Results:
    urls, novelty, counts = zip(*rows, strict=True)
    run = make_run(None, TilePlan(len(rows), block_rows, 1, 1), n_neighbors=1, n_features=1)
    values: dict[str, Any] = {
        "rows/url": np.array(urls, np.dtypes.StringDType()),
        "rows/count": np.array(counts, np.int64),
        "rows/position": np.arange(len(rows)),
        "rows/spellings": np.ones(len(rows), np.int64),
        "neighbors/ids": np.full((len(rows), 1), -1),
        "neighbors/similarities": np.zeros((len(rows), 1), np.float32),
        **{name: np.array(novelty) for name in VIEWS},
    }
    store(run, values)
    return Results(run)


def naive(rows: list[Row], group: str, by: str, above: float) -> list[dict[str, Any]]:
    """The groups, by lists alone."""
    members: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        members[site_of(find_host(row[0])) if group == "site" else to_readable(template(row[0]))].append(row)
    groups: list[tuple[dict[str, Any], Any]] = []
    for name, its in members.items():
        values = [novelty for _, novelty, _ in its if not math.isnan(novelty)]
        found: dict[str, Any] = {
            group: name,
            "rows": len(its),
            "count": sum(count for _, _, count in its),
            "mean_novelty": pytest.approx(sum(values) / len(values), abs=1e-9) if values else None,
            "top_novelty": max(values, default=None),
            "share_above": sum(novelty >= above for _, novelty, _ in its) / len(its),
        }
        if group == "site":
            found["templates"] = len({template(url) for url, _, _ in its})
        else:
            found["url"] = its[0][0]
        mean = sum(values) / len(values) if values else None
        groups.append((found, mean if by == "mean_novelty" else found[by]))
    # Stable: ties are in the order of their first rows.
    return [found for found, _ in sorted(groups, key=lambda pair: (pair[1] is None, -(pair[1] or 0)))]


ROWS = st.lists(
    st.tuples(st.sampled_from(URLS), st.sampled_from([NAN, 0.0, 0.25, 1.0]), st.integers(1, 9)),
    min_size=1,
    max_size=14,
)


@pytest.mark.long
@settings(deadline=None, max_examples=25)
@given(
    rows=ROWS,
    block_rows=st.integers(1, 15),
    part_rows=st.integers(1, 6),
    order=st.sampled_from([(group, by) for group, names in BY.items() for by in names]),
    above=st.sampled_from([0.0, 0.25, 0.9]),
    n=st.none() | st.integers(0, 4),
)
def test_groups_are_those_of_lists(
    rows: list[Row], block_rows: int, part_rows: int, order: tuple[str, str], above: float, n: int | None
) -> None:
    group, by = order
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summaries, "PART_ROWS", part_rows)
        patch.setattr(summaries, "PENDING", 2)
        table = summarize(stored(rows, block_rows), group, n, by=by, above=above)
    assert table.to_pylist() == naive(rows, group, by, above)[:n]


@pytest.mark.sampled
@pytest.mark.parametrize("group", BY)
def test_numbers_do_not_depend_on_how_rows_are_divided(group: str) -> None:
    rng = np.random.default_rng(7)
    rows = [(f"https://{n % 5}.example.com/{n % 7}", float(rng.random()), 1) for n in range(200)]
    tables = []
    for block_rows, part_rows in ((200, 200), (64, 7), (3, 2)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(summaries, "PART_ROWS", part_rows)
            tables.append(summarize(stored(rows, block_rows), group))
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"by": "url"}, r"^A site has no column 'url' to order by; it is top_novelty, .* or templates\.$"),
        ({"above": NAN}, r"^Rows can't be counted from a novelty of nan on; give a number\.$"),
        ({"n": -1}, r"^Can't give -1 sites; ask for 0 or more\.$"),
    ],
)
def test_what_can_not_be_summed_up(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        summarize(stored([(URLS[0], 0.5, 1)], 1), "site", **arguments)
