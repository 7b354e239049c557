"""Gate of a scheduler: a worker that joins during a run gets tasks only if it is fit for the run."""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from distributed import Client
from distributed import Scheduler as DaskScheduler
from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerPlugin

from novelty_dask.execution.clusters.preflight import (
    Fitness,
    check_scheduler,
    check_workers,
    read_object,
    versions,
)
from novelty_dask.execution.messages import messages_of_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from novelty_dask.execution.scheduler import Scheduler
    from novelty_dask.storage.runs import StoredRun

LOGGER = logging.getLogger(__name__)
STATUS = "worker-status-change"
"""What Dask calls the event that a worker is ready for tasks."""


@contextmanager
def guarded(scheduler: Scheduler, run: StoredRun, warn: Callable[[str], None]) -> Iterator[None]:
    """Check a cluster before it gets a task, and each worker that joins later.

    Parameters
    ----------
    scheduler : Scheduler
        Of a connected client, with workers; the client is warned while it waits for this very object.
    run : StoredRun
        The run that they are to work on, which this client has claimed.
    warn : callable
        Takes a sentence about each late worker that is ended.

    Raises
    ------
    ClusterError
        The scheduler lacks the package, or a worker has other versions or does not see the run; it is named.
    """
    client = scheduler.client
    check_scheduler(scheduler)
    gate = Gate(f"novelty-gate-{uuid.uuid4().hex[:8]}", client.id, Fitness.of(run))
    with messages_of_workers(scheduler, gate.name, warn):
        # Before the workers are asked: none can come between.
        scheduler.ask(lambda: client.register_plugin(gate))
        try:
            check_workers(scheduler, gate.fitness)
            yield
        finally:
            # An error of the connection would hide the error that ended the work; the scheduler then removes
            # the gate with its client.
            with suppress(Exception):
                leave = client.unregister_scheduler_plugin
                scheduler.ask(lambda: leave(gate.name), scheduler.patience.close)


class Gate(SchedulerPlugin):
    """Gate for the workers that join while a client works on a run.

    Parameters
    ----------
    name : str
        Of this plugin, and of the topic on which the client hears of workers that were ended.
    client : str
        Identifier of the client, with which the gate goes.
    fitness : Fitness
        What the run needs of a worker.
    """

    def __init__(self, name: str, client: str, fitness: Fitness) -> None:
        self.name = name
        self.client = client
        self.fitness = fitness
        self._held: set[str] = set()
        self._checks: dict[str, asyncio.Task[None]] = {}

    async def start(self, scheduler: DaskScheduler) -> None:
        """Keep the scheduler."""
        self.scheduler = scheduler

    def add_worker(self, scheduler: DaskScheduler, worker: str) -> None:
        """Hold a worker that joins; it says a moment later that it is ready for tasks."""
        self._held.add(worker)

    def remove_worker(self, scheduler: DaskScheduler, worker: str, **_options: Any) -> None:
        """Forget a worker that has left."""
        self._held.discard(worker)

    def remove_client(self, scheduler: DaskScheduler, client: str) -> None:
        """Go with the client, also if it was killed."""
        if client == self.client:
            scheduler.remove_plugin(self.name)

    def log_event(self, topic: str, message: Any) -> None:
        """Pause a held worker that is ready, before it gets a task, and check it."""
        # The scheduler tells of the status before it acts on it.  A worker can't be asked before that.
        if topic not in self._held or not isinstance(message, dict):
            return
        if (message.get("action"), message.get("status")) == (STATUS, "running"):
            self.scheduler.workers[topic].status = Status.paused
            if topic not in self._checks:
                self._checks[topic] = asyncio.create_task(self._check(topic))

    async def _check(self, worker: str) -> None:
        """Let a worker in, or end it, and say why."""
        try:
            async with Client(
                self.scheduler.address,
                asynchronous=True,
                set_as_default=False,
                security=self.scheduler.security,
                name="novelty-gate",
            ) as client:
                if not (problem := await self._find_problem(client, worker)):
                    self._held.discard(worker)
                    self.scheduler.handle_worker_status_change("running", worker, self.name)
                elif worker in self.scheduler.workers:
                    message = f"Worker {worker} has joined and was ended, as it {problem}."
                    LOGGER.warning(message)
                    self.scheduler.log_event(self.name, message)
                    await client.retire_workers([worker], close_workers=True)
        finally:
            self._checks.pop(worker, None)

    async def _find_problem(self, client: Client, worker: str) -> str:
        """Return why a worker is not fit; empty if it is."""
        try:
            found = await client.run(versions, workers=[worker], on_error="return")
            if problem := self.fitness.version_problem(found[worker]):
                return problem
            where = self.fitness.url, self.fitness.key
            seen = await client.run(read_object, *where, workers=[worker], on_error="return")
            return self.fitness.view_problem(seen[worker])
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker can't be trusted with tasks
            return f"can't be asked ({type(error).__name__}: {error})"
