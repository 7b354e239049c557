import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.errors import BudgetError
from novelty_dask.planning.budget import Budget, Extent, Load
from novelty_dask.planning.memory import (
    PROCESS_BYTES,
    block_texts,
    check_limit,
    densest_block,
    fit,
    moved_bytes,
    plan_bytes,
    worker_bytes,
)
from novelty_dask.planning.slices import block_slices
from novelty_dask.planning.stages import STAGES
from novelty_dask.planning.tiles import (
    MAXIMUM_SPAN_ROWS,
    MINIMUM_BLOCK_ROWS,
    USUAL_ROW_BYTES,
    TilePlan,
    default_block_rows,
    plan_tiles,
)

BUDGETS = st.builds(
    Budget,
    n_neighbors=st.integers(1, 1_000),
    n_features=st.integers(1, 2**24),
    entries_a_byte=st.integers(1, 16),
    threads=st.integers(1, 64),
    limit=st.integers(1, 2**40),
    workers=st.integers(1, 64),
)
EXTENTS = st.lists(
    st.integers(0, 10**6).flatmap(lambda rows: st.builds(Extent, st.just(rows), st.integers(0, rows * 200))),
    min_size=1,
    max_size=5,
)
DEFAULT = Budget(n_neighbors=10, n_features=2**20, entries_a_byte=1, threads=1, limit=2 * 10**9)
MILLION = Extent(1_000_000, 76_000_000)


def task_bytes(budget: Budget, rows: int, text: int) -> dict[str, int]:
    """Most bytes that a task of each stage holds for a block."""
    return {stage.name: stage.task_bytes(budget, Load(rows, text)) for stage in STAGES}


def projected_bytes(budget: Budget, extents: list[Extent], plan: TilePlan) -> int:
    """Most bytes that a worker holds under a plan."""
    return max(worker_bytes(plan_bytes(budget, extents, plan), budget.threads).values())


@settings(deadline=None, max_examples=200)
@given(BUDGETS, st.integers(0, 2**20), st.integers(0, 2**30), st.integers(0, 1_000), st.integers(0, 10**6))
def test_a_larger_block_never_takes_less(
    budget: Budget, rows: int, text: int, more_rows: int, more_text: int
) -> None:
    smaller = task_bytes(budget, rows, text)
    for larger in (task_bytes(budget, rows + more_rows, text), task_bytes(budget, rows, text + more_text)):
        assert larger.keys() == smaller.keys()
        assert all(larger[stage] >= smaller[stage] for stage in smaller)
    assert all(isinstance(n_bytes, int) and n_bytes >= 0 for n_bytes in smaller.values())


