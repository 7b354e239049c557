"""What Python users call: score sources into a run, open a run, plan without running."""

import shutil
import tempfile
import weakref
from collections.abc import Iterable
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from novelty_dask.errors import InputError, without_secrets
from novelty_dask.events import Listener, Silence
from novelty_dask.objects.address import absolute_url, is_inside
from novelty_dask.pipeline.session import local_resources, make_budget, work, working_client
from novelty_dask.planning.memory import Extent
from novelty_dask.planning.summary import RunPlan, make_run_plan
from novelty_dask.run import Run
from novelty_dask.settings import Settings
from novelty_dask.sources.estimate import estimate_lines
from novelty_dask.sources.find import STDIN, Source, find_sources
from novelty_dask.sources.stdin import identify, standard_input
from novelty_dask.storage.manifest import Manifest
from novelty_dask.storage.runs import StoredRun, check_same, create_run, find_run, open_stored

if TYPE_CHECKING:
    from distributed import Client

Sources = str | PathLike[str] | Iterable[str | PathLike[str]]


def score(
    sources: Sources,
    out: str | PathLike[str] | None = None,
    *,
    client: "Client | None" = None,
    listener: Listener | None = None,
    **settings: Any,
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
        Hears of the progress.
    **settings
        Fields of `Settings`.

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
    checked = Settings.make(**settings)
    with working_client(client, checked) as working:
        if out is not None:
            return _score(_names(sources), absolute_url(fspath(out)), checked, working, listener or Silence())
        return _score_aside(_names(sources), checked, working, listener or Silence())


def plan(sources: Sources, **settings: Any) -> RunPlan:
    """What scoring some sources would take, from a look at a sample of each.

    Parameters
    ----------
    sources, **settings
        As for `score`; standard input can't be planned for.

    Returns
    -------
    RunPlan
        Rows, blocks, tasks, bytes of memory and disk; about, as rows are estimated.

    Raises
    ------
    BudgetError
        A worker would need more memory than it may use.
    """
    checked = Settings.make(**settings)
    found = find_sources(_names(sources))
    if any(source.url == STDIN for source in found):
        message = "Standard input can't be planned for, as it can be read only once; name files."
        raise InputError(message)
    resources = local_resources(found, checked)
    return make_run_plan(
        make_budget(checked, resources), Extent(*estimate_lines(found)), checked.block_rows, resources.workers
    )


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
    wanted = Manifest(settings.result, [_shown(source) for source in found])
    if stored is None:
        stored = create_run(url, wanted)
    else:
        check_same(stored, wanted)
    if not stored.manifest.is_complete:
        work(stored, settings, client, listener, found)
    return Run(url)


def _shown(source: Source) -> dict[str, Any]:
    """A source as its run keeps it: what its URL may hold of passwords and tokens is left out."""
    return {**source._asdict(), "url": without_secrets(source.url)}


def _identified(source: Source, stored: StoredRun | None) -> Source:
    """The source, with a hash of standard input where there is one of an earlier."""
    earlier = stored and any(each["url"] == STDIN and each["version"] for each in stored.manifest.sources)
    return identify(standard_input()) if earlier and source.url == STDIN else source


def resume(
    run: str | PathLike[str],
    *,
    client: "Client | None" = None,
    listener: Listener | None = None,
    take_over: bool = False,
    **settings: Any,
) -> Run:
    """Do what is missing of a run, or damaged.

    Parameters
    ----------
    run : str or path
        Path or URL of the run.
    client : distributed.Client, optional
        Works on its scheduler.
    listener : Listener, optional
        Hears of the progress.
    take_over : bool
        Whether to succeed a client on another host that is known to be dead, after a minute of silence.
    **settings
        Fields of `Settings` that do not change numbers; those that do are the run's.

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
    checked = Settings.make(**{**settings, **stored.manifest.settings})
    with working_client(client, checked) as working:
        work(stored, checked, working, listener or Silence(), take_over=take_over)
    return Run(stored.url)


def _names(sources: Sources) -> list[str]:
    """Sources as a list of names."""
    return [fspath(sources)] if isinstance(sources, str | PathLike) else [fspath(name) for name in sources]
