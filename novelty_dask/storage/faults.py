"""What goes wrong with files, said in one sentence."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from novelty_dask.errors import InputError


@contextmanager
def told(fault: str) -> Iterator[None]:
    """Say in one sentence why a file can't be read."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - each file system, and each format, has its own
        message = f"{fault}: {reason(error)}."
        raise InputError(message) from None


def reason(error: Exception) -> str:
    """What an error says, as the end of a sentence."""
    if isinstance(error, FileNotFoundError):  # fsspec says it in ways of its own.
        return os.strerror(errno.ENOENT)
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(said).split()).rstrip(".")
