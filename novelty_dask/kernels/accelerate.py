"""Compilation to machine code: the only place that chooses how, and where the code is kept.

Numba's own cache is not used.  It writes beside the package where it can, fails a call when its disk is full,
takes any file that it finds, and keeps code that is old when only a function that it calls has changed.
"""

import hashlib
import pickle
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite
import numba
import numpy as np
from numba.core import compiler, serialize

from novelty_dask import private_files
from novelty_dask.events import CompilationStarted

Function = TypeVar("Function", bound=Callable[..., object])

LISTENERS: list[Callable[[CompilationStarted], None]] = []
"""Called whenever this process compiles a function, in the thread that needs it."""
DIGEST_BYTES = 32


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
    # NaN and infinity stay what they are.
    return _compile(function, fastmath={"reassoc": True, "contract": True}, _nrt=False)


def _compile(function: Function, **options: Any) -> Function:
    """Compile with the options that all share, and more."""
    njit: Any = numba.njit
    dispatcher = njit(nogil=True, **options)(function)
    # Where Numba's `cache=True` puts a cache of its own.
    dispatcher._cache = CodeCache(function, options)  # noqa: SLF001
    return cast("Function", dispatcher)


class CodeCache:
    """Cache of the machine code of one function, as Numba's dispatchers use one.

    Each combination of types has one file, named after all that its code depends on: processes that compile
    at the same time write the same files, and never an index that all share.

    Parameters
    ----------
    function : callable
        The Python function.
    options : dict
        How it is compiled.
    """

    def __init__(self, function: Callable[..., object], options: dict[str, Any]) -> None:
        code = function.__code__
        self._name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
        constants = [value for value in code.co_consts if isinstance(value, int | float | str)]
        self._identity = (function.__module__, code.co_code, code.co_names, constants, options)

    @property
    def cache_path(self) -> str:
        """The folders where the code is kept, for Numba's statistics."""
        return ", ".join(map(str, private_files.user_folders()))

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Return the code for some types; None if it is to be compiled."""
        context.refresh()
        if content := private_files.load(code_version(), self._file_name(signature, context.codegen())):
            digest, code = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
            try:
                # A file that a crash of the machine left incomplete must not be run.
                if hashlib.sha256(code).digest() == digest:
                    rebuild: Any = compiler.CompileResult._rebuild  # noqa: SLF001
                    return rebuild(context, *pickle.loads(code))  # noqa: S301
            except Exception:  # noqa: BLE001, S110 - whatever is wrong with it, it can be compiled again
                pass
        announce()
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep the code for some types, if there is a place for it."""
        if result.library.has_dynamic_globals:
            return
        dumps: Any = serialize.dumps
        code = dumps(result._reduce())  # noqa: SLF001
        name = self._file_name(signature, result.library.codegen)
        try:
            private_files.keep(code_version(), name, hashlib.sha256(code).digest() + code)
        except OSError:
            # It was announced that nothing is kept, unless the disk has filled up since; the code itself is
            # in memory, and the work goes on.
            return

    def enable(self) -> None:
        """Do nothing: the cache is always in use."""

    def disable(self) -> None:
        """Do nothing: the cache is always in use."""

    def flush(self) -> None:
        """Do nothing: files are named after what they hold, and never stale."""

    def _file_name(self, signature: Any, codegen: Any) -> str:
        """Return the name of the file of some types on this processor."""
        depends_on = repr((str(signature), codegen.magic_tuple(), self._identity)).encode()
        return f"{self._name}-{hashlib.sha256(depends_on).hexdigest()[:32]}".replace("<", "").replace(">", "")


@cache
def code_version() -> str:
    """Return the name of all that compiled code depends on but its own function, types and processor."""
    versions = (sys.version, numba.__version__, llvmlite.__version__, np.__version__)
    digest = hashlib.sha256(repr(versions).encode())
    # Compiled code has the functions in it that it calls, which may be in other files of the kernels.
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _compilation() -> CompilationStarted:
    """Return the event of a compilation in this process."""
    return CompilationStarted(*private_files.find_writable(code_version()))


def announce() -> None:
    """Tell the listeners that this process compiles."""
    for listen in [*LISTENERS]:
        listen(_compilation())
