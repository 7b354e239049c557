"""Plans of tiles, drawn by Hypothesis."""

from dataclasses import replace

from hypothesis import strategies as st

from novelty_dask.planning.tiles import TilePlan


@st.composite
def tile_plans(draw: st.DrawFn, least_rows: int = 0) -> TilePlan:
    """Plans of small sizes, with spans that end early."""
    n_rows, block_rows = draw(st.integers(least_rows, 60)), draw(st.integers(1, 20))
    span_blocks = draw(st.integers(1, 5))
    plan = TilePlan(n_rows, block_rows, span_blocks, span_blocks + draw(st.integers(0, 10)))
    return replace(plan, cuts=tuple(block for block in range(1, plan.n_blocks) if draw(st.booleans())))
