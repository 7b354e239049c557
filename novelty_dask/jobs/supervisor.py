"""Supervisor of jobs: a plugin of Dask's scheduler that keeps one driver task alive for each open job.

It reads the records of jobs and holds no truth of its own, so that it may be killed with the scheduler.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distributed import Client, fire_and_forget
from distributed.diagnostics.plugin import SchedulerPlugin

from novelty_dask.jobs.driver import PREFIX, drive
from novelty_dask.jobs.pace import Pace
from novelty_dask.jobs.record import find_job
from novelty_dask.objects.address import open_objects
from novelty_dask.objects.commits import COMMITS_FOLDER

if TYPE_CHECKING:
    from distributed import Scheduler

    from novelty_dask.jobs.record import JobRecord

NAME = "novelty-supervisor"
ENDED = ("erred", "memory", "forgotten")
"""States of a driver task that has ended."""
SUBMIT_SECONDS = 60.0
"""Most time in which a scheduler that is busy takes a driver task; at the next look it would get another."""

LOGGER = logging.getLogger(__name__)


@dataclass
class Watched:
    """A job that is looked after.

    Parameters
    ----------
    token : str
        Of the job.
    starts : int
        Drivers started since there was a new commit.
    commits : frozenset of str or None
        Commits at the last start.
    not_before : float
        When the next driver may be started, on the clock of the loop.
    words : str
        Why the last driver task failed, as far as Dask knows.
    """

    token: str
    starts: int = 0
    commits: frozenset[str] | None = None
    not_before: float = 0.0
    words: str = "its workers died"


class Supervisor(SchedulerPlugin):
    """Supervisor of the jobs of a scheduler.

    Parameters
    ----------
    folder : str, optional
        Where it notes its jobs, for the supervisor of the next scheduler; nowhere by default.
    """

    name = NAME
    idempotent = True

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder
        self.watched: dict[str, Watched] = {}
        self.pace = Pace()

    async def start(self, scheduler: Scheduler) -> None:
        """Begin to look after jobs."""
        self.scheduler = scheduler
        self.pace = Pace.read()
        self._woken = asyncio.Event()
        self._watching = asyncio.ensure_future(self._watch())

    async def close(self) -> None:
        """End with the scheduler."""
        self._watching.cancel()

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Look at once when a driver task has ended."""
        if str(key).startswith(PREFIX) and finish in ENDED:
            if words := kwargs.get("exception_text"):
                for job in self.watched.values():
                    if _prefix(job.token) in str(key):
                        job.words = str(words)[:400]
            self._woken.set()

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Look at once when a worker has come that may drive."""
        self._woken.set()

    async def adopt(self, url: str) -> str:
        """Look after the newest job of a run; return its token, empty if it can't be seen from here."""
        record = await asyncio.to_thread(_find, url)
        if record is None:
            return ""
        if self.folder:
            await asyncio.to_thread(_note, self.folder, record.token, url)
        self.watched[url] = Watched(record.token)
        self._woken.set()
        return record.token

    async def _watch(self) -> None:
        """Look after all jobs, again and again."""
        while True:
            self._woken.clear()
            if self.folder:
                await self._tried(self._read_notes(self.folder))
            for url, job in [*self.watched.items()]:
                await self._tried(self._look_after(url, job))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self.pace.look)

    async def _tried(self, look: Any) -> None:
        """Do something that fails when a store does; it is done again a moment later."""
        try:
            await look
        except Exception as error:  # noqa: BLE001 - each store has its own, and none may end the supervisor
            LOGGER.warning("A look at the jobs of this scheduler failed: %s.", error)

    async def _read_notes(self, folder: str) -> None:
        """Look after the jobs that a supervisor has noted before."""
        for token, url in (await asyncio.to_thread(_noted, folder)).items():
            if url not in self.watched or self.watched[url].token != token:
                self.watched[url] = Watched(token)

    async def _look_after(self, url: str, job: Watched) -> None:
        """Start a driver of a job, if it has none and needs one."""
        record = await asyncio.to_thread(_find, url)
        if record is None:
            # A store that is away for a while may look like one from which the run was removed.
            return
        view = await asyncio.to_thread(record.view)
        if view.verdict or record.token != job.token:
            await self._forget(url, job)
        elif self._is_driven(job.token, is_wanted=not view.is_unwanted):
            return
        elif view.is_unwanted:
            await asyncio.to_thread(record.close, "cancelled", "It was cancelled.")
        elif self.scheduler.workers and asyncio.get_running_loop().time() >= job.not_before:
            await self._start_or_give_up(url, job, record)

    async def _forget(self, url: str, job: Watched) -> None:
        """Look no more after a job that is over, or was replaced by another, which has a note of its own."""
        if self.watched.get(url) is job:
            del self.watched[url]
        if self.folder:
            await asyncio.to_thread(open_objects(self.folder).remove, _note_key(job.token))

    async def _start_or_give_up(self, url: str, job: Watched, record: JobRecord) -> None:
        """Start a driver, unless the last ones have achieved nothing."""
        commits = await asyncio.to_thread(_list_commits, record)
        if commits != job.commits:
            job.starts, job.commits = 0, commits
        if job.starts >= self.pace.starts:
            last = (await asyncio.to_thread(record.view)).words or job.words
            words = f"{job.starts} starts brought no new commit; the last words were: {last.rstrip('.')}."
            await asyncio.to_thread(record.close, "given up", words)
            return
        job.starts += 1
        pause = min(self.pace.pause * 2.0 ** (job.starts - 1), self.pace.longest)
        job.not_before = asyncio.get_running_loop().time() + pause
        await self._submit(url, job)

    async def _submit(self, url: str, job: Watched) -> None:
        """Hand a driver task to the scheduler."""
        # A fresh key: Dask forgives each task a few dead workers, and forgets it at the next.
        key = f"{_prefix(job.token)}-{time.time_ns():x}"
        async with Client(
            self.scheduler.address,
            asynchronous=True,
            set_as_default=False,
            security=self.scheduler.security,
            name=NAME,
        ) as client:
            future = client.submit(
                drive, url, job.token, self.scheduler.id, key=key, pure=False, priority=100, retries=0
            )
            fire_and_forget(future)
            deadline = time.monotonic() + SUBMIT_SECONDS
            while key not in self.scheduler.tasks and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
        LOGGER.info("Started a driver, %s, number %d without a new commit.", key, job.starts)

    def _is_driven(self, token: str, *, is_wanted: bool) -> bool:
        """Return whether there is a driver task of a job; one that only waits counts if it is wanted."""
        states = {task.state for key, task in self.scheduler.tasks.items() if _prefix(token) in str(key)}
        return bool(states - {*ENDED, "released"}) if is_wanted else "processing" in states


