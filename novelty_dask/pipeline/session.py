"""The session of one client that works on one run, with everything that the work needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from novelty_dask.events import Listener
    from novelty_dask.execution.executors import Executor
    from novelty_dask.pipeline.inputs import Inputs
    from novelty_dask.pipeline.limits import MemoryLimits
    from novelty_dask.planning.shapes import RunShape
    from novelty_dask.storage.manifest import Manifest
    from novelty_dask.storage.runs import StoredRun


@dataclass(frozen=True)
class Session:
    """The work of one client on one run, which it has claimed.

    Parameters
    ----------
    run : StoredRun
        Opened once; its manifest is kept up to date.
    epoch : int
        Of the client as the owner of the run.
    executor : Executor
        Runs the tasks.
    listener : Listener
        Takes the events.
    inputs : Inputs
        The sources of the run.
    limits : MemoryLimits
        Decides what fits in a worker.
    is_strict : bool
        True to refuse sources if a line of them is rejected.
    """

    run: StoredRun
    epoch: int
    executor: Executor
    listener: Listener
    inputs: Inputs
    limits: MemoryLimits
    is_strict: bool = False

    @property
    def manifest(self) -> Manifest:
        """The manifest of the run."""
        return self.run.manifest

    @property
    def shape(self) -> RunShape:
        """The numbers from which all tasks of the run follow."""
        return self.manifest.shape._replace(n_pieces=len(self.inputs.pieces))
