"""The functions that Python users call: score sources into a run, plan without running, resume a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from novelty_dask.errors import InputError, SettingsError
from novelty_dask.events import Listener, ignore
from novelty_dask.execution.clusters.workers import working_client
from novelty_dask.features.given import check_given, give_again, take_features, using
from novelty_dask.objects.leases import temporary_url
from novelty_dask.pipeline.forecast import forecast
from novelty_dask.pipeline.given import give_names, give_texts
from novelty_dask.pipeline.inputs import identify_run
from novelty_dask.pipeline.reading import check_none_rejected
from novelty_dask.pipeline.start import run_session
from novelty_dask.settings import Settings, WorkSettings
from novelty_dask.storage.joined import adopt_references
from novelty_dask.storage.runs import begin_run, check_same, find_run, open_repairable
from novelty_dask.vector_run import open_run

if TYPE_CHECKING:
    from distributed import Client

    from novelty_dask.pipeline.given import Given
    from novelty_dask.planning.summary import RunPlan
    from novelty_dask.run import Run
    from novelty_dask.storage.runs import StoredRun
    from novelty_dask.storage.totals import Reference

Sources = str | PathLike[str] | Iterable[str | PathLike[str]]
Against = str | PathLike[str] | Sequence[str | PathLike[str]]


def score(  # noqa: PLR0913 - all but the first are keywords
    sources: Sources | None = None,
    out: str | PathLike[str] | None = None,
    *,
    urls: Any = None,
    against: Against | None = None,
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
    against : Run, str or path, or sequence of them, optional
        Complete run of all that is known.  Each URL is then compared with its rows alone, with its
        weights and settings; `Run.known` tells which of them it holds.  Of several runs the rows are
        joined, each once, and weighed together.
    client : distributed.Client or str, optional
        Works on its scheduler, whose workers must see the sources and `out` under the same names; or the
        address of one.
    listener : Listener, optional
        Takes the events.
    settings : Settings, optional
        As from `Settings.read`.
    **overrides
        Fields of `Settings`, which take precedence; and these two.
    vectorizer : object, optional
        Makes the features in place of our own: a vectorizer of scikit-learn, dask-ml, or of one's own, whose
        method ``transform`` turns texts into nonnegative sparse rows.  It is stateless or fitted, and travels
        to the workers with their tasks; the run has its name and fingerprint, by parameters, state and
        versions.
    weights : {"tfidf", "as_is"}, optional
        Take the values of the vectorizer for counts, to be weighted, which is the default; or scale its rows
        to unit length and leave them as they are.

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
    features = take_features(overrides)
    chosen = choose_settings(settings, overrides)
    chosen, reference = adopt_reference(against, None if out is None else fspath(out), chosen)
    if (sources is None) == (urls is None):
        message = "Give either the names of sources or urls=, which are in memory."
        raise InputError(message)
    # Before a scheduler is called: a wrong name is refused at once.  URLs in memory may be partitions that
    # its workers hold.
    named = None if sources is None else give_names(sources, remote=chosen.remote, listener=listener)
    with using(features), working_client(client, chosen, listener) as working:
        given = (named or give_texts(urls, working))._replace(reference=reference)
        if out is not None:
            return _score(given, fspath(out), chosen, working, listener)
        with temporary_url() as url:
            return _score(given, url, chosen, working, listener)


def plan(
    sources: Sources,
    *,
    against: Against | None = None,
    client: Client | None = None,
    listener: Listener = ignore,
    settings: Settings | None = None,
    **overrides: Any,
) -> RunPlan:
    """Estimate what scoring some sources would take, from a look at a sample of each.

    Parameters
    ----------
    sources : str, path, or iterable of them
        As for `score`; standard input can't be planned for.
    against : Run, str or path, or sequence of them, optional
        As for `score`.
    client : distributed.Client, optional
        With the workers to plan for; by default those that this machine would have.
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
    chosen, reference = adopt_reference(against, None, choose_settings(settings, overrides))
    return forecast(sources, chosen, listener, reference, client)


def choose_settings(settings: Settings | None, overrides: dict[str, Any]) -> Settings:
    """Return settings with some fields overridden."""
    given = settings.model_dump(exclude_unset=True) if settings else {}
    return Settings.make(**{**given, **overrides})


def adopt_reference(
    against: Against | None, out: str | None, settings: Settings
) -> tuple[Settings, Reference | None]:
    """Return settings with those of references, if any is named, and what a run keeps of them."""
    named: Any = against if isinstance(against, list | tuple) else [against]
    paths = [fspath(path) for path in named if path is not None]
    if not paths:
        if settings.since is not None:
            message = "A time since which rows are known is for a reference; name one, or leave out since."
            raise SettingsError(message)
        return settings, None
    if settings.time_column is not None:
        message = "Rows are compared in time or with a reference, not both; leave out time_column or against."
        raise SettingsError(message)
    return adopt_references(paths, out, settings)


def _score(given: Given, url: str, settings: Settings, client: Client | None, listener: Listener) -> Run:
    """Make, go on with, or just open the run of some sources."""
    return open_run(score_given(given, url, settings, client, listener))


def score_given(
    given: Given,
    url: str,
    settings: Settings,
    client: Client | None,
    listener: Listener,
    *,
    take_over: bool = False,
) -> StoredRun:
    """Make, go on with, or just open the run of some sources, as it is stored."""
    check_given(settings.result)
    stored, given = find_or_begin(given, url, settings)
    # A complete run is opened as it is; only `resume` and `verify` read all of it.  One that stands by the
    # copy of its manifest is refused by all that read runs until a session has written it again.
    if not stored.manifest.is_complete or stored.is_repaired:
        run_session(stored, settings.work, client, listener, given, take_over=take_over)
    # A session refuses rejected lines before it sorts: here the sort may be an earlier one's, which let them
    # pass.
    if settings.strict:
        check_none_rejected(stored)
    return stored


def find_or_begin(given: Given, url: str, settings: Settings) -> tuple[StoredRun, Given]:
    """Return the run of some sources, which is made if there is none, and the sources as it has them."""
    stored = find_run(url)
    given = given.without(url).identified(stored)
    identity = identify_run(given, settings.result)
    stored = stored or begin_run(url, identity)
    check_same(stored, identity)
    return stored, given


def resume(
    run: str | PathLike[str],
    *,
    client: Client | str | None = None,
    listener: Listener = ignore,
    take_over: bool = False,
    vectorizer: Any = None,
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
    vectorizer : object, optional
        The vectorizer of the run, if it has one.
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
    features = give_again(stored.manifest.settings, vectorizer)
    with using(features), working_client(client, chosen, listener) as working:
        run_session(stored, chosen, working, listener, take_over=take_over)
    if chosen.strict:
        check_none_rejected(stored)
    return open_run(stored)
