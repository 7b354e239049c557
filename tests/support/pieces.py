"""Pieces of sources, read as the pipeline reads them."""

from collections.abc import Sequence

import dask.bag as db

from novelty_dask.execution.bags import make_bag
from novelty_dask.kernels.text.urls import NormalForm
from novelty_dask.sources.find import Source
from novelty_dask.sources.pieces import Piece
from novelty_dask.stages.ingest import ingest


def read_pieces(
    sources: Sequence[Source], numbered: Sequence[tuple[int, Piece]], run: str, epoch: int, form: NormalForm
) -> db.Bag:
    """Return the bag that reads some pieces, of which each has its number."""
    return make_bag(
        [(number, piece, sources[piece.source]) for number, piece in numbered], ingest, run, epoch, form
    )
