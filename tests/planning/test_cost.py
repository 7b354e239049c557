from dataclasses import replace

import pytest

from novelty_dask.planning.budget import Budget, Extent, Known
from novelty_dask.planning.cost import START_SECONDS, core_seconds

BUDGET = Budget(n_neighbors=10, n_features=2**20, entries_a_byte=1, threads=2, limit=4 * 10**9)
MILLION = Extent(1_000_000, 79_400_000)


def against(n_known: int, n_left: int = 0) -> Budget:
    """Return the budget of a run against a reference."""
    return replace(BUDGET, known=Known(n_known, 65_536, 10**6, 10**6, n_left))


@pytest.mark.parametrize(("features", "measured"), [("url", 95.0), ("ngrams", 182.3)])
def test_a_million_real_urls_cost_what_they_took(features: str, measured: float) -> None:
    assert core_seconds(features, BUDGET, MILLION) == pytest.approx(measured, rel=0.05)


@pytest.mark.parametrize("features", ["url", "ngrams"])
def test_the_cost_of_a_search_grows_faster_than_its_rows(features: str) -> None:
    tens = Extent(10 * MILLION.n_rows, 10 * MILLION.n_bytes)
    ratio = core_seconds(features, BUDGET, tens) / core_seconds(features, BUDGET, MILLION)
    assert 10 < ratio < 40


def test_more_neighbors_cost_more() -> None:
    assert core_seconds("url", BUDGET, MILLION) < core_seconds(
        "url", replace(BUDGET, n_neighbors=100), MILLION
    )


def test_new_rows_against_known_ones_cost_their_share() -> None:
    """As many new rows as known ones cost what a run of them costs; one of a hundred costs a hundredth."""
    alone = core_seconds("url", BUDGET, MILLION)
    assert core_seconds("url", against(MILLION.n_rows), MILLION) == pytest.approx(alone)
    few = core_seconds("url", against(MILLION.n_rows), Extent(10_000, 794_000))
    assert few - START_SECONDS == pytest.approx((alone - START_SECONDS) / 100)
    assert core_seconds("url", against(MILLION.n_rows, n_left=1_000), MILLION) < alone


def test_nothing_costs_the_start_alone() -> None:
    assert core_seconds("url", BUDGET, Extent(0, 0)) == START_SECONDS
