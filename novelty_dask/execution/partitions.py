"""Partitions of a user's Dask collection, each given to a function where it is computed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from dask.base import compute, get_scheduler, is_dask_collection
from dask.delayed import delayed

from novelty_dask.errors import NoveltyError

if TYPE_CHECKING:
    from collections.abc import Callable


def is_collection(value: object) -> bool:
    """Return whether something is a collection of Dask that has partitions."""
    return is_dask_collection(value) and hasattr(value, "to_delayed")


def n_partitions(collection: Any) -> int:
    """Return the number of partitions."""
    return len(_partitions(collection))


def compute_partitions(
    collection: Any, function: Callable[[int, Any], Any], gather: Callable[[list[Any]], list[Any]] | None
) -> list[Any]:
    """Call a function with the number and the elements of each partition, and return its results.

    Parameters
    ----------
    collection : Bag, Series or one-dimensional Array of Dask
    function : callable
        Called on the worker that has computed the partition, which thus goes no further.
    gather : callable or None
        Returns the results of delayed calls.  If None, the scheduler computes them that Dask would choose for
        the collection.
    """
    # Not pure: it is called for what it writes, which no result of an earlier call can stand for.
    call = delayed(partial(_call, function), pure=False)
    calls = [call(number, part) for number, part in enumerate(_partitions(collection))]
    if gather is not None:
        results = gather(calls)
    else:
        results = compute(*calls, scheduler=get_scheduler(collections=[collection]))
    for result in results:
        if isinstance(result, NoveltyError):
            raise result
    return list(results)


def _call(function: Callable[[int, Any], Any], number: int, part: Any) -> Any:
    """Return the result of a function, or an error that has a sentence for the user."""
    # Raised on a worker, it would be logged there with a traceback for each partition.
    try:
        return function(number, part)
    except NoveltyError as error:
        return error


def _partitions(collection: Any) -> list[Any]:
    """Return the partitions, not computed yet."""
    # An array gives them as an array of its own shape.
    return list(np.ravel(np.array(collection.to_delayed(), dtype=object)))
