"""The few numbers from which all tasks and arrays of a run follow."""

from typing import NamedTuple

from novelty_dask.planning.tiles import TilePlan


class RunShape(NamedTuple):
    """Numbers from which all tasks and arrays of a run follow, as far as they are known.

    Parameters
    ----------
    n_features : int
        Columns of the hashed matrix.
    n_neighbors : int
        Neighbors kept of a row.
    n_pieces : int or None
        Pieces into which the sources are split.
    n_rejected : int or None
        Rejected lines.
    plan : TilePlan or None
        Blocks and tiles.
    widest_block : int or None
        Non-zeros of the block that has the most; known once all blocks are counted.
    n_kept : int
        Further fields of records that rows keep.
    growth : {"", "extended", "refreshed"}
        Whether a run is being made of another and of new rows, and has its weights or those of all.
    """

    n_features: int
    n_neighbors: int
    n_pieces: int | None = None
    n_rejected: int | None = None
    plan: TilePlan | None = None
    widest_block: int | None = None
    n_kept: int = 0
    growth: str = ""
