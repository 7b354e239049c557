"""The logarithm is right to the last place, and made of operations that IEEE 754 rounds in one way."""

import hashlib
import math
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from novelty_dask.kernels.text.logarithm import fill_logs, natural_log


def places_off(x: float) -> Decimal:
    """Return the error of the logarithm of a number, in units of the last place."""
    with localcontext(prec=60):
        exact = Decimal(x).ln()
        return abs(Decimal(natural_log(x)) - exact) / Decimal(math.ulp(float(exact)))


@given(st.floats(2.0**-1022, allow_infinity=False) | st.integers(1, 2**53).map(float))
@example(1 + 2**-52)
@example(1 - 2**-53)
@example(math.sqrt(0.5))
@example(math.sqrt(2))
@example(1.7976931348623157e308)
def test_the_logarithm_is_right_to_the_last_place(x: float) -> None:
    assert natural_log(x) == 0 if x == 1 else places_off(x) < 1
    # Python computes each operation alone, and so can't fuse any.
    as_written: Any = natural_log
    assert natural_log(x) == as_written.py_func(x)


def test_logarithms_of_consecutive_numbers() -> None:
    logs = np.empty(1_000)
    fill_logs(1, logs)
    assert logs[0] == 0
    assert logs.tolist() == [natural_log(float(n)) for n in range(1, 1_001)]
    assert logs == pytest.approx(np.log(np.arange(1, 1_001)), rel=1e-15)


def test_logarithms_have_the_same_bits_everywhere() -> None:
    logs = np.empty(100_000)
    fill_logs(1, logs)
    digest = hashlib.sha256(logs.astype("<f8").tobytes()).hexdigest()
    assert digest == "4d3b813556d85f8587620e4f50369b43bbf34850619f116b45c42e73b4a4fb67"
