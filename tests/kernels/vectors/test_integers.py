"""Rows in integers: what is lost is at most what is said."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from novelty_dask.kernels.vectors.instructions import AVX2, VNNI, Instructions
from novelty_dask.kernels.vectors.integers import IntegerRows, make_integers
from novelty_dask.kernels.vectors.products import ROWS

NARROW = Instructions("narrow", lanes=4, registers=1, largest=63)
VALUES = st.floats(-1e100, 1e100) | st.floats(-1, 1) | st.floats(-1e-300, 1e-300)


def integers_of(made: IntegerRows, n_columns: int) -> np.ndarray:
    """Return the integers of rows, as they are stored row by row."""
    n_rows = len(made.sums)
    width = made.rows.size // (n_rows + ROWS)
    stored: np.ndarray = made.rows.reshape(-1, width)[:n_rows, :n_columns].astype(int)
    return stored - made.instructions.largest - 1


@given(
    arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=VALUES),
    st.sampled_from([NARROW, VNNI, AVX2]),
)
def test_what_is_lost_is_at_most_what_is_said(X: np.ndarray, instructions: Instructions) -> None:
    made = make_integers(X, instructions)
    integers = integers_of(made, X.shape[1])
    assert np.abs(integers).max() <= instructions.largest
    assert np.array_equal(made.sums, -(instructions.largest + 1) * integers.sum(axis=1))
    for i, row in enumerate(X):
        scale = Fraction(float(made.scales[i]))
        lost = sum((Fraction(x) - scale * int(q)) ** 2 for x, q in zip(row, integers[i], strict=True))
        assert lost <= Fraction(float(made.errors[i])) ** 2
        square = sum(Fraction(x) ** 2 for x in row)
        assert square <= Fraction(float(made.lengths[i])) ** 2
        assert sum((scale * int(q)) ** 2 for q in integers[i]) <= Fraction(float(made.lengths[i])) ** 2


def test_panels_hold_the_same_integers() -> None:
    X = np.random.default_rng(0).normal(size=(11, 10))
    made = make_integers(X, NARROW)
    panels = made.panels.reshape(3, made.n_groups, 4, 4).transpose(0, 2, 1, 3).reshape(12, -1)
    assert np.array_equal(panels[:11, :10], integers_of(made, 10))
    assert not panels[:11, 10:].any()
    assert not panels[11].any()


@pytest.mark.parametrize("columns", [16, 100])
def test_little_is_lost(columns: int) -> None:
    """About one in three hundred of the length of a usual row."""
    X = np.random.default_rng(1).normal(size=(50, columns))
    made = make_integers(X, AVX2)
    assert (made.errors / np.linalg.norm(X, axis=1)).max() < 0.02
