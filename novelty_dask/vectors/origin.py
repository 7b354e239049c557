"""The files or folders from which a run imports vectors and labels, and whether they are as they were."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from fsspec.core import url_to_fs

from novelty_dask.errors import HIDDEN, InputError, reading_errors, without_secrets
from novelty_dask.planning.matrix import MOST_COLUMNS, Matrix
from novelty_dask.sources.changes import describe_change
from novelty_dask.sources.find import VERSIONS, Source
from novelty_dask.vectors.labels import Labels
from novelty_dask.vectors.sources import MatrixSource, open_vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from novelty_dask.kernels.choices import Metric


def find_origin(path: str) -> Source:
    """Return a file, or a folder with all files in it, as one source.

    Raises
    ------
    InputError
        There is none, or it can't be read, or its URL has a password, which workers could not know.
    """
    url = path if "://" in path else f"file://{os.path.abspath(path)}"  # noqa: PTH100 - of any text
    _check_open(without_secrets(url))
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


def _check_open(url: str) -> None:
    """Refuse a URL without its password.

    Raises
    ------
    InputError
        It had one.
    """
    if HIDDEN in url:
        message = f"The URL {url!r} had credentials, which no run keeps; configure them for its store."
        raise InputError(message)


def check_origin(source: Source) -> None:
    """Refuse a file or folder that is not as it was when the run was begun.

    Raises
    ------
    InputError
        It has changed, or is gone, or its password is not known.
    """
    _check_open(source.url)
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


def describe_matrix(
    path: str, metric: Metric, axis: int, column: str | None, labels: tuple[str, str | None] | None = None
) -> Matrix:
    """Return the matrix of a source.

    Parameters
    ----------
    path : str
        Of the source.
    metric : {"cosine", "euclidean", "inner_product"}
    axis : {0, 1}
    column : str or None
    labels : (str, str or None), optional
        Path and column of the labels of rows; all of them are read.

    Raises
    ------
    InputError, SettingsError
        It is no dense matrix, or has no rows, no columns or too many, or other labels than rows.
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
    return _with_labels(matrix, Labels(*labels), labels[1]) if labels else matrix


def _with_labels(matrix: Matrix, labels: Labels, column: str | None) -> Matrix:
    """Return a matrix whose rows have labels.

    Raises
    ------
    InputError
        There are other labels than rows, or one is missing.
    """
    if labels.n_rows != matrix.n_rows:
        message = (
            f"{labels.name!r} has {labels.n_rows:,} labels, and the source {matrix.n_rows:,} vectors; pass a "
            "label for each."
        )
        raise InputError(message)
    return replace(matrix, label_column=column, label_type=labels.dtype, label_bytes=labels.measure())


def open_labels(sources: Sequence[Source], matrix: Matrix) -> Labels | None:
    """Return the labels of the rows of a matrix, if it has any; they are in the last of its sources."""
    return Labels(sources[-1].path, matrix.label_column) if matrix.label_type else None


def held_bytes(sources: Sequence[Source], matrix: Matrix) -> int:
    """Return the most bytes that are held to read any rows, and their labels."""
    labels = open_labels(sources, matrix)
    held = open_origin(sources[0].path, matrix.axis, matrix.column).held_bytes
    return held + (labels.held_bytes if labels else 0)
