"""The only place that says how a function is compiled."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile to machine code at the first call, without the GIL, cached on disk.

    One thread a task: parallelism is the scheduler's.  IEEE arithmetic as written.
    """
    return cast("Function", numba.njit(nogil=True, cache=True)(function))


def compiled_fastmath(function: Function) -> Function:
    """Compile with relaxed float rules, for filters whose safety margin covers the rounding."""
    return cast("Function", numba.njit(nogil=True, cache=True, fastmath=True)(function))
