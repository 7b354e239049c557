"""What Python users call: score sources into a run, open a run, plan without running."""

import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from novelty_dask.errors import InputError
from novelty_dask.events import Listener, Silence
from novelty_dask.execution import clusters
from novelty_dask.execution.executors import Executor
from novelty_dask.pipeline import Pipeline
from novelty_dask.planning.memory import Budget, Extent, fit
from novelty_dask.planning.summary import RunPlan, make_run_plan
from novelty_dask.run import Run
from novelty_dask.settings import Settings
from novelty_dask.storage.estimate import COMPRESSION_RATIO, estimate_lines
from novelty_dask.storage.runs import (
    Manifest,
    absolute_url,
    check_same,
    create_run,
    find_run,
    is_inside,
    open_group,
    read_manifest,
    remove_run,
    work_url,
)
from novelty_dask.storage.sources import STDIN, Source, find_sources, spool

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
    if client is None and checked.scheduler:
        with clusters.connect(checked.scheduler) as client:
            return score(sources, out, client=client, listener=listener, **settings)
    if out is not None:
        return _score(_names(sources), absolute_url(fspath(out)), checked, client, listener or Silence())
    folder = tempfile.mkdtemp(prefix="novelty-")
    try:
        run = _score(_names(sources), f"{folder}/run.zarr", checked, client, listener or Silence())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(run, shutil.rmtree, folder, ignore_errors=True)
    return run


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
    resources = _local_resources(found, checked)
    return make_run_plan(
        _budget(checked, resources), Extent(*estimate_lines(found)), checked.block_rows, resources.workers
    )


def _score(
    names: list[str], url: str, settings: Settings, client: "Client | None", listener: Listener
) -> Run:
    """Make, go on with, or just open the run of some sources."""
    found = [source for source in find_sources(names) if not is_inside(source.url, url)]
    manifest = Manifest(settings.result, [source._asdict() for source in found])
    if find_run(url):
        stored = read_manifest(open_group(url))
        check_same(url, stored, manifest)
        if stored.is_complete:
            return Run(url)
    with _run_folder(url, manifest):
        files = [_spooled(source, url) for source in found]
        if client is None:
            resources = _local_resources(files, settings)
        else:
            resources = clusters.client_resources(client, settings.memory_limit)
        budget = _budget(settings, resources)
        fit(budget, [Extent(*estimate_lines(files))], settings.block_rows)
        with _executor(client, resources) as (executor, dashboard):
            if dashboard:
                listener.note(f"Dashboard: {dashboard}")
            Pipeline(url, executor, listener).run(files, budget, settings.block_rows)
    return Run(url)


def _spooled(source: Source, url: str) -> Source:
    """The source as a file, also where it is standard input."""
    return spool(sys.stdin.buffer, work_url(url, "stdin")) if source.url == STDIN else source


@contextmanager
def _run_folder(url: str, manifest: Manifest) -> Iterator[None]:
    """Make the run if need be; remove it again if it fails before anything in it is worth keeping."""
    if not find_run(url):
        create_run(url, manifest)
    try:
        yield
    except BaseException:
        if not read_manifest(open_group(url)).has_rows:
            remove_run(url)
        raise


@contextmanager
def _executor(
    client: "Client | None", resources: clusters.Resources
) -> Iterator[tuple[Executor, str | None]]:
    """What runs the tasks: the client's scheduler, or what this machine gives."""
    if client is not None:
        executor = clusters.client_executor(client)
        try:
            yield executor, client.dashboard_link
        finally:
            executor.settle()
    else:
        with clusters.open_executor(resources) as opened:
            yield opened


def _local_resources(found: list[Source], settings: Settings) -> clusters.Resources:
    """What this machine gives to some sources."""
    n_bytes = sum(source.n_bytes * (COMPRESSION_RATIO if source.compression else 1) for source in found)
    return clusters.local_resources(n_bytes, settings.workers, settings.threads, settings.memory_limit)


def _budget(settings: Settings, resources: clusters.Resources) -> Budget:
    """What a worker may use, and what its memory depends on."""
    shortest, longest = settings.ngram_range
    return Budget(
        n_neighbors=settings.n_neighbors,
        n_features=settings.n_features,
        ngram_sizes=longest - shortest + 1,
        threads=resources.threads,
        limit=resources.memory_limit,
    )


def _names(sources: Sources) -> list[str]:
    """Sources as a list of names."""
    return [fspath(sources)] if isinstance(sources, str | PathLike) else [fspath(name) for name in sources]
