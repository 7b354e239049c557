"""Runs of vectors: find the neighbors of all rows of a file out of core, and plan without running."""

from __future__ import annotations

from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from novelty_dask.errors import SettingsError
from novelty_dask.events import Listener, ignore
from novelty_dask.execution.clusters.workers import working_client
from novelty_dask.pipeline.given import Given
from novelty_dask.pipeline.start import run_session
from novelty_dask.pipeline.vector_inputs import forecast_vectors
from novelty_dask.settings import ResultSettings, WorkSettings
from novelty_dask.storage.identity import RunIdentity
from novelty_dask.storage.runs import begin_run, check_same, find_run
from novelty_dask.vector_run import VectorRun
from novelty_dask.vectors.neighbors import check_choices
from novelty_dask.vectors.origin import describe_matrix, find_origin

if TYPE_CHECKING:
    from distributed import Client

    from novelty_dask.kernels.choices import Metric
    from novelty_dask.planning.summary import RunPlan
    from novelty_dask.sources.find import Source


def score_vectors(
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    metric: Metric = "cosine",
    n_neighbors: int = 10,
    client: Client | str | None = None,
    listener: Listener = ignore,
    **settings: Any,
) -> VectorRun:
    """Find the exact neighbors of all rows of a file of vectors, and their novelty, as a run.

    The neighbors have the bytes that `neighbors` returns, whatever the blocks and workers.  A run is on disk,
    and goes on after it was stopped; memory is that of a few blocks.

    Parameters
    ----------
    source : str or path
        An ``.npy``, ``.npz``, Parquet or Arrow file, or an array of Zarr, of dense rows.  All workers must
        see it under this name until the vectors are stored in the run.
    out : str or path
        Where to store the run.  A run that was stopped goes on there; a complete one of the same source and
        choices is opened.
    metric : {"cosine", "euclidean", "inner_product"}
        The highest cosine, the shortest distance, or the highest product.
    n_neighbors : int
        Neighbors of each row, 1 to 1,000.
    client : distributed.Client or str, optional
        Works on its scheduler, or on one at an address.
    listener : Listener, optional
        Takes the events.
    **settings
        Fields of `WorkSettings`, and these two.
    axis : {0, 1}, optional
        1 for neighbors of columns.
    column : str, optional
        Column of lists of a Parquet or Arrow file, or array of an ``.npz`` file, that has several.

    Returns
    -------
    VectorRun
        The complete run.

    Raises
    ------
    SettingsError, InputError, BudgetError, StoreError, ClusterError
        As their names say; nothing is overwritten.

    Examples
    --------
    >>> import tempfile, numpy as np, novelty_dask
    >>> X = np.random.default_rng(0).normal(size=(300, 8)).astype("float32")
    >>> X[7] = 100
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/x.npy", X)
    ...     run = novelty_dask.score_vectors(f"{folder}/x.npy", f"{folder}/run.zarr", metric="euclidean")
    ...     print(run.top(1).row[0])
    7
    """
    origin, identity, work = _identify(fspath(source), metric, n_neighbors, settings)
    url = fspath(out)
    with working_client(client, work, listener) as working:
        stored = find_run(url) or begin_run(url, identity)
        check_same(stored, identity)
        if not stored.manifest.is_complete or stored.is_repaired:
            run_session(stored, work, working, listener, Given([origin], {}))
    return VectorRun(stored)


def plan_vectors(
    source: str | PathLike[str], *, metric: Metric = "cosine", n_neighbors: int = 10, **settings: Any
) -> RunPlan:
    """Tell what `score_vectors` would take; nothing but the head of the source is read.

    Parameters
    ----------
    source, metric, n_neighbors
        As for `score_vectors`.
    **settings
        As for `score_vectors`.

    Returns
    -------
    RunPlan
        Rows, blocks, tasks, bytes of memory and disk.

    Raises
    ------
    BudgetError
        A worker would need more memory than it may use.
    SettingsError, InputError
        As for `score_vectors`.
    """
    return forecast_vectors(*_identify(fspath(source), metric, n_neighbors, settings))


def _identify(
    path: str, metric: Metric, n_neighbors: int, settings: dict[str, Any]
) -> tuple[Source, RunIdentity, WorkSettings]:
    """Return the source of a run of vectors, all that its numbers follow from, and the other settings."""
    axis, column = settings.pop("axis", 0), settings.pop("column", None)
    work = WorkSettings.make(**settings)
    check_choices(n_neighbors=(n_neighbors, 1_000), metric=metric)
    if axis not in (0, 1):
        message = f"axis is {axis!r}; pass 0 for neighbors of rows, or 1 for those of columns."
        raise SettingsError(message)
    origin = find_origin(path)
    matrix = describe_matrix(origin.path, metric, axis, column)
    result = ResultSettings(n_neighbors=int(n_neighbors), normal_form="raw")
    return origin, RunIdentity(settings=result, sources=(origin,), matrix=matrix), work
