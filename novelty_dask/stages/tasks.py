"""Parts that all tasks have in common: what they work with, what they return, how a worker opens a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from novelty_dask.errors import StoreError, UnreachableError
from novelty_dask.execution.compilation import report_compilation
from novelty_dask.features.choose import make_features
from novelty_dask.storage.references import open_reference
from novelty_dask.storage.runs import StoredRun, check_version, open_repairable

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray

    from novelty_dask.features.features import Features
    from novelty_dask.planning.tiles import TilePlan
    from novelty_dask.settings import ResultSettings
    from novelty_dask.storage.arrays import Arrays, RunArrays

NO_METRICS: Mapping[str, Any] = MappingProxyType({})


class Candidates(NamedTuple):
    """Rows that others are compared with: arrays, and how these are cut into blocks."""

    arrays: RunArrays
    plan: TilePlan


class Workspace(NamedTuple):
    """Everything that a task may read.

    Parameters
    ----------
    run : StoredRun
    arrays : RunArrays
        The arrays of the run.
    plan : TilePlan
        Blocks and tiles.
    has_past : bool
        True if rows as periods weigh them are stored, as they are while a run in time is made.
    """

    run: StoredRun
    arrays: RunArrays
    plan: TilePlan
    has_past: bool = True

    @property
    def settings(self) -> ResultSettings:
        """The settings that change numbers."""
        return self.run.manifest.settings

    @property
    def features(self) -> Features:
        """Features by which the lines of the run are compared."""
        return make_features(self.settings)

    @property
    def is_joined(self) -> bool:
        """True if the candidates are the rows of several references, whose views are not known."""
        return self.run.manifest.is_joined

    def open_candidates(self) -> Candidates:
        """Open what the rows are compared with: those of the reference, or they themselves.

        Raises
        ------
        StoreError
            The reference is gone, or another run is in its place.
        """
        arrays = open_reference(self.run) if self.plan.known_rows else self.arrays
        return Candidates(arrays, self.plan.compared)

    def read_rows(self, name: str, block: int) -> Any:
        """Return the part of an array of rows that belongs to a block."""
        return self.arrays.read(name, slice(*self.plan.bounds(block)))


class TaskResult(NamedTuple):
    """Results of a task.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Values by the name of the array that they belong to.
    metrics : mapping
        Numbers to add up.
    """

    arrays: Arrays
    metrics: Mapping[str, Any] = NO_METRICS


TaskFunction = Callable[[Workspace, str], TaskResult]
"""Computes the results of the task of an item from what is stored; stores nothing itself."""


def open_workspace(run: StoredRun, arrays: RunArrays) -> Workspace:
    """Return what the tasks of a planned run work with."""
    assert run.manifest.plan
    return Workspace(run, arrays, run.manifest.plan)


def open_on_worker(url: str) -> StoredRun:
    """Open a run on a worker.

    Raises
    ------
    StoreError
        It is not there, which on a worker of another host means another file system; or it is of another
        version, as workers that joined later may be.
    """
    report_compilation()
    try:
        # By the copy if need be: the client writes the manifest again when the stage is complete.
        run = open_repairable(url)
    except UnreachableError:
        raise
    except StoreError as error:
        message = f"{error} A worker needs the same view of it as the client."
        raise StoreError(message) from None
    check_version(run)
    return run


def keep_rows(X: sp.csr_matrix, is_kept: NDArray[np.bool_]) -> sp.csr_matrix:
    """Return a matrix of the same shape whose other rows are empty."""
    lengths = np.diff(X.indptr)
    kept = np.repeat(is_kept, lengths)
    indptr = np.concatenate([[0], np.cumsum(np.where(is_kept, lengths, 0))]).astype(X.indptr.dtype)
    return type(X)((X.data[kept], X.indices[kept], indptr), shape=X.shape)