@settings(deadline=None, max_examples=200)
@given(EXTENTS, st.integers(1, 2**20))
def test_the_densest_block_is_no_denser_than_the_densest_extent(
    extents: list[Extent], block_rows: int
) -> None:
    n_rows = sum(extent.n_rows for extent in extents)
    plan = plan_tiles(n_rows, max(block_rows, n_rows // 50))
    found = densest_block(extents, plan)
    densities = [extent.n_bytes / max(extent.n_rows, 1) for extent in extents]
    assert found <= round(max(densities) * min(plan.block_rows, n_rows)) + 1
    assert found * plan.n_blocks >= sum(extent.n_bytes for extent in extents if extent.n_rows) - plan.n_blocks


def test_the_densest_block_counts_the_bytes_of_its_slices() -> None:
    extents, plan = [Extent(10, 100), Extent(4, 4_000), Extent(10, 10)], plan_tiles(24, 6)
    texts = [
        sum(
            (part.stop - part.start) * extents[part.table].n_bytes / extents[part.table].n_rows
            for part in parts
        )
        for parts in block_slices([extent.n_rows for extent in extents], plan)
    ]
    assert texts == [60, 2_040, 2_004, 6]
    assert densest_block(extents, plan) == 2_040


@settings(deadline=None, max_examples=200)
@given(BUDGETS, EXTENTS, st.one_of(st.none(), st.integers(2**10, 2**20)))
def test_what_fits_is_under_the_limit_and_what_does_not_is_refused(
    budget: Budget, extents: list[Extent], block_rows: int | None
) -> None:
    n_rows = sum(extent.n_rows for extent in extents)
    slots = budget.workers * budget.threads
    smallest = plan_tiles(n_rows, block_rows or MINIMUM_BLOCK_ROWS, 1, slots)
    if (projected := projected_bytes(budget, extents, smallest)) > budget.limit:
        with pytest.raises(BudgetError) as refusal:
            fit(budget, extents, block_rows)
        stated = [int(number.replace(",", "")) for number in re.findall(r"([\d,]+) MB", str(refusal.value))]
        assert stated == [-(-projected // 10**6), -(-budget.limit // 10**6)]
        assert "\n" not in str(refusal.value)
        return
    plan = fit(budget, extents, block_rows)
    assert projected_bytes(budget, extents, plan) <= budget.limit
    assert block_rows in {None, plan.block_rows}
    largest = plan_tiles(n_rows, block_rows or default_block_rows(n_rows), slots=slots)
    assert plan == largest or projected_bytes(budget, extents, largest) > budget.limit
    larger = plan_tiles(n_rows, 2 * plan.block_rows, 1, slots)
    assert plan.block_rows == largest.block_rows or projected_bytes(budget, extents, larger) > budget.limit


def test_ample_memory_gives_the_default_blocks_and_less_gives_smaller_ones() -> None:
    ample = fit(Budget(10, 2**20, 1, 1, 10**11), [MILLION])
    scarce = fit(Budget(10, 2**20, 1, 1, 640 * 10**6), [MILLION])
    assert ample.block_rows == default_block_rows(MILLION.n_rows)
    assert MINIMUM_BLOCK_ROWS <= scarce.block_rows < ample.block_rows


@pytest.mark.parametrize("block_rows", [100, 1_000, 65_536])
def test_the_block_rows_that_were_asked_for_are_kept(block_rows: int) -> None:
    assert fit(DEFAULT, [MILLION], block_rows).block_rows == block_rows


def test_each_thread_counts() -> None:
    plan = fit(DEFAULT, [MILLION])
    one, four = (
        projected_bytes(Budget(10, 2**20, 1, threads, 10**10), [MILLION], plan) for threads in (1, 4)
    )
    assert four - PROCESS_BYTES == 4 * (one - PROCESS_BYTES)


def test_no_rows_take_what_a_process_and_its_columns_take() -> None:
    plan = fit(DEFAULT, [Extent(0, 0)])
    assert plan.n_blocks == 0
    assert projected_bytes(DEFAULT, [Extent(0, 0)], plan) > PROCESS_BYTES


@pytest.mark.parametrize(
    ("threads", "block_rows", "held", "remedy"),
    [
        (1, None, "blocks of 1,024 rows and 1 thread,", "to that."),
        (2, None, "blocks of 1,024 rows and 2 threads,", "to that, or lower --threads."),
        (1, 4_096, "blocks of 4,096 rows and 1 thread,", "to that, or lower --block-rows."),
        (
            2,
            4_096,
            "blocks of 4,096 rows and 2 threads,",
            "to that, or lower --threads, or lower --block-rows.",
        ),
    ],
)
def test_the_refusal_says_what_helps(threads: int, block_rows: int | None, held: str, remedy: str) -> None:
    with pytest.raises(BudgetError, match=rf" with {held} .* raise --memory-limit {re.escape(remedy)}$"):
        fit(Budget(10, 2**22, 1, threads, 10**6), [MILLION], block_rows)


def test_one_process_is_projected_to_hold_what_it_sorts_up_to_its_buffer() -> None:
    alone = replace(DEFAULT, buffer=10**9)
    plan = fit(alone, [MILLION])
    bounded = plan_bytes(DEFAULT, [MILLION], plan)
    assert plan_bytes(alone, [MILLION], plan) == {**bounded, "sort": bounded["sort"] + moved_bytes([MILLION])}
    assert plan_bytes(alone, [MILLION] * 50, plan)["sort"] == bounded["sort"] + 10**9
    with pytest.raises(BudgetError, match=r" in stage sort with 1 thread, .* to that, or use --workers 1\.$"):
        fit(replace(alone, limit=700 * 10**6), [MILLION])
    fit(replace(DEFAULT, limit=700 * 10**6), [MILLION])


def test_what_the_refusal_asks_for_is_enough() -> None:
    with pytest.raises(BudgetError) as refusal:
        fit(replace(DEFAULT, limit=10**8), [MILLION])
    [asked, had] = re.findall(r"([\d,]+) MB", str(refusal.value))
    assert had == "100"
    limit = int(asked.replace(",", "")) * 10**6
    fit(replace(DEFAULT, limit=limit), [MILLION])
    with pytest.raises(BudgetError):
        fit(replace(DEFAULT, limit=limit - 10**6), [MILLION])


def test_a_run_that_goes_on_is_checked_against_its_plan() -> None:
    stages = plan_bytes(DEFAULT, [MILLION], fit(DEFAULT, [MILLION]))
    check_limit(stages, DEFAULT, 65_536)
    with pytest.raises(BudgetError, match=r" in stage compare with blocks of 65,536 rows and 1 thread, over"):
        check_limit(stages, replace(DEFAULT, limit=500 * 10**6), 65_536)


def test_who_reads_holds_what_its_decompressor_takes() -> None:
    plan = fit(DEFAULT, [MILLION])
    plain, packed = (plan_bytes(DEFAULT, [MILLION, Extent(0, 0, held)], plan) for held in (0, 10**9))
    assert packed == {**plain, "ingest": plain["ingest"] + 10**9}
    with pytest.raises(BudgetError, match=r"1,460 MB in stage ingest with "):
        fit(replace(DEFAULT, limit=10**9), [MILLION._replace(decompressor_bytes=10**9)])


def test_spans_are_short_where_lines_are_long_and_the_projection_counts_them() -> None:
    extents = [Extent(50_000, 4_000_000), Extent(20_000, 160_000_000), Extent(50_000, 4_000_000)]
    plan = fit(Budget(10, 2**20, 1, 1, 10**11), extents)
    texts = block_texts(extents, plan)
    spans = [[texts[block] for block in plan.span(number)] for number in range(plan.n_spans)]
    assert max(map(sum, spans)) <= USUAL_ROW_BYTES * MAXIMUM_SPAN_ROWS
    assert max(map(len, spans)) == plan.span_blocks == 7
    compare = plan_bytes(DEFAULT, extents, plan)["compare"]
    assert compare < 0.6 * plan_bytes(DEFAULT, extents, replace(plan, cuts=()))["compare"]
    assert 16 * max(map(sum, spans)) < compare < 3 * 16 * max(map(sum, spans))
