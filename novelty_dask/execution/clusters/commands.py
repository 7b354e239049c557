"""Workers as commands: processes of this machine, or of another that ssh reaches."""

import asyncio
import os
import shlex
import signal
import subprocess
import time
import weakref
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from distributed.core import Status
from distributed.deploy.spec import ProcessInterface

TERM_SECONDS = 10
"""Time between SIGTERM and SIGKILL."""
AGAIN_SECONDS = 5
"""Time until a worker that ended by itself is started again; a broken one is not to fill the machine."""
POLL_SECONDS = 0.2
_numbers = count()


class CommandWorker(ProcessInterface):
    """Worker that a command starts; with hosts, on the next of them.

    Parameters
    ----------
    scheduler : str
        Address of the scheduler.
    name : str or int
        Name of the worker.
    command : list of str
        Starts a worker that is given the address.
    environment : dict of str to str
        Of the worker, besides that of this process.
    logs : str or None
        Folder for its log.
    hosts : list of str
        Machines beyond this one; with none, the worker runs here.
    ssh : list of str
        Program, and its options, that runs a command on one of them.
    """

    def __init__(  # noqa: PLR0913 - named in the specification of a cluster
        self,
        scheduler: str,
        name: Any = None,
        *,
        command: list[str],
        environment: dict[str, str],
        logs: str | None,
        hosts: list[str],
        ssh: list[str],
    ) -> None:
        super().__init__(scheduler=scheduler, name=name)  # type: ignore[no-untyped-call]
        self.name = name
        self._logs = logs
        words = [*command, scheduler, "--name", str(name)]
        self._environment = {**os.environ, **environment}
        if hosts:
            # A terminal, so that the worker gets SIGHUP when the connection ends, however that happens.
            exports = [f"{key}={value}" for key, value in environment.items()]
            remote = shlex.join(["exec", "env", *exports, *words])
            words = [*ssh, "-tt", hosts[next(_numbers) % len(hosts)], remote]
        self._words = words

    async def start(self) -> None:
        """Start the process, and begin to watch it."""
        log = Path(self._logs or os.devnull)
        if self._logs:
            log.mkdir(parents=True, exist_ok=True)
            log /= f"worker-{self.name}.log"
        with log.open("ab") as out:
            # A session of its own: Ctrl-C of a terminal reaches this process alone, which ends all in order.
            self._process = subprocess.Popen(  # noqa: S603 - the command is the user's
                self._words,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        # If this process ends without closing the cluster, at exit.
        self._last = weakref.finalize(self, _kill, self._process)
        self._watcher = asyncio.ensure_future(self._watch())
        await super().start()  # type: ignore[no-untyped-call]

    async def _watch(self) -> None:
        """Let the cluster start another worker some time after this one has ended by itself."""
        while self._process.poll() is None:
            await asyncio.sleep(POLL_SECONDS)
        await asyncio.sleep(AGAIN_SECONDS)
        cluster = self._cluster() if hasattr(self, "_cluster") else None
        if cluster is not None and cluster.workers.get(self.name) is self and self.status == Status.running:
            # Adaptive scaling sees that it lacks one that is planned.
            del cluster.workers[self.name]
            await super().close()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """End the process: SIGTERM, then SIGKILL."""
        if self.status == Status.running:
            self._watcher.cancel()
            _signal(self._process, signal.SIGTERM)
            deadline = time.monotonic() + TERM_SECONDS
            while self._process.poll() is None and time.monotonic() < deadline:
                await asyncio.sleep(POLL_SECONDS)
            self._last()
        await super().close()  # type: ignore[no-untyped-call]


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Send a signal to a process and those that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End a process and those that it started, at once."""
    # Also if it has ended: a process that it started may be alive, whose group then still has its number.
    _signal(process, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(TERM_SECONDS)
