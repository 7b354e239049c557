"""The only place that says how a function is compiled."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile to machine code at the first call, without the GIL, cached on disk.

    One thread a task: parallelism is the scheduler's.  IEEE arithmetic as written.
    """
    return _compiled(function)


def compiled_fastmath(function: Function) -> Function:
    """Compile with relaxed float rules, for filters whose safety margin covers the rounding."""
    return _compiled(function, fastmath=True)


def compiled_loop(function: Function) -> Function:
    """Compile as `compiled`, without counting references: for inner loops that allocate no array.

    Counting took a fifth of the time of a search, whose arrays are held by its caller anyway.
    """
    return _compiled(function, _nrt=False)


def compiled_fastmath_loop(function: Function) -> Function:
    """Compile as `compiled_fastmath`, without counting references."""
    return _compiled(function, fastmath=True, _nrt=False)


def _compiled(function: Function, **options: bool) -> Function:
    """Compile with the options that all share, and more."""
    njit: Any = numba.njit
    return cast("Function", njit(nogil=True, cache=True, **options)(function))
