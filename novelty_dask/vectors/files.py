"""Matrices in files of NumPy and SciPy, mapped or loaded; nothing in a file is ever run."""

from __future__ import annotations

import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import scipy.sparse as sp
from numpy.lib import format as numpy_format

from novelty_dask.errors import InputError, SettingsError, reading_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

END = ".npy"
"""End of the names of arrays in an archive."""
SPARSE = "indptr.npy"
"""Array that a sparse matrix has, and hardly any other archive."""


def map_array(name: str) -> Any:
    """Return the array of an ``.npy`` file, mapped into memory.

    Raises
    ------
    InputError
        It can't be read.
    """
    with reading_errors(f"Can't read an array from {name!r}"), _without_objects():
        return numpy_format.open_memmap(name, mode="r")


def load_archive(name: str, array: str | None = None) -> Any:
    """Return the sparse matrix of an ``.npz`` file, or one of its arrays.

    Parameters
    ----------
    name : str
        Path of a file that `scipy.sparse.save_npz` or `numpy.savez` wrote.
    array : str, optional
        Name of the array; needed where there are several.

    Raises
    ------
    InputError
        It can't be read, or has no such array.
    SettingsError
        It has several, and none is named.
    """
    problem = f"Can't read a matrix from {name!r}"
    with reading_errors(problem), zipfile.ZipFile(name) as archive:
        members = archive.namelist()
    if SPARSE in members and array is None:
        with reading_errors(problem):
            # It loads no pickles, so that a file of somebody else's runs nothing.
            matrix = sp.csr_matrix(sp.load_npz(name))
            matrix.check_format(full_check=True)
            return matrix
    member = _choose(members, array, name)
    with (
        reading_errors(problem),
        _without_objects(),
        zipfile.ZipFile(name) as archive,
        archive.open(member) as file,
    ):
        return numpy_format.read_array(file)


@contextmanager
def _without_objects() -> Iterator[None]:
    """Say what to do about an array of objects, which NumPy refuses to load, as that may run anything."""
    try:
        yield
    except ValueError as error:
        if "object" not in str(error).lower():
            raise
        message = "it holds Python objects, which are never loaded; store numbers or text"
        raise ValueError(message) from None


def _choose(members: list[str], array: str | None, name: str) -> str:
    """Return the member that has an array."""
    names = [member.removesuffix(END) for member in members]
    named = ", ".join(map(repr, names)) or "none"
    if array is None and len(names) > 1:
        message = f"{name!r} has several arrays: {named}; name one with column."
        raise SettingsError(message)
    if not names or (array is not None and array not in names):
        message = f"{name!r} has no array {array!r}; it has {named}."
        raise InputError(message)
    return (array or names[0]) + END
