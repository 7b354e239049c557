"""The functions that Python users call: score sources into a run, plan without running, resume a run."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from novelty_dask.errors import InputError
from novelty_dask.events import Listener, ignore
from novelty_dask.execution.clusters.workers import working_client
from novelty_dask.pipeline.forecast import forecast
from novelty_dask.pipeline.given import give_names, give_texts
from novelty_dask.pipeline.inputs import identify_run
from novelty_dask.pipeline.reading import check_none_rejected
from novelty_dask.pipeline.start import run_session
from novelty_dask.run import Run, temporary_url
from novelty_dask.settings import Settings, WorkSettings
from novelty_dask.storage.runs import begin_run, check_same, find_run, open_repairable

if TYPE_CHECKING:
    from distributed import Client

    from novelty_dask.pipeline.given import Given
    from novelty_dask.planning.summary import RunPlan

Sources = str | PathLike[str] | Iterable[str | PathLike[str]]


def score(
    sources: Sources | None = None,
    out: str | PathLike[str] | None = None,
    *,
    urls: Any = None,
    client: Client | str | None = None,
    listener: Listener = ignore,
    settings: Settings | None = None,
    **overrides: Any,
) -> Run:
    r"""Score the novelty of each distinct URL in some sources.

    Parameters
    ----------
    sources : str, path, or iterable of them
        Names of files, globs or folders on this machine or in an object store, such as
        ``"s3://bucket/crawl/"``; they hold one URL a line, compressed or not.  ``"-"`` is standard input.
        No URL is visited: one of the web is refused, also in a list, a Series or a generator.
    urls : iterable of str, or Dask Bag, Series or Array, optional
        URLs in memory, in place of `sources`: a list, an iterator, a column of pandas, polars, NumPy or
        Arrow.  They are streamed into the run, which keeps them as long as it needs them.  The partitions
        of a Dask collection are computed and written by the workers.
    out : str or path, optional
        Where to store the run.  A run that was stopped goes on there; a complete one of the
        same sources and settings is opened.  Without it the run is temporary: it is removed when the
        last of its objects has gone, be it the run, an array, a frame or a delayed object.
    client : distributed.Client or str, optional
        Works on its scheduler, whose workers must see the sources and `out` under the same names; or the
        address of one.
    listener : Listener, optional
        Takes the events.
    settings : Settings, optional
        As from `Settings.read`.
    **overrides
        Fields of `Settings`, which take precedence.

    Returns
    -------
    Run
        The complete run.

    Raises
    ------
    SettingsError, InputError, BudgetError, StoreError, ClusterError
        As their names say; nothing is overwritten.

    Examples
    --------
    >>> import tempfile, novelty_dask
    >>> urls, planted = novelty_dask.datasets.make_urls(200, n_planted=1)
    >>> with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
    ...     _ = file.write("\n".join(urls))
    ...     file.flush()
    ...     run = novelty_dask.score(file.name)
    >>> bool(run.top(1).position[0] == planted[0])
    True
    >>> novelty_dask.score(urls=urls)
    <Run ...: 197 rows, 10 neighbors>
    """
    chosen = _settings(settings, overrides)
    if (sources is None) == (urls is None):
        message = "Give either the names of sources or urls=, which are in memory."
        raise InputError(message)
    named = None if sources is None else give_names(sources, remote=chosen.remote, listener=listener)
    with working_client(client, chosen.scheduler) as working:
        given = named or give_texts(urls, working)
        if out is not None:
            return _score(given, fspath(out), chosen, working, listener)
        with temporary_url() as url:
            return _score(given, url, chosen, working, listener)


def plan(
    sources: Sources, *, listener: Listener = ignore, settings: Settings | None = None, **overrides: Any
) -> RunPlan:
    """Estimate what scoring some sources would take, from a look at a sample of each.

    Parameters
    ----------
    sources : str, path, or iterable of them
        As for `score`; standard input can't be planned for.
    listener : Listener, optional
        Takes an event for each folder.
    settings : Settings, optional
    **overrides
        Fields of `Settings`, which take precedence.

    Returns
    -------
    RunPlan
        Rows, blocks, tasks, bytes of memory and disk; approximate, as rows are estimated.

    Raises
    ------
    BudgetError
        A worker would need more memory than it may use.
    """
    return forecast(sources, _settings(settings, overrides), listener)


def _settings(settings: Settings | None, overrides: dict[str, Any]) -> Settings:
    """Return settings with some fields overridden."""
    given = settings.model_dump(exclude_unset=True) if settings else {}
    return Settings.make(**{**given, **overrides})


def _score(given: Given, url: str, settings: Settings, client: Client | None, listener: Listener) -> Run:
    """Make, go on with, or just open the run of some sources."""
    stored = find_run(url)
    given = given.without(url).identified(stored)
    identity = identify_run(given, settings.result)
    stored = stored or begin_run(url, identity)
    check_same(stored, identity)
    if not stored.manifest.is_complete or stored.is_repaired:
        run_session(stored, settings.work, client, listener, given)
    if settings.strict:
        check_none_rejected(stored)
    return Run(stored)


def resume(
    run: str | PathLike[str],
    *,
    client: Client | str | None = None,
    listener: Listener = ignore,
    take_over: bool = False,
    **settings: Any,
) -> Run:
    """Do what is missing or damaged of a run.

    Parameters
    ----------
    run : Run, str or path
        The run, or its path or URL.
    client : distributed.Client or str, optional
        Works on its scheduler, or on one at an address.
    listener : Listener, optional
        Takes the events.
    take_over : bool
        True to succeed a client on another host that is known to be dead, after a minute of silence.
    **settings
        Fields of `WorkSettings`; those that change numbers belong to the run and are refused.

    Returns
    -------
    Run
        The complete run.

    Raises
    ------
    SettingsError, InputError, BudgetError, StoreError, ClusterError
        As their names say.
    """
    stored = open_repairable(fspath(run))
    chosen = WorkSettings.make(**settings)
    with working_client(client, chosen.scheduler) as working:
        run_session(stored, chosen, working, listener, take_over=take_over)
    if chosen.strict:
        check_none_rejected(stored)
    return Run(stored)
