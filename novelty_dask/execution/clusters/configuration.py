"""The configuration of Dask, from ``dask.yaml``, and a filter for its harmless log records."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.config
from distributed.comm.core import CommClosedError

FILE = Path(__file__).with_name("dask.yaml")
LOGGERS = ("tornado.application", "distributed.client", "distributed.batched")
_LOST = (asyncio.CancelledError, CommClosedError)


def read_configuration() -> dict[str, Any]:
    """Return the settings of ``dask.yaml`` under their dotted names.

    >>> read_configuration()["distributed.scheduler.worker-ttl"]
    '60s'
    """
    [settings] = dask.config.collect_yaml([str(FILE)])
    return dict(_flatten(settings))


def _flatten(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested mappings under their dotted names."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def quieten_distributed() -> None:
    """Leave out the harmless records that Distributed logs while a connection is torn down.

    A filter is added once, however often this is called: loggers compare filters by identity.
    """
    # Added when a cluster is used, not when this module is imported: a program that only imports the package
    # keeps its logging as it was.
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Return False for harmless records that Distributed logs while a connection is torn down.

    Distributed fails to cancel a call that was interrupted before it began (``distributed.utils.sync``).
    A lost connection is reported by an error of ours, too.
    """
    error = record.exc_info[1] if record.exc_info else None
    while error is not None:
        # After a connection was lost, another server may answer at its address, and be misunderstood.
        if isinstance(error, _LOST):
            return False
        error = error.__cause__ or error.__context__
    return "sync.<locals>.cancel" not in record.getMessage()
