"""A whole run, from text to novelty on disk: seconds and memory of every stage, and where the time goes.

    python benchmarks/whole_run.py --rows 300000 --rows 994345 --output whole_run.json

Each size runs `novelty score` in a fresh process, with the same settings.  Two parts of a run are its
purpose: what the comparison spends inside the search, and hashing (the stage `vectorize`).  The *ratio* is
what the run takes over what these two would take on all workers without a gap:

    elapsed seconds / ((seconds inside the search + core-seconds of vectorize) / workers)

What is above 1 is listed: work outside the two, stage by stage, workers that had nothing to do, and starting
and stopping.  On a machine that does other things too, elapsed seconds hold what workers waited for a core.
Linux counts this for each thread (schedstat), and the undisturbed ratio is without what the busiest thread of
a worker waited, on average.  It is a guess: a worker also waits for one that waits for a core.

Peaks are those the system keeps (VmHWM), read of the command and all its children while they live.
"""

import os
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import click
import psutil
from corpora import corpus_option, name_of, write_corpus
from results import Entry, add_entries

import novelty_dask

KEY = ("rows", "workers", "features", "normal_form")
POLL_SECONDS = 0.1
TARGET_RATIO = 1.35
COLUMNS = {
    "elapsed s": "seconds",
    "core-s": "core_seconds",
    "useful": "useful_seconds",
    "overhead": "overhead_seconds",
    "idle": "idle_seconds",
}
"""What is printed of each stage: `overhead` is CPU time that is not useful, `idle` is of all workers."""


@click.command(help=__doc__)
@click.option("--rows", multiple=True, default=[20_000, 60_000], help="Lines to score; repeat for more.")
@click.option(
    "--features",
    multiple=True,
    default=["url"],
    help="Features to compare by; repeat for more, side by side.",
)
@click.option("--normal-form", default="raw", help="What is one row; raw, so that features share their rows.")
@click.option("--workers", default=2, help="Worker processes.")
@click.option("--memory-limit", default="2 GB", help="What each may use.")
@click.option("--block-rows", type=int, help="Rows of a block, for all sizes; chosen if not given.")
@corpus_option
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
def main(**options: Any) -> None:
    """Run every size and compare them."""
    results = []
    for rows, features in product(options["rows"], options["features"]):
        results.append(measure(rows, features, options))
        show(results[-1])
        add_entries(options["output"], name_of(options["corpus"]), results[-1:], KEY)
    first, *others = results
    for name in ("largest_peak_bytes", "core_seconds"):
        for other in others:
            ratio = other[name] / first[name]
            click.echo(f"{name} of {other['rows']:,} by {other['features']} over the first: {ratio:.2f}")


class Observed(NamedTuple):
    """Observations of a command.

    Parameters
    ----------
    seconds : float
        Elapsed.
    core_seconds : float
        CPU time of all its processes.
    waited_seconds : list of float
        For each process, in which order they worked most: how long the thread that did most could
        have run, but others had the cores.
    peak_bytes : dict
        Peak resident bytes of each process.
    """

    seconds: float
    core_seconds: float
    waited_seconds: list[float]
    peak_bytes: dict[str, int]


def measure(rows: int, features: str, options: Entry) -> Entry:
    """Score a number of lines in fresh processes."""
    workers, limit = options["workers"], options["memory_limit"]
    chosen = {"features": features, "normal_form": options["normal_form"]}
    flags = ["--workers", str(workers), "--memory-limit", limit, "--quiet", "--features", features]
    flags += ["--normal-form", options["normal_form"]]
    flags += ["--block-rows", str(options["block_rows"])] if options["block_rows"] else []
    with tempfile.TemporaryDirectory() as folder:
        source, run = Path(folder, "urls.txt"), Path(folder, "run.zarr")
        write_corpus(source, rows, options["corpus"])
        text = source.stat().st_size
        plan = novelty_dask.plan(source, workers=workers, memory_limit=limit, **chosen)
        observed = observe(
            [sys.executable, "-m", "novelty_dask", "score", str(source), "-o", str(run), *flags]
        )
        stages = novelty_dask.open(run).manifest.stages
        disk = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
    return {
        "rows": rows,
        **chosen,
        "workers": workers,
        "memory_limit": limit,
        "text_bytes": text,
        "run_bytes": disk,
        "projected_bytes": plan.worker_bytes,
        "planned_core_seconds": plan.core_seconds,
        "largest_peak_bytes": max(observed.peak_bytes.values()),
        **observed._asdict(),
        **account(stages, observed, workers),
    }


