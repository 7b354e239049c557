"""All pairs of a run that are at least so similar, as a frame or a file."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import pyarrow as pa

from novelty_dask.events import Listener, ignore
from novelty_dask.execution.clusters.workers import working_client
from novelty_dask.objects.address import absolute_url
from novelty_dask.objects.leases import Lease
from novelty_dask.private_files import is_stream
from novelty_dask.results.export import check_table, write_stream
from novelty_dask.settings import WorkSettings
from novelty_dask.similar.find import Search, Tiles, check_file, found
from novelty_dask.similar.tables import pair_tables
from novelty_dask.similar.work import check_threshold, open_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from distributed import Client


class Work(TypedDict, total=False):
    """Keywords that say how the work is done, and change no result."""

    tiles: str | PathLike[str] | None
    client: Client | str | None
    listener: Listener
    workers: int | None
    threads: int
    memory_limit: int | str | None
    scheduler: str | None
    scheduler_file: str | None
    cluster: str | None
    certs: str | None
    insecure: bool


def pairs(
    run: str | PathLike[str],
    out: str | PathLike[str] | None = None,
    *,
    at_least: float,
    overwrite: bool = False,
    redact: bool = False,
    **work: Unpack[Work],
) -> pd.DataFrame | None:
    """Find all pairs of rows of a complete run that are at least so similar, exactly.

    Parameters
    ----------
    run : Run, str or path
        A complete run, which stays as it is.
    out : str or path, optional
        File for the pairs: Parquet, Arrow, CSV, TSV or JSON lines, by its ending.  Without it they are
        returned, in memory.
    at_least : float
        Least similarity, above 0 and at most 1.
    overwrite : bool
        True to replace an existing file.
    redact : bool
        True to write ``…`` for secrets in URLs.
    tiles : str or path, optional
        Folder in which what was found is kept until the file is written, to go on after a stop; by default
        the name of the file with ``.tiles`` behind it, or a temporary folder where there is none.
    client : distributed.Client or str, optional
        Works on its scheduler, whose workers must see the run and the folder.
    listener : Listener, optional
        Takes the events.
    workers, threads, memory_limit, scheduler, scheduler_file, cluster, certs, insecure
        As for `score`.

    Returns
    -------
    pandas.DataFrame or None
        Columns row and other, numbers of rows in the run, row < other; url, other_url; similarity, in single
        precision, as neighbors of the run have it.  Sorted by row and other.

    Raises
    ------
    SettingsError
        The threshold is no number above 0 and at most 1, or the format is unknown.
    StoreError
        The run is not complete, of another version, or was compared with a reference; the file exists, or
        can't be written; or the folder of tiles has others.
    BudgetError
        A task would hold more than a worker may use.

    Examples
    --------
    >>> import novelty_dask
    >>> urls = ["http://a.example/shop/cart?item=1", "http://a.example/shop/cart?item=2", "http://b.example/"]
    >>> novelty_dask.pairs(novelty_dask.score(urls=urls), at_least=0.3)[["row", "other"]]
       row  other
    0    0      1
    """
    with search_tiles(run, out, at_least, work, is_reduced=False, overwrite=overwrite) as found_tiles:
        if out is not None:
            tables = pair_tables(found_tiles)
            write_stream(found_tiles.run, tables, fspath(out), overwrite=overwrite, redact=redact)
            return None
        frame: pd.DataFrame = pa.concat_tables(pair_tables(found_tiles)).to_pandas()
        return frame


@contextmanager
def search_tiles(
    run: str | PathLike[str],
    out: str | PathLike[str] | None,
    at_least: float,
    work: Work,
    *,
    is_reduced: bool,
    overwrite: bool,
) -> Iterator[Tiles]:
    """Check all that was given, find tiles, and yield them until they are written."""
    threshold, stored = check_threshold(at_least), open_run(fspath(run))
    name = None if out is None else fspath(out)
    folder, client = work.pop("tiles", None), work.pop("client", None)
    listener = work.pop("listener", ignore)
    given: dict[str, Any] = {name: value for name, value in work.items() if value is not None}
    settings = WorkSettings.make(**given)
    place, lease = _choose_folder(None if folder is None else fspath(folder), name)
    search = Search(stored, place, threshold, is_reduced, settings, None, listener, name)
    try:
        # Before any worker starts: a file that can't be written is an error at once.
        if name is not None:
            check_file(search, partial(check_table, stored, name, overwrite=overwrite))
        with (
            working_client(client, settings, listener) as working,
            found(replace(search, client=working)) as tiles,
        ):
            yield tiles
    finally:
        if lease:
            lease.remove()


def _choose_folder(folder: str | None, out: str | None) -> tuple[str, Lease | None]:
    """Return the folder for tiles, and the lease of one that is temporary."""
    if folder is not None:
        return absolute_url(folder), None
    if out is None or is_stream(out):
        lease = Lease.make()
        return f"{lease.folder}/tiles", lease
    return absolute_url(f"{out}.tiles"), None
