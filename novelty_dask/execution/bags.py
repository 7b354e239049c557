"""Dask bags: a list of parts and a function that turns each part into results."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import dask.bag as db


def make_bag(parts: Sequence[Any], function: Callable[..., list[Any]], *arguments: Any) -> db.Bag:
    """Return a bag with one partition for each part.

    Parameters
    ----------
    parts : sequence
        The arguments of the calls, one for each partition.
    function : callable
        Called as ``function([part], *arguments)``; returns the elements of the partition.
    *arguments
        Passed on to `function`.

    Returns
    -------
    dask.bag.Bag
        Not computed yet.

    Examples
    --------
    >>> bag = make_bag([1, 2], lambda parts, factor: [part * factor for part in parts], 10)
    >>> bag.compute(scheduler="sync")
    [10, 20]
    """
    bag = db.from_sequence(parts, partition_size=1)
    return cast("db.Bag", bag.map_partitions(function, *arguments))
