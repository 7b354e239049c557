"""The function that adds sources to a complete run."""

from __future__ import annotations

from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from novelty_dask.api import score_given
from novelty_dask.errors import InputError
from novelty_dask.events import Listener, NothingAdded, ignore
from novelty_dask.execution.clusters.workers import working_client
from novelty_dask.features.given import give_again, using
from novelty_dask.pipeline.given import give_names, give_texts
from novelty_dask.pipeline.growing import Growing
from novelty_dask.run import Run
from novelty_dask.settings import WorkSettings
from novelty_dask.storage.growths import adopt_reading, find_base
from novelty_dask.storage.references import describe_reference
from novelty_dask.storage.runs import open_complete

if TYPE_CHECKING:
    from distributed import Client

    from novelty_dask.api import Sources


def add(  # noqa: PLR0913 - all but the first two are keywords
    sources: Sources | None = None,
    to: str | PathLike[str] | None = None,
    *,
    urls: Any = None,
    refresh: bool = False,
    client: Client | str | None = None,
    listener: Listener = ignore,
    take_over: bool = False,
    **settings: Any,
) -> Run:
    """Add sources to a complete run, which then holds the rows of all of them.

    Only the new rows are compared, with all others and with each other.  The result is what scoring all
    sources together gives, with the weights that the run has.  Sources that it has already are left out: to
    add them again does nothing.

    Parameters
    ----------
    sources : str, path, or iterable of them
        As for `score`; they are read with the settings of the run.
    to : Run, str or path
        The run, on a disk.  Until all is done it stays as it is; then the larger one takes its place in one
        step.  Objects that were opened before then have to be opened again.
    urls : iterable of str, or Dask Bag, Series or Array, optional
        URLs in memory, in place of `sources`.
    refresh : bool
        True to compute the weights anew, of all rows, which compares all of them again.
    client : distributed.Client or str, optional
        Works on its scheduler, or on one at an address.
    listener : Listener, optional
        Takes the events.
    take_over : bool
        True to succeed a client on another host that is known to be dead, after a minute of silence.
    **settings
        Fields of `WorkSettings`; those that change numbers belong to the run and are refused.  And
        `vectorizer`, that of the run, if it has one.

    Returns
    -------
    Run
        The run with all rows.

    Raises
    ------
    SettingsError, InputError, BudgetError, StoreError, ClusterError
        As their names say; the run is as it was.

    Examples
    --------
    >>> import tempfile, novelty_dask
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = novelty_dask.score(urls=["a.example/1", "a.example/2", "b.example"], out=f"{folder}/run")
    ...     len(novelty_dask.add(urls=["a.example/2", "c.example/new"], to=run))
    4
    """
    vectorizer = settings.pop("vectorizer", None)
    work = WorkSettings.make(**settings)
    if to is None or (sources is None) == (urls is None):
        message = "Give the run to add to, and either the names of sources or urls=, which are in memory."
        raise InputError(message)
    base = find_base(fspath(to))
    features = give_again(base.manifest.settings, vectorizer)
    named = None if sources is None else give_names(sources, remote=work.remote, listener=listener)
    growing = Growing(base, take_over=take_over)
    with using(features), working_client(client, work, listener) as working, growing.claimed():
        given = named or give_texts(urls, working)
        lacking = [source for source in given.sources if not growing.is_known([source])]
        if lacking:
            growing.check_begun(lacking)
            growing.check_disk()
            # As any rows against a reference: that tells which are known, and where the others belong.
            given = given._replace(sources=lacking, reference=describe_reference(base))
            chosen = adopt_reading(base, work, in_memory=urls is not None)
            url = growing.added_url
            added = score_given(given, url, chosen, working, listener, take_over=take_over)
            # What is in no file is known by its content alone, which is read now.
            lacking = [source for source in added.manifest.sources if not growing.is_known([source])]
        if lacking:
            growing.grow(added, work, working, listener, refresh=refresh)
        else:
            growing.remove_parts()
            listener(NothingAdded(base.url))
        # Opened anew, as another folder has the name now.
        return Run(open_complete(fspath(to)))
