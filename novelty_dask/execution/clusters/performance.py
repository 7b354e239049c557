"""Dask's performance report of the work on a scheduler, as a file."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from distributed import performance_report

from novelty_dask.errors import ClusterError, SettingsError, reason
from novelty_dask.execution.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client

PATIENCES = 4
"""A report of many tasks takes longer than other answers."""


@contextmanager
def reported_performance(client: Client, file: str | None) -> Iterator[None]:
    """Write the performance report of what the block does, also if it fails; without a file do nothing.

    Raises
    ------
    SettingsError
        The file is there already, or can't be written.
    """
    if file is None:
        yield
        return
    aside = Path(f"{file}.part")
    try:
        # Another report may be worth as much as this one.
        if Path(file).exists():
            raise FileExistsError(17, "it is there already")
        aside.touch()
    except OSError as error:
        message = f"The performance report can't be written to {file!r}: {reason(error)}; name another file."
        raise SettingsError(message) from error
    report, scheduler = performance_report(filename=str(aside)), Scheduler(client)

    def ask(question: Callable[[], None]) -> None:
        def asked() -> None:
            # Dask asks the client that is current in this thread.
            with client.as_current():
                question()

        scheduler.ask(asked, PATIENCES * scheduler.patience.answer)

    try:
        ask(report.__enter__)
        yield
    finally:
        # A scheduler that is lost says so by the error of the block.
        with suppress(ClusterError):
            ask(lambda: report.__exit__(None, None, None))
            aside.replace(file)
        aside.unlink(missing_ok=True)
