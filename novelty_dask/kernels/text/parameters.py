"""Names of tracking and session parameters, told in compiled loops as `tracking` tells them."""

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.text.masks import LOWER
from novelty_dask.kernels.text.tracking import (
    SESSION_PREFIX,
    SESSION_SUFFIX,
    SESSIONS,
    TRACKING,
    TRACKING_PREFIX,
)


def bytes_of(name: str) -> NDArray[np.uint8]:
    """Return the bytes of a name."""
    return np.frombuffer(name.encode(), np.uint8)


def _make_table(names: tuple[str, ...]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return names by length, each in a row, and how many are shorter than each length."""
    longest = max(map(len, names))
    table = np.zeros((len(names), longest), np.uint8)
    for row, name in zip(table, sorted(names, key=len), strict=True):
        row[: len(name)] = bytes_of(name)
    return table, np.searchsorted(np.sort([len(name) for name in names]), np.arange(longest + 2))


_TRACKING, _TRACKING_STARTS = _make_table(TRACKING)
_SESSIONS, _SESSION_STARTS = _make_table(SESSIONS)
_TRACKING_PREFIX, _SESSION_PREFIX = bytes_of(TRACKING_PREFIX), bytes_of(SESSION_PREFIX)
_SESSION_SUFFIX = bytes_of(SESSION_SUFFIX)


@compiled_loop
def is_session(name: NDArray[np.uint8]) -> bool:
    """Return whether a parameter names a session."""
    if starts_with(name, _SESSION_PREFIX) or _is_among(name, _SESSIONS, _SESSION_STARTS):
        return True
    return name.size >= _SESSION_SUFFIX.size and starts_with(
        name[name.size - _SESSION_SUFFIX.size :], _SESSION_SUFFIX
    )


@compiled_loop
def is_tracking(name: NDArray[np.uint8]) -> bool:
    """Return whether a parameter serves to follow a reader."""
    return starts_with(name, _TRACKING_PREFIX) or _is_among(name, _TRACKING, _TRACKING_STARTS)


@compiled_loop
def _is_among(name: NDArray[np.uint8], table: NDArray[np.uint8], starts: NDArray[np.int64]) -> bool:
    """Return whether a name is one of a table, in any case."""
    if name.size == 0 or name.size > table.shape[1]:
        return False
    # Names of one length are few: no hash is worth computing.
    for row in range(starts[name.size], starts[name.size + 1]):
        if starts_with(name, table[row, : name.size]):
            return True
    return False


@compiled_loop
def starts_with(name: NDArray[np.uint8], prefix: NDArray[np.uint8]) -> bool:
    """Return whether a name begins with a prefix, in any case."""
    if name.size < prefix.size:
        return False
    # The prefix is in lower case already.
    i = 0
    while i < prefix.size and LOWER[name[i]] == prefix[i]:
        i += 1
    return i == prefix.size
