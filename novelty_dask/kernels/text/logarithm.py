"""Natural logarithm with the same bits on every machine; those of C libraries and of NumPy differ."""

import math

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop

LN2_HIGH, LN2_LOW = float.fromhex("0x1.62e42fefa0000p-1"), float.fromhex("0x1.cf79abc9e3b3ap-40")
"""ln 2 in two parts: a product of the first with an exponent is exact."""
SQRT_HALF = 0.7071067811865476
TERMS = 12


@compiled_loop
def natural_log(x: float) -> float:
    r"""Return the natural logarithm of a positive, finite, normal number.

    With :math:`x = 2^e m`, :math:`\sqrt{1/2} \le m < \sqrt 2` and :math:`s = (m - 1) / (m + 1)`, it is
    :math:`e \ln 2 + 2 (s + s^3/3 + s^5/5 + \dots)` [1]_, in sums and products alone, which IEEE 754 rounds
    in one way.  The error is below one unit in the last place.

    References
    ----------
    .. [1] M. Abramowitz and I. A. Stegun, Handbook of Mathematical Functions, 1964, formula 4.1.27.

    Examples
    --------
    >>> natural_log(1.0), round(natural_log(10.0), 12)
    (0.0, 2.302585092994)
    """
    m, e = math.frexp(x)
    if m < SQRT_HALF:
        m, e = 2 * m, e - 1
    f = m - 1.0
    s = f / (2.0 + f)
    square = s * s
    series = 0.0
    for n in range(TERMS, 0, -1):
        series = series * square + 1.0 / (2 * n + 1)
    series *= square
    # f - s f is 2 s without the rounding of s: small terms first, and the largest last.
    return e * LN2_HIGH + (f - (s * (f - 2.0 * series) - e * LN2_LOW))


@compiled_loop
def fill_logs(first: int, logs: NDArray[np.float64]) -> None:
    """Write the natural logarithms of consecutive numbers from a positive one on."""
    for i in range(logs.size):
        logs[i] = natural_log(float(first + i))