def account(stages: dict[str, Any], observed: Observed, workers: int) -> Entry:
    """Return the parts of the seconds of all workers."""
    useful = dict.fromkeys(stages, 0.0)
    useful["compare"] = stages["compare"]["kernel_seconds"]
    useful["vectorize"] = stages["vectorize"]["core_seconds"]
    waited = sum(observed.waited_seconds[:workers]) / workers
    least = sum(useful.values()) / workers
    in_stages = sum(stage["seconds"] for stage in stages.values())
    cpu = sum(stage["core_seconds"] for stage in stages.values())
    parts = {
        name: {
            **stage,
            "useful_seconds": useful[name],
            "overhead_seconds": stage["core_seconds"] - useful[name],
            "idle_seconds": workers * stage["seconds"] - stage["core_seconds"],
        }
        for name, stage in stages.items()
    }
    return {
        "stages": parts,
        "useful_seconds": sum(useful.values()),
        "outside_stages": {
            "seconds": observed.seconds - in_stages,
            "core_seconds": observed.core_seconds - cpu,
            "idle_seconds": workers * (observed.seconds - in_stages) - (observed.core_seconds - cpu),
        },
        "ratio": observed.seconds / least,
        "undisturbed_ratio": (observed.seconds - waited) / least,
        "waited_seconds": waited,
    }


def observe(command: list[str]) -> Observed:
    """Run a command to its end."""
    peaks: dict[str, int] = {}
    threads: dict[tuple[int, str], tuple[int, int]] = {}
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        root = psutil.Process(process.pid)
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            for each in family(root):
                name = "client and scheduler" if each == root else f"process {each.pid}"
                peaks[name] = max(high_water_mark(each.pid), peaks.get(name, 0))
                threads.update(scheduled(each.pid))
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - began
        _, status, used = ended
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    return Observed(seconds, used.ru_utime + used.ru_stime, waits_of_busiest(threads), peaks)


def family(root: psutil.Process) -> list[psutil.Process]:
    """Return a process and its children, as far as they still live."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def high_water_mark(pid: int) -> int:
    """Return the peak resident bytes of a process, 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def scheduled(pid: int) -> dict[tuple[int, str], tuple[int, int]]:
    """Return the nanoseconds that each thread of a process has run and has waited; none if it is gone."""
    found = {}
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            ran, waited, _ = map(int, (thread / "schedstat").read_text().split())
            found[pid, thread.name] = ran, waited
    except OSError:
        pass
    return found


def waits_of_busiest(threads: dict[tuple[int, str], tuple[int, int]]) -> list[float]:
    """Return the seconds that the busiest thread of each process waited, busiest process first."""
    busiest: dict[int, tuple[int, int]] = {}
    for (pid, _), used in threads.items():
        busiest[pid] = max(used, busiest.get(pid, (0, 0)))
    return [waited / 1e9 for _, waited in sorted(busiest.values(), reverse=True)]


def show(result: Entry) -> None:
    """Print a table of one size."""
    click.echo(
        f"\n{result['rows']:,} lines, {result['features']}, {result['workers']} workers: "
        f"{result['seconds']:.1f} s, "
        f"{result['core_seconds']:.1f} core-s, a worker waited {result['waited_seconds']:.1f} s, "
        f"run {result['run_bytes'] / 1e6:.0f} MB on disk"
    )
    click.echo(
        f"ratio {result['ratio']:.2f}, undisturbed {result['undisturbed_ratio']:.2f}, target {TARGET_RATIO}: "
        f"{result['useful_seconds']:.1f} core-s are search and hashing"
    )
    click.echo(f"{'stage':20}{'tasks':>6}" + "".join(f"{name:>10}" for name in COLUMNS) + f"{'peak MB':>9}")
    for name, stage in result["stages"].items():
        cells = "".join(f"{stage[column]:10.1f}" for column in COLUMNS.values())
        click.echo(f"{name:20}{stage['tasks']:6}{cells}{stage['peak_bytes'] / 1e6:9.0f}")
    outside = result["outside_stages"]
    click.echo(
        f"{'start and end':26}{outside['seconds']:10.1f}{outside['core_seconds']:10.1f}{0:10.1f}"
        f"{outside['core_seconds']:10.1f}{outside['idle_seconds']:10.1f}"
    )
    for name, peak in result["peak_bytes"].items():
        click.echo(f"peak of {name}: {peak / 1e6:.0f} MB")
    planned = result["planned_core_seconds"]
    click.echo(f"core-s planned {planned:.1f}, measured over planned {result['core_seconds'] / planned:.2f}")
    click.echo(f"projected for a worker: {result['projected_bytes'] / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
