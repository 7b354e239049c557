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
    from novelty_dask.storage.runs import StoredRun


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
        Fields of `WorkSettings`, and these.
    axis : {0, 1}, optional
        1 for neighbors of columns.
    column : str, optional
        Column of lists of a Parquet or Arrow file, or array of an ``.npz`` file, that has several.
    label_column : str, optional
        Column, or array of an ``.npz`` file, with the labels of rows, which are text or integers.  They are
        shown beside the numbers of rows.
    labels : str or path, optional
        Parquet, Arrow, ``.npy`` or ``.npz`` file of the labels; the source itself by default, if a column is
        named.

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
    identity, work = identify(fspath(source), metric, n_neighbors, settings)
    with working_client(client, work, listener) as working:
        stored, given = find_or_begin(fspath(out), identity)
        if not stored.manifest.is_complete or stored.is_repaired:
            run_session(stored, work, working, listener, given)
    return VectorRun(stored)


def find_or_begin(url: str, identity: RunIdentity) -> tuple[StoredRun, Given]:
    """Return the run of vectors at a path, or a new one, and its sources.

    Raises
    ------
    StoreError
        There is something else.
    """
    stored = find_run(url) or begin_run(url, identity)
    check_same(stored, identity)
    return stored, Given(list(identity.sources), {})


def plan_vectors(
    source: str | PathLike[str], *, metric: Metric = "cosine", n_neighbors: int = 10, **settings: Any
) -> RunPlan:
    """Tell what `score_vectors` would take; nothing but the head of the source, and labels, is read.

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
    return forecast_vectors(*identify(fspath(source), metric, n_neighbors, settings))


def identify(
    path: str, metric: Metric, n_neighbors: int, settings: dict[str, Any]
) -> tuple[RunIdentity, WorkSettings]:
    """Return all that the numbers of a run of vectors follow from, and the other settings.

    Raises
    ------
    SettingsError, InputError
        As for `score_vectors`.
    """
    axis, column, labels, label_column = (
        settings.pop(name, default)
        for name, default in {"axis": 0, "column": None, "labels": None, "label_column": None}.items()
    )
    work = WorkSettings.make(**settings)
    check_choices(n_neighbors=(n_neighbors, 1_000), metric=metric)
    if axis not in (0, 1):
        message = f"axis is {axis!r}; pass 0 for neighbors of rows, or 1 for those of columns."
        raise SettingsError(message)
    if labels is not None and not isinstance(labels, str | PathLike):
        message = f"labels is {type(labels).__name__}; store the labels in a file, and pass its path."
        raise SettingsError(message)
    origin, of_labels = find_origin(path), None
    sources = [origin]
    if labels is not None or label_column is not None:
        sources = [*dict.fromkeys([origin, find_origin(fspath(labels or path))])]
        of_labels = sources[-1].path, label_column
    matrix = describe_matrix(origin.path, metric, axis, column, of_labels)
    result = ResultSettings(n_neighbors=int(n_neighbors), normal_form="raw")
    return RunIdentity(settings=result, sources=tuple(sources), matrix=matrix), work
