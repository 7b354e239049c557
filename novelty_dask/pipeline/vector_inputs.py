"""The source of a run of vectors, in place of lines."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from novelty_dask.errors import InputError
from novelty_dask.execution.clusters.workers import find_resources
from novelty_dask.execution.speed import measure_speed
from novelty_dask.pipeline.inputs import Inputs
from novelty_dask.pipeline.limits import make_budget
from novelty_dask.planning.budget import Extent
from novelty_dask.planning.cost import vector_seconds
from novelty_dask.planning.stages import IMPORT
from novelty_dask.planning.summary import make_run_plan
from novelty_dask.stages.vectors import REFUSED
from novelty_dask.storage.totals import Totals
from novelty_dask.vectors.origin import check_origin, held_bytes

if TYPE_CHECKING:
    from collections.abc import Generator

    from novelty_dask.objects.commits import Metrics
    from novelty_dask.planning.matrix import Matrix
    from novelty_dask.planning.summary import RunPlan
    from novelty_dask.settings import WorkSettings
    from novelty_dask.sources.pieces import Piece
    from novelty_dask.storage.identity import RunIdentity
    from novelty_dask.storage.runs import StoredRun

WEIGHT_BYTES = 4
"""Bytes of text that stand for a value, where plans weigh rows by their text."""


class VectorInputs(Inputs):
    """The source of a run of vectors."""

    @cached_property
    def pieces(self) -> list[Piece]:
        """No pieces: blocks are read from the source."""
        return []

    @property
    def is_counted(self) -> bool:
        """True, as the source says how many rows it has."""
        return True

    @property
    def totals(self) -> Totals:
        """The number of rows; no line is read."""
        return Totals(lines=0, rows=_matrix(self.run).n_rows, duplicates=0, rejected={})

    @property
    def extents(self) -> list[Extent]:
        """The rows."""
        return [weigh_rows(_matrix(self.run))]

    @cached_property
    def decompressor_bytes(self) -> int:
        """Most bytes that a task holds to read any rows, while there are any to be read."""
        return 0 if self.run.manifest.has_rows else held_bytes(self.sources, _matrix(self.run))

    def check_unchanged(self) -> None:
        """Refuse sources that are not as they were when the run was begun.

        Raises
        ------
        InputError
            One is not.
        """
        for source in self.run.manifest.sources:
            check_origin(source)


def forecast_vectors(identity: RunIdentity, work: WorkSettings) -> RunPlan:
    """Return what a run of vectors would take.

    Raises
    ------
    BudgetError
        A worker would need more memory than it may use.
    """
    matrix = identity.matrix
    assert matrix
    workers = find_resources(None, sum(source.n_bytes for source in identity.sources), work)
    budget = replace(make_budget(identity.settings, workers, None), matrix=matrix)
    extent, cost = weigh_rows(matrix), vector_seconds(matrix) / measure_speed()
    extent = extent._replace(decompressor_bytes=held_bytes(identity.sources, matrix))
    return make_run_plan(budget, extent, work.block_rows, workers.workers, cost)


def weigh_rows(matrix: Matrix) -> Extent:
    """Return the rows of a matrix, and bytes by which they weigh as much as rows of text."""
    return Extent(matrix.n_rows, WEIGHT_BYTES * matrix.n_rows * matrix.n_columns)


def import_rows(inputs: Inputs, results: Generator[Metrics], *, is_needed: bool) -> Generator[Metrics]:
    """Yield the metrics of tasks that import blocks, as they come.

    Raises
    ------
    InputError
        The source has changed, or has rows that can't be compared.
    """
    run = inputs.run
    if is_needed:
        inputs.check_unchanged()
    yield from results
    if is_needed:
        # A file that was replaced meanwhile may have given rows of both.
        inputs.check_unchanged()
    metrics = (run.commits.get(task).metrics for task in IMPORT.tasks(run.manifest.shape))
    refused = [each[REFUSED] for each in metrics if REFUSED in each]
    if refused:
        what = "Column" if _matrix(run).axis else "Row"
        message = (
            f"{what} {min(refused):,} of {run.manifest.sources[0].shown} has NaN or an infinite value; fill "
            "it in, or leave it out."
        )
        raise InputError(message)


def _matrix(run: StoredRun) -> Matrix:
    """Return the matrix of a run of vectors."""
    matrix = run.manifest.identity.matrix
    assert matrix
    return matrix