async def adopt(url: str, dask_scheduler: Scheduler) -> tuple[str, str]:
    """Let the supervisor of a scheduler look after the job of a run; return its token, and a folder.

    The folder is where the job is noted, empty if nowhere.  The token is empty if the scheduler does not see
    the run.
    """
    supervisor: Any = dask_scheduler.plugins[NAME]
    return await supervisor.adopt(url), supervisor.folder or ""


def _prefix(token: str) -> str:
    """Return the beginning of the keys of all driver tasks of a job."""
    return f"{PREFIX}{token}"


def _find(url: str) -> JobRecord | None:
    """Return the newest job of a run; None if there is none, or no run."""
    return find_job(open_objects(url))


def _list_commits(record: JobRecord) -> frozenset[str]:
    """Return the commits of a run."""
    return frozenset(record.objects.sizes(COMMITS_FOLDER))


def _note(folder: str, token: str, url: str) -> None:
    """Note where the run of a job is."""
    open_objects(folder).write(_note_key(token), json.dumps({"run": url}).encode())


def _note_key(token: str) -> str:
    """Return the key of the note about a job."""
    return f"{token}.json"


def _noted(folder: str) -> dict[str, str]:
    """Return the runs of the jobs that are noted, by their tokens."""
    objects, found = open_objects(folder), {}
    for key in objects.sizes():
        with suppress(KeyError, TypeError, ValueError):
            found[key.removesuffix(".json")] = str(json.loads(objects.read(key))["run"])
    return found
