"""Addresses: the objects behind a path or a URL.

Local folders and the file systems of fsspec pass the same tests, and no caller needs to know which it has.
"""

from pathlib import Path

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from novelty_dask.errors import StoreError, UnreachableError, reason
from novelty_dask.objects.local import LocalObjects
from novelty_dask.objects.protocol import Objects
from novelty_dask.objects.remote import RemoteObjects
from novelty_dask.objects.schemes import is_web, without_path


def open_objects(url: str) -> Objects:
    """Return the objects under a path or a URL.

    Raises
    ------
    StoreError
        The URL is one of the web, or of a kind that fsspec does not know.
    UnreachableError
        The store can't be reached, where a connection is made at once.
    """
    if is_web(url):
        message = (
            f"Can't use {without_path(url)!r}: no URL of the web is visited; name a run on a disk or in an "
            "object store."
        )
        raise StoreError(message)
    try:
        fs, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        message = f"Can't use {url!r}: {reason(error)}."
        raise StoreError(message) from None
    except Exception as error:
        message = f"The store of {url!r} fails: {reason(error)}; try again when it works."
        raise UnreachableError(message) from error
    return LocalObjects(Path(path)) if isinstance(fs, LocalFileSystem) else RemoteObjects(fs, path)


def absolute_url(path: str) -> str:
    """Return the path as workers with another working directory find it; a URL as it is."""
    local = path.removeprefix("file://")
    return path if "://" in local else str(Path(local).expanduser().absolute())


def is_inside(url: str, run: str) -> bool:
    """Return whether a URL is that of a file of a run."""
    return absolute_url(url).startswith(f"{absolute_url(run).rstrip('/')}/")
