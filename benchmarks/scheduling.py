"""CPU time that a task costs a Dask scheduler and a client, memory of the scheduler, and use of workers.

Stand-in tasks only sleep.  Each way is measured with a fresh scheduler and fresh workers: results fetched one
by one and Dask's own settings, results fetched together, and that with the settings of cluster/dask.yaml.

Run ``python benchmarks/scheduling.py --tasks 5000``; ``--seconds 1 --threads 1`` measures efficiency.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import psutil
from distributed import Client
from results import Entry, add_entries

from novelty_dask.execution import window
from novelty_dask.execution.dask_executor import DaskExecutor
from novelty_dask.objects.commits import Metrics

ROOT = Path(__file__).parents[1]
KEY = ("way", "tasks", "workers", "threads", "seconds")
SECTION = "DASK_DISTRIBUTED__SCHEDULER__"
OF_DASK = {
    f"{SECTION}WORKER_SATURATION": "1.1",
    f"{SECTION}WORK_STEALING": "True",
    f"{SECTION}ACTIVE_MEMORY_MANAGER__START": "True",
}
WAYS: dict[str, tuple[int, dict[str, str]]] = {
    "one by one, settings of Dask": (1, OF_DASK),
    "together, settings of Dask": (window.GATHERED_TASKS, OF_DASK),
    "together, saturation inf": (
        window.GATHERED_TASKS,
        {**OF_DASK, f"{SECTION}WORKER_SATURATION": "inf"},
    ),
    "together, settings of cluster/dask.yaml": (window.GATHERED_TASKS, {}),
}
"""How many results are fetched at once, and the settings of the scheduler."""
WARM_UP_TASKS = 300
SAMPLES = 10


class Rest:
    """A stand-in for a tile, which sleeps."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, item: str) -> Metrics:
        """Sleep; return what a tile returns, or nearly."""
        time.sleep(self.seconds)
        return {"multiply_adds": 123_456_789_012, "kernel_seconds": self.seconds, "item": item}


@contextmanager
def dask(folder: str, arguments: list[str], settings: dict[str, str]) -> Iterator[psutil.Process]:
    """Run ``dask`` with the settings of cluster/dask.yaml, but for those given, while the block lasts."""
    environment = {
        **os.environ,
        "DASK_CONFIG": str(ROOT / "cluster" / "dask.yaml"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)]),
        **settings,
    }
    command = [sys.executable, "-m", "dask", *arguments, "--host", "127.0.0.1", "--no-dashboard"]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


@contextmanager
def cluster(workers: int, threads: int, settings: dict[str, str]) -> Iterator[tuple[Client, psutil.Process]]:
    """Yield a client of a fresh cluster, and the process of its scheduler."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "scheduler.json"
        start = ["scheduler", "--port", "0", "--scheduler-file", str(file)]
        join = ["worker", "--scheduler-file", str(file), "--nworkers", str(workers)]
        with (
            dask(folder, start, settings) as scheduler,
            dask(folder, [*join, "--nthreads", str(threads)], settings),
        ):
            while not (file.exists() and file.stat().st_size):
                time.sleep(0.1)
            with Client(scheduler_file=str(file), timeout=60) as client:
                client.wait_for_workers(workers, timeout=120)
                yield client, scheduler


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time that a process has spent."""
    times = process.cpu_times()
    return float(times.user + times.system)


def measure(
    executor: DaskExecutor, scheduler: psutil.Process, tasks: int, seconds: float
) -> dict[str, list[float] | float]:
    """Return what some tasks cost."""
    ready = deque(f"{number // 8}-{number % 8}" for number in range(tasks))
    began = cpu_seconds(scheduler), time.process_time(), time.monotonic()
    resident = []
    for number, outcome in enumerate(executor.map("compare", Rest(seconds), ready), 1):
        assert outcome.error is None
        if number % max(tasks // SAMPLES, 1) == 0:
            resident.append(float(scheduler.memory_info().rss))
    return {
        "scheduler_us": (cpu_seconds(scheduler) - began[0]) / tasks * 1e6,
        "client_us": (time.process_time() - began[1]) / tasks * 1e6,
        "elapsed": time.monotonic() - began[2],
        "resident_bytes": resident,
    }


@click.command(help=__doc__)
@click.option("--tasks", default=5_000, show_default=True, help="Stand-in tasks.")
@click.option("--workers", default=2, show_default=True, help="Worker processes.")
@click.option("--threads", default=64, show_default=True, help="Threads of each, which only sleep.")
@click.option("--seconds", default=0.0, show_default=True, help="Length of a task.")
@click.option("--way", "ways", multiple=True, type=click.Choice([*WAYS]), help="A way; all by default.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add to.")
def main(
    tasks: int, workers: int, threads: int, seconds: float, ways: tuple[str, ...], output: Path | None
) -> None:
    """Measure each way, and print its costs a task."""
    print(f"{'way':<42}{'scheduler us':>13}{'client us':>11}{'efficiency':>12}{'resident MB':>16}")
    shipped = window.GATHERED_TASKS
    for way in ways or WAYS:
        gathered, settings = WAYS[way]
        with cluster(workers, threads, settings) as (client, scheduler):
            window.GATHERED_TASKS = gathered
            try:
                executor = DaskExecutor(client, "0a1b2c3d")
                measure(executor, scheduler, WARM_UP_TASKS, 0)
                found = measure(DaskExecutor(client, "4e5f6a7b"), scheduler, tasks, seconds)
            finally:
                window.GATHERED_TASKS = shipped
        elapsed, resident = found["elapsed"], found["resident_bytes"]
        assert isinstance(elapsed, float)
        assert isinstance(resident, list)
        entry: Entry = {
            "way": way,
            "tasks": tasks,
            "workers": workers,
            "threads": threads,
            "seconds": seconds,
            **found,
            "efficiency": tasks * seconds / (elapsed * workers * threads),
        }
        memory = f"{resident[0] / 1e6:.0f} to {resident[-1] / 1e6:.0f}"
        print(
            f"{way:<42}{entry['scheduler_us']:13,.0f}{entry['client_us']:11,.0f}{entry['efficiency']:12.3f}"
            f"{memory:>16}",
            flush=True,
        )
        add_entries(output, "made", [entry], KEY)


if __name__ == "__main__":
    main()
