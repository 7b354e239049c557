"""What a matrix has to be, wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from novelty_dask.errors import InputError

if TYPE_CHECKING:
    import numpy as np

REAL_KINDS = "biuf"
"""Kinds of NumPy's types whose values are real numbers."""


def check_form(n_dimensions: int, dtype: np.dtype[Any]) -> None:
    """Refuse what is not a matrix of real numbers.

    Raises
    ------
    InputError
        It says what to pass.
    """
    if n_dimensions != 2:
        message = f"X has {n_dimensions} dimensions; pass a matrix, one row for each vector."
        raise InputError(message)
    if dtype.kind not in REAL_KINDS:
        message = f"X holds values of type {dtype}; pass real numbers."
        raise InputError(message)
