"""The function that hands a run to a cluster as a job."""

from __future__ import annotations

from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from novelty_dask.api import Against, adopt_reference, choose_settings, find_or_begin
from novelty_dask.errors import HIDDEN, InputError, SettingsError
from novelty_dask.events import Listener, ignore
from novelty_dask.execution.clusters.workers import working_client
from novelty_dask.jobs.handover import hand_over
from novelty_dask.jobs.job import Job
from novelty_dask.jobs.record import create_job, find_job
from novelty_dask.objects.creation import make_token
from novelty_dask.objects.owners import JobToken
from novelty_dask.pipeline.given import give_names, give_texts
from novelty_dask.pipeline.start import Terms, run_session
from novelty_dask.vector_runs import find_or_begin as find_or_begin_vectors
from novelty_dask.vector_runs import identify

if TYPE_CHECKING:
    from distributed import Client

    from novelty_dask.api import Sources
    from novelty_dask.jobs.record import JobRecord
    from novelty_dask.kernels.choices import Metric
    from novelty_dask.pipeline.given import Given
    from novelty_dask.pipeline.session import Session
    from novelty_dask.settings import Settings, WorkSettings
    from novelty_dask.storage.runs import StoredRun

KEPT = ("block_rows", "memory_limit", "strict")
"""Settings of the work that the drivers of a job need; the others are of the client alone."""


def submit(  # noqa: PLR0913 - all but the first two are keywords
    sources: Sources | None = None,
    out: str | PathLike[str] | None = None,
    *,
    urls: Any = None,
    against: Against | None = None,
    client: Client | str | None = None,
    listener: Listener = ignore,
    settings: Settings | None = None,
    **overrides: Any,
) -> Job:
    """Hand the scoring of some sources to a cluster, which does it without this process.

    When this returns, the run and its job are in the store, and a scheduler knows of them.

    Parameters
    ----------
    sources, urls, against, settings, **overrides
        As for `score`, but that there is no vectorizer.  What can be read but once is copied into the run
        first.
    out : str or path
        Where to store the run: workers and scheduler must see it under this name.  Of a run that is there and
        is not complete the job goes on, or a new one begins.
    client : distributed.Client or str
        Of a scheduler, or its address; ``scheduler`` among the settings names it, too.
    listener : Listener, optional
        Takes the events until this returns.

    Returns
    -------
    Job

    Raises
    ------
    SettingsError, InputError, BudgetError, StoreError, ClusterError
        As their names say; nothing is overwritten.
    """
    chosen = choose_settings(settings, _without_vectorizer(overrides))
    if (sources is None) == (urls is None):
        message = "Give either the names of sources or urls=, which are in memory."
        raise InputError(message)
    url = _check(out, chosen, client)
    chosen, reference = adopt_reference(against, url, chosen)
    named = None if sources is None else give_names(sources, remote=chosen.remote, listener=listener)
    with working_client(client, chosen.work, listener) as working:
        assert working is not None
        given = (named or give_texts(urls, working))._replace(reference=reference)
        return _order(*find_or_begin(given, url, chosen), chosen.work, working, listener)


def submit_vectors(
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    metric: Metric = "cosine",
    n_neighbors: int = 10,
    client: Client | str | None = None,
    listener: Listener = ignore,
    **settings: Any,
) -> Job:
    """Hand the search for neighbors of vectors to a cluster, which does it without this process.

    Parameters
    ----------
    source, metric, n_neighbors, **settings
        As for `score_vectors`.
    out, client, listener
        As for `submit`.

    Returns
    -------
    Job

    Raises
    ------
    SettingsError, InputError, BudgetError, StoreError, ClusterError
        As their names say; nothing is overwritten.
    """
    identity, work = identify(fspath(source), metric, n_neighbors, settings)
    url = _check(out, work, client)
    with working_client(client, work, listener) as working:
        assert working is not None
        return _order(*find_or_begin_vectors(url, identity), work, working, listener)


def _order(stored: StoredRun, given: Given, work: WorkSettings, client: Client, listener: Listener) -> Job:
    """Hand a run to a cluster, and return its job: the one that it has, if that is not over."""
    record = find_job(stored.objects)
    if stored.manifest.is_complete:
        # Nothing is left to do, and whoever asks for the job finds that in its record.
        record = record or create_job(stored.objects, make_token(), "", {})
        record.close("complete", "The run is complete.")
    else:
        if record is None or not record.view().is_open:
            record = _begin(stored, work, client, listener, given)
        hand_over(client, stored.url, record.token, listener)
    return Job(stored.url)


def _without_vectorizer(overrides: dict[str, Any]) -> dict[str, Any]:
    """Return settings without a vectorizer.

    Raises
    ------
    SettingsError
        There is one.
    """
    if overrides.get("vectorizer") is not None:
        message = (
            "A job can't have a vectorizer, which its drivers would have to load from the store; use score, "
            "or leave it out."
        )
        raise SettingsError(message)
    return overrides


def _check(out: str | PathLike[str] | None, chosen: Settings | WorkSettings, client: Any) -> str:
    """Return the path of the run, if settings suffice for a job.

    Raises
    ------
    SettingsError
        Something is missing, or there is too much.
    """
    if out is None:
        message = "A job needs a run that outlives this process; name it, as in out='run.zarr'."
        raise SettingsError(message)
    if chosen.cluster:
        message = (
            "A cluster that is started for a command ends with it, and its jobs too; start it with `novelty "
            "cluster start`, and submit with its scheduler."
        )
        raise SettingsError(message)
    if client is None and not chosen.scheduler and not chosen.scheduler_file:
        message = "A job needs a Dask scheduler; name the address of one as scheduler, or pass a client."
        raise SettingsError(message)
    return fspath(out)


def _begin(
    stored: StoredRun, work: WorkSettings, client: Client, listener: Listener, given: Given
) -> JobRecord:
    """Make the job of a run, once everything has been checked that can be, and streams are copied."""
    token = make_token()
    made: list[JobRecord] = []

    def begin(session: Session) -> bool:
        if any(HIDDEN in source.url for source in session.manifest.sources) and not session.manifest.has_rows:
            message = (
                "The URLs of the sources hold credentials, which no job keeps; give them to the workers by "
                "their environment, or score without a job."
            )
            raise InputError(message)
        kept = {name: getattr(work, name) for name in KEPT}
        address = str(getattr(client.scheduler, "address", ""))
        made.append(create_job(stored.objects, token, address, kept))
        return False

    run_session(stored, work, client, listener, given, terms=Terms(JobToken(token), begin, only_begins=True))
    # A run may have become complete meanwhile; then a driver says so.
    return made[0]
