from collections import Counter
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.planning.slices import block_slices
from novelty_dask.planning.tiles import (
    LARGEST_TILE_PAIRS,
    MAXIMUM_BLOCK_ROWS,
    MAXIMUM_GROUPS,
    MAXIMUM_SPAN_ROWS,
    MINIMUM_BLOCK_ROWS,
    USUAL_ROW_BYTES,
    Tile,
    TilePlan,
    cut_spans,
    default_block_rows,
    plan_tiles,
)
from tests.support.plans import tile_plans


def row_pairs(plan: TilePlan) -> Counter[tuple[int, int]]:
    """How often each block meets each other."""
    tiles = [*plan.first_tiles(), *plan.later_tiles()]
    return Counter(
        (block, candidate)
        for tile in tiles
        for block in plan.span(tile.span)
        for candidate in plan.candidates(tile)
    )


@settings(deadline=None, max_examples=200)
@given(tile_plans())
def test_blocks_follow_one_another_and_hold_every_row(plan: TilePlan) -> None:
    bounds = [plan.bounds(block) for block in range(plan.n_blocks)]
    assert [row for start, stop in bounds for row in range(start, stop)] == list(range(plan.n_rows))
    assert all(stop - start == plan.block_rows for start, stop in bounds[:-1])


@settings(deadline=None, max_examples=200)
@given(tile_plans())
def test_spans_follow_one_another_and_hold_every_block(plan: TilePlan) -> None:
    spans = [plan.span(number) for number in range(plan.n_spans)]
    assert [block for span in spans for block in span] == list(range(plan.n_blocks))
    assert all(0 < len(span) <= plan.span_blocks for span in spans)
    starts = {*range(0, plan.n_blocks, plan.span_blocks), *plan.cuts}
    assert {span.start for span in spans} == starts
    assert [plan.span_of(block) for block in range(plan.n_blocks)] == [
        number for number, span in enumerate(spans) for _ in span
    ]


@settings(deadline=None, max_examples=200)
@given(tile_plans())
def test_stretches_are_a_few_whole_spans_and_hold_every_block(plan: TilePlan) -> None:
    stretches = [plan.stretch(number) for number in range(plan.n_stretches)]
    assert [block for stretch in stretches for block in stretch] == list(range(plan.n_blocks))
    assert [plan.stretch_of(block) for block in range(plan.n_blocks)] == [
        number for number, stretch in enumerate(stretches) for _ in stretch
    ]


@settings(deadline=None, max_examples=200)
@given(tile_plans())
def test_every_block_meets_every_block_once(plan: TilePlan) -> None:
    tiles = [*plan.first_tiles(), *plan.later_tiles()]
    assert len(tiles) == len(set(tiles)) == plan.n_spans * plan.n_groups
    assert row_pairs(plan) == Counter(product(range(plan.n_blocks), repeat=2))
    assert all(0 < len(plan.candidates(tile)) <= plan.group_blocks for tile in tiles)


@settings(deadline=None, max_examples=200)
@given(tile_plans())
def test_a_span_meets_itself_first_and_then_the_nearest(plan: TilePlan) -> None:
    for first in plan.first_tiles():
        span, tiles = plan.span(first.span), [Tile(first.span, group) for group in range(plan.n_groups)]
        order = [block for tile in tiles for block in plan.candidates(tile)]
        assert order[: len(span)] == list(span)
        assert set(span) <= set(plan.candidates(first))
        distances = [min(abs(candidate - block) for block in span) for candidate in order]
        assert distances == sorted(distances)


