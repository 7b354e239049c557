"""Handover of a job to a scheduler: to its supervisor, or as a plain task where it can have none."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from distributed import fire_and_forget

from novelty_dask.counts import counted
from novelty_dask.errors import ClusterError, NoveltyError, reason
from novelty_dask.events import Warned
from novelty_dask.execution.scheduler import Scheduler
from novelty_dask.jobs.driver import PREFIX, drive
from novelty_dask.jobs.supervisor import Supervisor, adopt

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Client

    from novelty_dask.events import Listener

RETRIES = 3
"""Further attempts of a driver without a supervisor that fails and is not killed."""


def hand_over(client: Client, url: str, token: str, listener: Listener) -> None:
    """Let a scheduler drive the newest job of a run.

    Parameters
    ----------
    client : distributed.Client
    url : str
        The run, whose job is in the store.
    token : str
        Of the job.
    listener : Listener
        Takes a warning on what the job won't survive.

    Raises
    ------
    ClusterError
        The scheduler is silent, or the connection is lost.
    """
    scheduler = Scheduler(client)
    scheduler.ask(lambda: client.register_plugin(Supervisor()))
    adopted = scheduler.ask(lambda: _tried(partial(client.run_on_scheduler, adopt, url=url)))
    if isinstance(adopted, Exception):
        why = f"it does not reach {url!r} ({reason(adopted)})"
    elif adopted[0] != token:
        why = f"it does not see {url!r}"
    else:
        if not adopted[1]:
            message = (
                "The scheduler notes its jobs nowhere: after a restart of it, repeat the command; or start "
                "it with --preload novelty_dask.jobs.preload and a folder in NOVELTY_JOBS."
            )
            listener(Warned(message))
        return
    deaths = counted(_submit(scheduler, url, token), "death")
    message = (
        f"The scheduler can't supervise the driver, as {why}: the driver survives {deaths} of its "
        "workers; after more, or a restart of the scheduler, repeat the command."
    )
    listener(Warned(message))


def _tried(question: Callable[[], Any]) -> Any:
    """Return the answer of a scheduler to a question, or the error that it gave for an answer."""
    try:
        return question()
    except Exception as error:
        # Errors of the connection are no answers; errors of a store, which the scheduler may not reach, are.
        if isinstance(error, OSError) and not isinstance(error, NoveltyError):
            raise
        return error


def _submit(scheduler: Scheduler, url: str, token: str) -> int:
    """Hand a driver task to a scheduler; return how many deaths of its workers it forgives."""
    client, key = scheduler.client, f"{PREFIX}{token}-{time.time_ns():x}"
    name = str(scheduler.ask(client.scheduler_info)["id"])
    future = scheduler.submit(
        lambda: client.submit(drive, url, token, name, key=key, pure=False, priority=100, retries=RETRIES)
    )
    fire_and_forget(future)
    deadline = time.monotonic() + scheduler.patience.answer
    calls: Any = client.scheduler
    while not scheduler.ask(lambda: client.sync(calls.get_task_status, keys=[key]))[key]:
        if time.monotonic() > deadline:
            message = "The Dask scheduler has not taken the driver of the job; repeat the command."
            raise ClusterError(message)
        time.sleep(0.05)
    return _forgiven(scheduler)


def _forgiven(scheduler: Scheduler) -> int:
    """Return how many deaths of its workers a scheduler forgives a task."""

    def forgives(dask_scheduler: Any) -> int:
        return int(dask_scheduler.allowed_failures)

    return int(scheduler.ask(lambda: scheduler.client.run_on_scheduler(forgives)))
