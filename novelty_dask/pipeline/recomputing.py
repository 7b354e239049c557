"""Blocks of a complete run computed again, and the rows of its references joined again for it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from novelty_dask.events import Listener, report_each
from novelty_dask.execution.advances import advances_here
from novelty_dask.objects.leases import temporary_url
from novelty_dask.pipeline.start import join_references
from novelty_dask.settings import WorkSettings
from novelty_dask.stages.recompute import choose_blocks, recompute

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from novelty_dask.errors import DamageError
    from novelty_dask.storage.runs import StoredRun


def recompute_some(
    stored: StoredRun, blocks: Sequence[int], n_blocks: int, seed: int | None, listener: Listener
) -> tuple[list[DamageError], int]:
    """Compute a random choice of blocks again; return what differs, and how many were computed.

    Parameters
    ----------
    stored : StoredRun
        A complete run.
    blocks : sequence of int
        Blocks to choose from.
    n_blocks : int
        How many to choose.
    seed : int or None
        Chooses the same ones again.
    listener : Listener

    Raises
    ------
    StoreError
        A reference of it is gone or damaged.
    """
    chosen = choose_blocks(blocks, n_blocks, seed)
    with _references_joined(stored, listener), advances_here(stored.url, listener):
        return [*recompute(stored, report_each("recompute", chosen, listener))], len(chosen)


@contextmanager
def _references_joined(stored: StoredRun, listener: Listener) -> Iterator[None]:
    """Join the references of a run in a temporary folder while the block lasts, if it has several."""
    if not stored.manifest.is_joined:
        yield
        return
    # Not where they were joined before: whoever verifies a run may not be allowed to write there.
    with temporary_url() as url:
        stored.joined_url = url
        join_references(stored, WorkSettings.make(workers=0), None, listener)
        yield
