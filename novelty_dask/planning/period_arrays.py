"""The arrays of rows in time: when periods begin, their columns, and rows as each period weighs them."""

import numpy as np

from novelty_dask.planning.arrays import BY_BLOCKS, UNDIVIDED, ArraySpec, Division, named, weight_chunk
from novelty_dask.planning.tiles import TilePlan

BY_PERIODS = Division(
    "by periods",
    item=lambda _plan, chunk: f"{chunk[0]}-{chunk[1]}",
    region=lambda _plan, item: tuple(map(int, item.split("-"))),
)
"""The array has one row for each period and block, which may be filled in part."""


def date_arrays(plan: TilePlan) -> list[ArraySpec]:
    """Return the arrays of the time with which each period begins, and of the rows that were seen before."""
    shape = (len(plan.periods),)
    return named(
        ("period",),
        ArraySpec("periods/start", shape, shape, "int64", UNDIVIDED),
        ArraySpec("periods/n_before", shape, shape, "int64", UNDIVIDED),
    )


def tally_arrays(plan: TilePlan, n_features: int) -> list[ArraySpec]:
    """Return the arrays of document frequencies of the rows before each period, and of weights by them."""
    shape, chunks = (len(plan.periods), n_features), (1, n_features)
    return named(
        ("period", "column"),
        ArraySpec("periods/document_frequency", shape, chunks, "int64", BY_BLOCKS),
        ArraySpec("periods/idf", shape, chunks, "float32", BY_BLOCKS, np.nan),
    )


def past_arrays(plan: TilePlan, widest_block: int) -> list[ArraySpec]:
    """Return the arrays of the rows of each period and before it, as it weighs them, in CSR blocks."""
    n_periods, n_blocks, rows = len(plan.periods), plan.n_blocks, plan.block_rows + 1
    wide, chunk = (n_periods, n_blocks, widest_block), (1, 1, weight_chunk(plan))
    return [
        *named(
            ("period", "block", "row_end"),
            ArraySpec("past/indptr", (n_periods, n_blocks, rows), (1, 1, rows), "int64", BY_PERIODS),
        ),
        *named(
            ("period", "block", "nonzero"),
            ArraySpec("past/indices", wide, chunk, "int32", BY_PERIODS, -1, "indices"),
            ArraySpec("past/data", wide, chunk, "float32", BY_PERIODS, codecs="weights"),
        ),
    ]
