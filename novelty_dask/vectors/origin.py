"""The file or folder from which a run imports vectors: what is in it, and whether it is as it was."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from fsspec.core import url_to_fs

from novelty_dask.errors import HIDDEN, InputError, reading_errors
from novelty_dask.planning.matrix import MOST_COLUMNS, Matrix
from novelty_dask.sources.changes import describe_change
from novelty_dask.sources.find import VERSIONS, Source
from novelty_dask.vectors.sources import MatrixSource, open_vectors

if TYPE_CHECKING:
    from novelty_dask.kernels.choices import Metric


def find_origin(path: str) -> Source:
    """Return a file, or a folder with all files in it, as one source.

    Raises
    ------
    InputError
        There is none, or it can't be read.
    """
    url = path if "://" in path else f"file://{os.path.abspath(path)}"  # noqa: PTH100 - of any text
    with reading_errors(f"Can't read {path!r}"):
        storage, root = url_to_fs(url)
        files = storage.find(root, detail=True)
    if not files:
        message = f"There is no file {path!r}, and no folder with files; check the path."
        raise InputError(message)
    known = [[name.removeprefix(root), info["size"], _version(info)] for name, info in sorted(files.items())]
    version = hashlib.blake2b(repr(known).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    return Source(url, sum(size for _, size, _ in known), None, version)


def _version(info: dict[str, Any]) -> str:
    """Return a text that changes with the content of a file, as far as its storage has one."""
    return next((str(info[name]) for name in VERSIONS if name in info), "")


def check_origin(source: Source) -> None:
    """Refuse a file or folder that is not as it was when the run was begun.

    Raises
    ------
    InputError
        It has changed, or is gone, or its password is not known.
    """
    if HIDDEN in source.url:
        message = f"The URL {source.shown} had credentials, which no run keeps; configure them for its store."
        raise InputError(message)
    now = find_origin(source.url)
    if now != source:
        message = (
            f"{source.shown} has changed since the run was begun; it {describe_change(source, now)}: find "
            "the neighbors anew, into another path."
        )
        raise InputError(message)


def open_origin(path: str, axis: int, column: str | None, block_rows: int | None = None) -> MatrixSource:
    """Return the rows of a source in blocks, as they are compared.

    Raises
    ------
    InputError, SettingsError
        It is no dense matrix.
    """
    source = open_vectors(path, block_rows, axis=axis, column=column)
    assert isinstance(source, MatrixSource)
    if source.is_sparse:
        message = (
            f"{path!r} holds sparse rows, and runs are of dense ones; pass it to novelty_dask.neighbors, "
            "which compares sparse rows in memory."
        )
        raise InputError(message)
    return source


def describe_matrix(path: str, metric: Metric, axis: int, column: str | None) -> Matrix:
    """Return the matrix of a source.

    Raises
    ------
    InputError, SettingsError
        It is no dense matrix, or has no rows, no columns or too many.
    """
    source = open_origin(path, axis, column)
    n_rows, n_columns = map(int, source.matrix.shape)
    dtype: Literal["float32", "float64"] = (
        "float32" if np.promote_types(source.dtype, np.float32) == np.float32 else "float64"
    )
    matrix = Matrix(n_rows, n_columns, dtype, metric, 1 if axis else 0, column)
    if not matrix.is_possible:
        message = (
            f"{path!r} has {n_rows:,} rows of {n_columns:,} columns; pass a row or more, of 1 to "
            f"{MOST_COLUMNS:,} columns."
        )
        raise InputError(message)
    return matrix