@settings(deadline=None, max_examples=200)
@given(tile_plans(least_rows=1), st.integers(1, 60), st.integers(1, 20))
def test_every_block_meets_every_block_of_a_reference_once(
    plan: TilePlan, known_rows: int, known_block_rows: int
) -> None:
    plan = replace(plan, known_rows=known_rows, known_block_rows=known_block_rows)
    n_candidates = -(-known_rows // known_block_rows)
    assert row_pairs(plan) == Counter(product(range(plan.n_blocks), range(n_candidates)))
    assert plan.possible_neighbors == known_rows
    for block in range(n_candidates):
        start, stop = plan.compared.bounds(block)
        assert 0 <= start < stop <= known_rows


@settings(deadline=None, max_examples=200)
@given(
    st.integers(1, 3_000_000),
    st.sampled_from([1_024, 16_384, 65_536]),
    st.integers(1, 3_000_000),
    st.sampled_from([1_024, 65_536]),
    st.integers(1, 64),
    st.floats(0, 10_000),
)
def test_plans_against_a_reference_are_of_bounded_tiles_and_few_strips(
    n_rows: int, block_rows: int, known_rows: int, known_block_rows: int, slots: int, row_bytes: float
) -> None:
    known = known_rows, known_block_rows
    plan = plan_tiles(n_rows, block_rows, slots=slots, row_bytes=row_bytes, known=known)
    assert 1 <= plan.n_groups <= MAXIMUM_GROUPS
    assert plan.span_blocks == 1 or plan.span_blocks * block_rows <= MAXIMUM_SPAN_ROWS
    if plan.n_groups < MAXIMUM_GROUPS:
        rows = min(plan.span_blocks * block_rows, n_rows)
        assert plan.group_blocks * rows * known_block_rows <= LARGEST_TILE_PAIRS or plan.group_blocks == 1


def test_later_tiles_need_the_first() -> None:
    plan = TilePlan(n_rows=5, block_rows=1, span_blocks=2, group_blocks=2)
    assert plan.first_tiles() == [Tile(span, 0) for span in range(3)]
    assert plan.later_tiles() == [Tile(span, group) for span in range(3) for group in (1, 2)]
    assert TilePlan(n_rows=5, block_rows=5, span_blocks=1, group_blocks=1).later_tiles() == []


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 10**10), st.integers(1, 2**20))
def test_plans_have_few_groups_of_bounded_work(n_rows: int, block_rows: int) -> None:
    plan = plan_tiles(n_rows, block_rows)
    assert (plan.n_rows, plan.block_rows) == (n_rows, block_rows)
    assert plan.n_groups <= MAXIMUM_GROUPS
    assert plan.span_blocks == 1 or plan.span_blocks * block_rows <= MAXIMUM_SPAN_ROWS
    assert plan.span_blocks <= plan.group_blocks
    least = max(plan.span_blocks, -(-plan.n_blocks // MAXIMUM_GROUPS))
    pairs = plan.span_blocks * plan.group_blocks * block_rows**2
    assert plan.group_blocks == least or pairs <= LARGEST_TILE_PAIRS


@settings(deadline=None, max_examples=200)
@given(tile_plans(), st.data())
def test_cut_spans_hold_one_block_or_at_most_the_text_that_is_allowed(
    plan: TilePlan, data: st.DataObject
) -> None:
    plan, most = replace(plan, cuts=()), data.draw(st.integers(1, 40))
    texts = data.draw(st.lists(st.integers(0, 30), min_size=plan.n_blocks, max_size=plan.n_blocks))
    cut = cut_spans(plan, texts, most)
    assert replace(cut, cuts=()) == plan
    for number in range(cut.n_spans):
        span = cut.span(number)
        assert len(span) == 1 or sum(texts[block] for block in span) <= most
        # It could not hold the next block, too.
        if span.stop < plan.n_blocks and span.stop % plan.span_blocks:
            assert sum(texts[block] for block in [*span, span.stop]) > most


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 10**10), st.integers(1, 2**20), st.floats(0, 10**4))
def test_tiles_of_long_rows_are_bounded_as_those_of_more_rows(
    n_rows: int, block_rows: int, row_bytes: float
) -> None:
    plan = plan_tiles(n_rows, block_rows, row_bytes=row_bytes)
    rows = round(block_rows * max(row_bytes / USUAL_ROW_BYTES, 1))
    assert plan.span_blocks == 1 or plan.span_blocks * rows <= MAXIMUM_SPAN_ROWS
    least = max(plan.span_blocks, -(-plan.n_blocks // MAXIMUM_GROUPS))
    assert plan.group_blocks == least or plan.span_blocks * plan.group_blocks * rows**2 <= LARGEST_TILE_PAIRS
    if row_bytes <= USUAL_ROW_BYTES:
        assert plan == plan_tiles(n_rows, block_rows)


@pytest.mark.parametrize("n_rows", [0, 1, 1_023, 1_024, 8_192, 8_193, 500_000, 10**6, 10**9])
def test_default_blocks_are_powers_of_two_in_bounds(n_rows: int) -> None:
    rows = default_block_rows(n_rows)
    assert rows.bit_count() == 1
    assert MINIMUM_BLOCK_ROWS <= rows <= MAXIMUM_BLOCK_ROWS
    assert default_block_rows(n_rows + 1) >= rows


@settings(deadline=None, max_examples=300)
@given(table_rows=st.lists(st.integers(0, 9), max_size=8), block_rows=st.integers(1, 25))
def test_slices_hold_every_row_of_every_table_in_order(table_rows: list[int], block_rows: int) -> None:
    plan = TilePlan(sum(table_rows), block_rows, 1, 1)
    slices = list(block_slices(table_rows, plan))
    assert len(slices) == plan.n_blocks
    for block, parts in enumerate(slices):
        start, stop = plan.bounds(block)
        assert sum(part.stop - part.start for part in parts) == stop - start
    rows = [(part.table, row) for parts in slices for part in parts for row in range(part.start, part.stop)]
    assert rows == [(table, row) for table, n_rows in enumerate(table_rows) for row in range(n_rows)]
    assert all(0 <= part.start <= part.stop <= table_rows[part.table] for parts in slices for part in parts)
