"""A Dask cluster of processes: a scheduler, and workers that come and go."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
from distributed import Client

from novelty_dask.execution.patience import SECTION
from tests.support.files import ROOT
from tests.support.processes import command_of, end_session, wait_until
from tests.support.record import Record

BY_HAND = ROOT / "cluster" / "dask.yaml"
ENVIRONMENT = {**os.environ, "DASK_CONFIG": str(BY_HAND)}
STARTUP_SECONDS = 120


@contextmanager
def dask_command(*arguments: str, folder: Path) -> Iterator[None]:
    """Run ``dask`` in the background with the configuration of dask.yaml, as long as the block lasts."""
    with (folder / f"{arguments[0]}.log").open("wb") as log:
        command = [sys.executable, "-m", "dask", *arguments, "--host", "127.0.0.1", "--no-dashboard"]
        process = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def patience(**seconds: str) -> dask.config.set:
    """Return a context in which this process waits for others as long as it says."""
    return dask.config.set({f"{SECTION}.{name}": value for name, value in seconds.items()})


def cluster_of(client: Client) -> Any:
    """Return the cluster in this process of which a client is."""
    assert client.cluster is not None
    return client.cluster


def address_of(client: Client) -> str:
    """Return where the scheduler of a client is."""
    scheduler: Any = client.scheduler
    return str(scheduler.address)


def hiding(folder: Path) -> tuple[str, ...]:
    """Return the words before a command that sees an empty disk in the place of a folder."""
    words = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(folder))
    try:
        subprocess.run([*words, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a view of its own of the disks takes the rights of root")
    return words


class Cluster:
    """A scheduler and workers, each a process of its own.

    Parameters
    ----------
    folder : Path
        Of its logs and scratch files.
    record : Record
        What its workers write down.
    host : str
        Where it can be reached.
    scheduler : tuple of str
        Further options of its scheduler.
    environment : dict of str, optional
        Of its processes, besides.
    prefix : tuple of str
        Words of a command that runs its scheduler.
    """

    def __init__(
        self,
        folder: Path,
        record: Record,
        host: str = "127.0.0.1",
        scheduler: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        prefix: tuple[str, ...] = (),
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.host = host
        self.folder = folder
        self.record = record
        self.environment = {**record.environment, "DASK_CONFIG": str(BY_HAND), **(environment or {})}
        self.file = folder / "scheduler.json"
        self.workers: list[subprocess.Popen[bytes]] = []
        self._opened = ExitStack()
        self.scheduler = self._start(
            "scheduler",
            *("--host", host, "--port", "0", "--scheduler-file", self.file, "--no-dashboard"),
            *scheduler,
            prefix=prefix,
        )
        try:
            wait_until(self._is_up, STARTUP_SECONDS)
        except BaseException:
            # Nobody enters a cluster that is not there, and so nobody leaves it.
            self._opened.close()
            raise
        self.address: str = json.loads(self.file.read_text(encoding="utf-8"))["address"]

    def _is_up(self) -> bool:
        """Return whether the scheduler has told where it is; it must not have ended."""
        if self.scheduler.poll() is not None:
            raise AssertionError((self.folder / "scheduler.log").read_text(encoding="utf-8"))
        return self.file.exists() and bool(self.file.read_text(encoding="utf-8"))

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def _start(
        self, *arguments: object, environment: dict[str, str] | None = None, prefix: tuple[str, ...] = ()
    ) -> "subprocess.Popen[bytes]":
        """Start ``dask`` in a session of its own."""
        log = self._opened.enter_context((self.folder / f"{arguments[0]}.log").open("ab"))
        command = [*prefix, sys.executable, "-m", "dask", *map(str, arguments)]
        process = subprocess.Popen(
            command,
            env={**self.environment, **(environment or {})},
            cwd=self.folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self._opened.callback(process.wait)
        self._opened.callback(end_session, process.pid)
        return process

    def add_worker(
        self,
        *options: object,
        nanny: bool = True,
        environment: dict[str, str] | None = None,
        prefix: tuple[str, ...] = (),
        host: str | None = None,
    ) -> "subprocess.Popen[bytes]":
        """Start a worker of one thread."""
        common = ["worker", self.address, "--nthreads", 1, "--no-dashboard", "--local-directory", self.folder]
        process = self._start(
            *common,
            "--host",
            host or self.host,
            *(options or ("--memory-limit", "1 GB")),
            *([] if nanny else ["--no-nanny"]),
            environment=environment,
            prefix=prefix,
        )
        self.workers.append(process)
        return process

    def scale(self, n: int) -> None:
        """Have so many workers, all at work."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        for _ in range(n - len(self.workers)):
            self.add_worker()
        while len(self.workers) > n:
            leaving = self.workers.pop()
            leaving.terminate()
            leaving.wait(200)
        with Client(self.address, timeout=STARTUP_SECONDS, set_as_default=False) as client:
            wait_until(lambda: len(client.nthreads()) == n)

    def worker_pids(self) -> list[int]:
        """Processes in which tasks run, that there are now: those that nannies started, or that have none."""
        found = []
        for process in self.workers:
            if process.poll() is None:
                children = psutil.Process(process.pid).children()
                found += [child.pid for child in children if "multiprocessing.spawn" in command_of(child)]
        return found
