"""Addresses: the objects behind a path or a URL.

Local folders and object stores pass the same tests, and no caller needs to know which it has.
"""

import os
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

from novelty_dask.errors import StoreError, check_names_folder
from novelty_dask.objects.commits import COMMITS_FOLDER
from novelty_dask.objects.leases import find_lease
from novelty_dask.objects.local import LocalObjects
from novelty_dask.objects.owners import OWNERS_FOLDER
from novelty_dask.objects.protocol import METADATA, Objects
from novelty_dask.objects.remote import RemoteObjects
from novelty_dask.objects.schemes import is_chained, is_local, is_web, scheme_of, unknown_scheme, without_path


def open_objects(url: str) -> Objects:
    """Return the objects under a path or a URL.

    Raises
    ------
    StoreError
        The URL is one of the web, or names nothing where a run can be kept.
    """
    if is_web(url):
        message = (
            f"Can't use {without_path(url)!r}: no URL of the web is visited; name a run on a disk or in an "
            "object store."
        )
        raise StoreError(message)
    if is_local(url):
        # fsspec would take "::" in the name of a folder for the end of the name, and write elsewhere.
        path = Path(LocalFileSystem._strip_protocol(url))  # noqa: SLF001 - has no other name
        # Whatever reads from a temporary folder has these objects, and keeps the folder with them.
        return LocalObjects(path, find_lease(str(path.parent)))
    if is_chained(url):
        message = f"Can't use {url!r}: no run is kept behind another file system; name a folder, or a store."
        raise StoreError(message)
    if problem := unknown_scheme(url):
        message = (
            f"Can't use {url!r}: {problem}; name a folder, or one in a store, as in s3://bucket/run.zarr."
        )
        raise StoreError(message)
    return RemoteObjects(url)


def absolute_url(path: str) -> str:
    """Return the path as workers with another working directory find it; a URL as it is.

    Raises
    ------
    StoreError
        It is relative to the current folder, which is gone.
    """
    if not is_local(path):
        return path
    local = path.partition("://")[2] if scheme_of(path) else path
    try:
        # Not by pathlib, which raises an error about the home of a user that there isn't.
        return str(Path(os.path.expanduser(local)).absolute())  # noqa: PTH111
    except FileNotFoundError:
        message = f"Can't use {path!r}: the current folder is gone; change to another, or name a path from /."
        raise StoreError(message) from None


def is_inside(url: str, run: str) -> bool:
    """Return whether a URL is that of a file of a run."""
    return absolute_url(url).startswith(f"{absolute_url(run).rstrip('/')}/")


def enclosing_run(path: Path) -> Path | None:
    """Return the run on a disk in which a path lies; None if it lies in none."""
    return next((folder for folder in path.parents if _looks_like_run(folder)), None)


def _looks_like_run(folder: Path) -> bool:
    """Return whether a folder is a run, also one that is damaged, or has just begun."""
    marks = (METADATA, COMMITS_FOLDER, OWNERS_FOLDER)
    # Two of three, as one may be lost, and other folders of Zarr have the first.
    return sum(os.path.exists(folder / mark) for mark in marks) >= 2  # noqa: PTH110 - never raises


def check_new(url: str) -> None:
    """Refuse the name of a file, and a path inside a run, where a run is to be created.

    Raises
    ------
    StoreError
        It is one of these.
    """
    check_names_folder(url)
    # Resolved, as a link may lead into a run.
    if is_local(url) and (run := enclosing_run(Path(absolute_url(url)).resolve())):
        message = f"Can't create {url!r}: it is inside the run {str(run)!r}; name a path elsewhere."
        raise StoreError(message)
