"""Fingerprints of vectorizers: what they compute, told by their classes, parameters, state and versions."""

from __future__ import annotations

import copyreg
import dis
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping, Set
from types import BuiltinFunctionType, CodeType, FunctionType, MethodDescriptorType, MethodType, ModuleType
from typing import Any

import numpy as np

from novelty_dask.errors import SettingsError

SIMPLE = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype, range, slice)
"""Values that are what they print."""
NAMED = (type, FunctionType, BuiltinFunctionType, MethodType, MethodDescriptorType, np.ufunc)
"""What can be told by its name, and its code where it has any."""
DEEPEST = 50
"""Things in each other, beyond which one is taken to hold itself."""


def fingerprint(vectorizer: object) -> str:
    """Return 16 hexadecimal digits that are the same for vectorizers that do the same.

    Raises
    ------
    SettingsError
        It holds something that does not tell what it does.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in _describe(vectorizer, 0, set()):
        # With lengths, so that no two parts are taken for one.
        digest.update(f"{len(part)}:".encode() + part)
    return digest.hexdigest()


def _describe(value: Any, depth: int, seen: set[FunctionType]) -> Iterator[bytes]:
    """Yield what tells a value from others, but for functions that were seen before by their names alone."""
    if depth > DEEPEST:
        message = (
            f"The vectorizer holds itself, or more than {DEEPEST} things in each other; pass a simpler one."
        )
        raise SettingsError(message)
    yield f"{type(value).__module__}.{type(value).__qualname__}".encode()
    if isinstance(value, SIMPLE):
        yield repr(value).encode("utf-8", "surrogatepass")
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        yield repr((value.shape, value.dtype.str)).encode()
        yield np.ascontiguousarray(value).tobytes()
    elif isinstance(value, Mapping | Set):
        # No order that matters to a look-up; each part as if it were the first.
        parts = value.items() if isinstance(value, Mapping) else value
        yield from sorted(b"".join(_describe(part, depth + 1, {*seen})) for part in parts)
    elif isinstance(value, list | tuple | np.ndarray):
        for part in value:
            yield from _describe(part, depth + 1, seen)
    elif isinstance(value, NAMED):
        yield from _describe_named(value, depth + 1, seen)
    else:
        yield _version(type(value).__module__)
        yield from _describe(_state(value), depth + 1, seen)


def _describe_named(value: Any, depth: int, seen: set[FunctionType]) -> Iterator[bytes]:
    """Yield what tells a class or a function: its place, version, code, and what it remembers or reads."""
    module = getattr(value, "__module__", None)
    yield f"{module}.{getattr(value, '__qualname__', value.__name__)}".encode()
    yield _version(module)
    # Another body under the same name is another function.
    if isinstance(value, FunctionType) and value not in seen:
        # Once, as functions may call each other.
        seen.add(value)
        yield from _describe_code(value.__code__, depth, seen)
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        yield from _describe([value.__defaults__, value.__kwdefaults__, cells], depth, seen)
        yield from _describe_globals(value, depth, seen)
    # A method does what its object says.
    owner = getattr(value, "__self__", None)
    if owner is not None and not isinstance(owner, ModuleType):
        yield from _describe(owner, depth, seen)


def _describe_globals(function: FunctionType, depth: int, seen: set[FunctionType]) -> Iterator[bytes]:
    """Yield the constants and the functions of its module that a function reads."""
    # The code says enough of what Python itself brings.
    if str(function.__module__).partition(".")[0] in sys.stdlib_module_names:
        return
    held = function.__globals__
    for name in sorted(_globals_read(function.__code__) & held.keys()):
        value = held[name]
        is_near = isinstance(value, FunctionType) and value.__module__ == function.__module__
        if is_near or _is_constant(value):
            yield name.encode()
            yield from _describe(value, depth, seen)


def _globals_read(code: CodeType) -> set[str]:
    """Return the names of globals that a function reads and does not set, also in functions within it."""
    steps = [*dis.get_instructions(code)]
    read = {step.argval for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    # What it sets itself, as a count of its calls, is another one at each look.
    changed = {step.argval for step in steps if step.opname == "STORE_GLOBAL"}
    inner = (_globals_read(part) for part in code.co_consts if isinstance(part, CodeType))
    return read.union(*inner) - changed


def _is_constant(value: Any) -> bool:
    """Return whether a value can't change, so that it tells what is read."""
    if isinstance(value, tuple | frozenset):
        return all(map(_is_constant, value))
    return isinstance(value, (*SIMPLE, re.Pattern))


def _describe_code(code: CodeType, depth: int, seen: set[FunctionType]) -> Iterator[bytes]:
    """Yield what a function does, and the functions in it."""
    yield code.co_code
    yield repr(code.co_names).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _describe_code(constant, depth, seen)
        elif isinstance(constant, Set):
            # Python makes one of `in {"a", "b"}`, and prints it in another order in each process.
            yield from _describe(constant, depth, seen)
        else:
            yield repr(constant).encode("utf-8", "surrogatepass")


def _state(value: Any) -> Any:
    """Return what tells an object from others of its class.

    Raises
    ------
    SettingsError
        Nothing does.
    """
    if hasattr(value, "get_params") and not isinstance(value, type):
        names = {*value.get_params(deep=False)}
        # Of an estimator, what ends in an underscore was learned.  Others are notes that it may take at any
        # time, such as where a list lies in memory, but for the estimators that it consists of.
        return {
            name: part
            for name, part in vars(value).items()
            if name in names or name.endswith("_") or hasattr(part, "get_params")
        }
    try:
        # As pickle and copy see it; nothing is pickled.
        reduce = copyreg.dispatch_table.get(type(value))
        reduced: Any = reduce(value) if reduce else value.__reduce_ex__(4)
    except (TypeError, AttributeError):
        message = (
            f"The vectorizer holds a {type(value).__name__}, which does not tell what it does; pass one of "
            "plain values, functions and estimators."
        )
        raise SettingsError(message) from None
    if isinstance(reduced, str):
        return reduced
    return [[*part] if isinstance(part, Iterator) else part for part in reduced]


def _version(module: str | None) -> bytes:
    """Return the version of the package of a module; nothing if it states none."""
    package = sys.modules.get(str(module).partition(".")[0])
    return str(getattr(package, "__version__", "")).encode()
