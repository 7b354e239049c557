"""Records of the sources of a run, as its settings say: piece by piece, read, refanged and unwrapped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.kernels.text.wrapped import refang, unwrap
from novelty_dask.readers.choose import make_reader
from novelty_dask.readers.dates import take_times
from novelty_dask.sources.pieces import split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from novelty_dask.kernels.text.lines import LineBatch
    from novelty_dask.settings import ResultSettings
    from novelty_dask.sources.find import Source
    from novelty_dask.sources.pieces import Piece


def list_pieces(sources: Sequence[Source], settings: ResultSettings) -> list[Piece]:
    """Return the pieces of sources, in the order of their lines."""
    return split(sources, make_reader(settings).cut)


def read_batches(
    piece: Piece,
    source: Source,
    settings: ResultSettings,
    reject_nameless: Callable[[LineBatch], LineBatch],
) -> Iterator[LineBatch]:
    """Yield the lines of a piece as they are read.

    Parameters
    ----------
    piece : Piece
    source : Source
        Its source.
    settings : ResultSettings
        Of the run.
    reject_nameless : callable
        Rejects lines that have no web form, where they need one; it takes long to import.
    """
    batches = make_reader(settings).read(source, piece)
    if settings.time_column is not None:
        batches = map(take_times, batches)
    # Defanged first: brackets around a dot are none around a URL.
    if settings.refang:
        batches = (batch.changed(refang) for batch in batches)
    if settings.unwrap:
        batches = (batch.changed(unwrap) for batch in batches)
    return map(reject_nameless, batches) if settings.normal_form == "web" else batches
