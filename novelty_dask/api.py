"""The functions that Python users call: score sources into a run, plan without running, resume a run."""

import shutil
import tempfile
import weakref
from collections.abc import Iterable
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from novelty_dask.errors import InputError, without_secrets
from novelty_dask.events import Listener, ignore
from novelty_dask.objects.address import absolute_url, is_inside
from novelty_dask.pipeline.session import local_resources, make_budget, run_session, working_client
from novelty_dask.planning.budget import Extent
from novelty_dask.planning.summary import RunPlan, make_run_plan
from novelty_dask.run import Run
from novelty_dask.settings import Settings, WorkSettings
from novelty_dask.sources.estimate import estimate_lines
from novelty_dask.sources.find import STDIN, Source, find_sources
from novelty_dask.sources.stdin import identify, standard_input
from novelty_dask.storage.manifest import Manifest, RunIdentity
from novelty_dask.storage.runs import StoredRun, check_same, create_run, find_run, open_stored

if TYPE_CHECKING:
    from distributed import Client

Sources = str | PathLike[str] | Iterable[str | PathLike[str]]


def score(
    sources: Sources,
    out: str | PathLike[str] | None = None,
    *,
    client: "Client | None" = None,
    listener: Listener = ignore,
    settings: Settings | None = None,
    **overrides: Any,
) -> Run:
    r"""Score the novelty of each distinct URL in some sources.

    Parameters
    ----------
    sources : str, path, or iterable of them
        Files, globs, folders or URLs that fsspec knows, one URL a line, compressed or not;
        ``"-"`` is standard input.
    out : str or path, optional
        Where to store the run.  A run that was stopped goes on there; a complete one of the
        same sources and settings is opened.  Without it the run is removed with its object.
    client : distributed.Client, optional
        Works on its scheduler, whose workers must see the sources and `out` under the same names.
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
    """
    chosen = _settings(settings, overrides)
    with working_client(client, chosen.scheduler) as working:
        if out is not None:
            return _score(_names(sources), absolute_url(fspath(out)), chosen, working, listener)
        return _score_aside(_names(sources), chosen, working, listener)


def plan(sources: Sources, *, settings: Settings | None = None, **overrides: Any) -> RunPlan:
    """Estimate what scoring some sources would take, from a look at a sample of each.

    Parameters
    ----------
    sources : str, path, or iterable of them
        As for `score`; standard input can't be planned for.
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
    chosen = _settings(settings, overrides)
    found = find_sources(_names(sources))
    if any(source.url == STDIN for source in found):
        message = "Standard input can't be planned for, as it can be read only once; name files."
        raise InputError(message)
    resources = local_resources(found, chosen.work)
    budget = make_budget(chosen.result, resources)
    return make_run_plan(budget, Extent(*estimate_lines(found)), chosen.block_rows, resources.workers)


def _settings(settings: Settings | None, overrides: dict[str, Any]) -> Settings:
    """Return settings with some fields overridden."""
    given = settings.model_dump(exclude_unset=True) if settings else {}
    return Settings.make(**{**given, **overrides})


def _score_aside(names: list[str], settings: Settings, client: "Client | None", listener: Listener) -> Run:
    """Make a run that is removed with its object."""
    folder = tempfile.mkdtemp(prefix="novelty-")
    try:
        run = _score(names, f"{folder}/run.zarr", settings, client, listener)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(run, shutil.rmtree, folder, ignore_errors=True)
    return run


def _score(
    names: list[str], url: str, settings: Settings, client: "Client | None", listener: Listener
) -> Run:
    """Make, go on with, or just open the run of some sources."""
    found = [source for source in find_sources(names) if not is_inside(source.url, url)]
    stored = find_run(url)
    found = [_identified(source, stored) for source in found]
    identity = RunIdentity(settings=settings.result, sources=tuple(map(_without_secrets, found)))
    if stored is None:
        stored = create_run(url, Manifest(identity=identity))
    else:
        check_same(stored, identity)
    if not stored.manifest.is_complete:
        run_session(stored, settings.work, client, listener, found)
    return Run(stored)


def _without_secrets(source: Source) -> Source:
    """Return a source as its run keeps it: without the passwords and tokens that its URL may hold."""
    return source._replace(url=without_secrets(source.url))


def _identified(source: Source, stored: StoredRun | None) -> Source:
    """Return the source; standard input with a hash of it, where a run has one of an earlier."""
    has_hash = stored and any(each.url == STDIN and each.version for each in stored.manifest.sources)
    return identify(standard_input()) if has_hash and source.url == STDIN else source


def resume(
    run: str | PathLike[str],
    *,
    client: "Client | None" = None,
    listener: Listener = ignore,
    take_over: bool = False,
    **settings: Any,
) -> Run:
    """Do what is missing or damaged of a run.

    Parameters
    ----------
    run : Run, str or path
        The run, or its path or URL.
    client : distributed.Client, optional
        Works on its scheduler.
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
    stored = open_stored(fspath(run))
    chosen = WorkSettings.make(**settings)
    with working_client(client, chosen.scheduler) as working:
        run_session(stored, chosen, working, listener, take_over=take_over)
    return Run(stored)


def _names(sources: Sources) -> list[str]:
    """Return sources as a list of names."""
    return [fspath(sources)] if isinstance(sources, str | PathLike) else [fspath(name) for name in sources]
