"""Compilation to machine code: the only place that chooses how."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile a function at its first call, without the GIL, cached on disk."""
    # Neither parallel, as a task has one thread and the scheduler runs many tasks, nor with fast math:
    # arithmetic is IEEE's, as written, so that every machine computes the same bytes.
    return _compile(function)


def compiled_loop(function: Function) -> Function:
    """Compile as `compiled`, but without counting references: for functions that allocate no array."""
    # With reference counts a search takes twice as long: each view of an array is counted, in each row and
    # tile.  They are not needed, as the caller holds all arrays anyway.
    return _compile(function, _nrt=False)


def compiled_fastmath_loop(function: Function) -> Function:
    """Compile as `compiled_loop`, with sums in any order: for filters whose margin covers the rounding."""
    return _compile(function, fastmath=True, _nrt=False)


def _compile(function: Function, **options: bool) -> Function:
    """Compile with the options that all share, and more."""
    njit: Any = numba.njit
    return cast("Function", njit(nogil=True, cache=True, **options)(function))
