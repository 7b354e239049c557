"""A cluster whose scheduler keeps jobs, and what drives and kills them."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distributed import Client

from novelty_dask.jobs.job import Job
from novelty_dask.jobs.record import find_job
from novelty_dask.jobs.status import JobStatus
from novelty_dask.objects.address import open_objects
from tests.support.cluster import Cluster
from tests.support.processes import COMMAND, kill, wait_until
from tests.support.record import FLAGS

PRELOAD = ("--preload", "novelty_dask.jobs.preload")
SOONER = {
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
    "DASK_NOVELTY_DASK__JOBS__LOOK": "500ms",
    "DASK_NOVELTY_DASK__JOBS__BEAT": "300ms",
    "DASK_NOVELTY_DASK__JOBS__PAUSE": "100ms",
}
"""What elsewhere takes seconds or minutes."""


def staff(cluster: Cluster, n: int) -> None:
    """Have so many workers, without nannies, which would start others for those that are killed."""
    cluster.workers = [worker for worker in cluster.workers if worker.poll() is None]
    for _ in range(n - len(cluster.workers)):
        cluster.add_worker(nanny=False)
    with Client(cluster.address, timeout=120, set_as_default=False) as client:
        wait_until(lambda: len(client.nthreads()) == n)


def submitted(
    cluster: Cluster,
    corpus: Path,
    out: Path,
    *more: object,
    code: int = 0,
    command: str = "submit",
    flags: Sequence[str] = tuple(FLAGS),
) -> "subprocess.CompletedProcess[str]":
    """Submit a corpus by a command, which has ended when this returns."""
    words = [*COMMAND, command, corpus, "-o", out, *flags, "--scheduler", cluster.address, *more]
    done = subprocess.run(
        [str(word) for word in words],
        env=cluster.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == code, done.stderr
    return done


def status_of(out: Path) -> JobStatus:
    """Return the status of the job of a run, which has one."""
    return Job(out).status()


def wait_over(out: Path, seconds: float = 300) -> JobStatus:
    """Wait until the job of a run is over."""
    wait_until(lambda: status_of(out).is_over, seconds)
    return status_of(out)


def driver_pid(out: Path) -> int:
    """Return the process of the driver that began last and has not ended; 0 if there is none."""
    folder = max((out / "jobs").iterdir())
    starts = sorted(folder.glob("start-*.json"))
    if not starts or (folder / starts[-1].name.replace("start", "end")).exists():
        return 0
    where: str = json.loads(starts[-1].read_bytes())["where"]
    return int(where.split()[1])


def kill_driver(cluster: Cluster, out: Path, known: set[int]) -> int:
    """Kill the worker of the driver, once it is none of those that are known; return its process."""
    wait_until(lambda: driver_pid(out) not in {0, *known})
    [worker] = [each for each in cluster.workers if each.pid == driver_pid(out)]
    kill(worker.pid)
    worker.wait()
    return worker.pid


def python(code: str, cluster: Cluster, *arguments: object) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own."""
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(words, env=cluster.environment, start_new_session=True)


def driver_tasks(cluster: Cluster) -> list[str]:
    """Return the driver tasks that a scheduler knows."""

    def known(dask_scheduler: Any) -> list[str]:
        return [str(key) for key in dask_scheduler.tasks if str(key).startswith("novelty-driver-")]

    with Client(cluster.address, timeout=60, set_as_default=False) as client:
        found: list[str] = client.run_on_scheduler(known)
        return found


def token_of(out: Path) -> str:
    """Return the token of the job of a run."""
    record = find_job(open_objects(str(out)))
    assert record
    return record.token
