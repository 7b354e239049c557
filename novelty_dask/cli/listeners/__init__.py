"""Listeners of the command line: each shows the events of a run in a way of its own, on standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from novelty_dask.cli.listeners.lines import Lines
from novelty_dask.events import Listener, ignore


@contextmanager
def choose_listener(*, quiet: bool = False, brief: bool = False) -> Iterator[Listener]:
    """Yield the listener that suits standard error, as long as a run takes.

    Parameters
    ----------
    quiet : bool
        True to show nothing.
    brief : bool
        True to show nothing of stages that take a few seconds, except in a terminal.
    """
    if quiet:
        yield ignore
    elif sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 - a log needs no rich

        from novelty_dask.cli.listeners.bars import Bars  # noqa: PLC0415

        with Bars(Console(stderr=True)) as bars:
            yield bars
    else:
        yield Lines(sys.stderr, brief=brief)
