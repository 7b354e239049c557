"""A whole run, from text to scores on disk: seconds per stage, and peak memory of every process.

    python benchmarks/whole_run.py --rows 300000 --rows 994345 --output whole_run.json

Each size runs `novelty score` in a fresh process, with the same settings.  Peaks are those the
system keeps (VmHWM), read of the command and all its children while they live.  The kernel's
share is what the compare tasks spent inside the search.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import psutil
from corpora import write_corpus

import novelty_dask


@click.command(help=__doc__)
@click.option(
    "--rows", multiple=True, default=[20_000, 60_000], help="Lines to score; repeat for several sizes."
)
@click.option("--workers", default=2, help="Worker processes.")
@click.option("--memory-limit", default="2 GB", help="What each may use.")
@click.option("--block-rows", type=int, help="Rows of a block, for all sizes; chosen if not given.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to write.")
def main(
    rows: tuple[int, ...], workers: int, memory_limit: str, block_rows: int | None, output: Path | None
) -> None:
    """Run every size and compare them."""
    flags = ["--workers", str(workers), "--memory-limit", memory_limit, "--quiet"]
    flags += ["--block-rows", str(block_rows)] if block_rows else []
    results = [measure(size, flags) for size in rows]
    for result in results:
        show(result)
    if len(results) > 1:
        ratio = results[-1]["largest_peak_bytes"] / results[0]["largest_peak_bytes"]
        print(f"peak of the largest process, last size over first: {ratio:.2f}")
    if output:
        output.write_text(json.dumps(results, indent=2) + "\n")


def measure(rows: int, flags: list[str]) -> dict[str, Any]:
    """Score so many lines in fresh processes."""
    with tempfile.TemporaryDirectory() as folder:
        source, run = Path(folder, "urls.txt"), Path(folder, "run.zarr")
        write_corpus(source, rows)
        plan = novelty_dask.plan(source, workers=2, memory_limit=flags[3])
        command = [sys.executable, "-m", "novelty_dask", "score", str(source), "-o", str(run), *flags]
        began = time.monotonic()
        peaks = peak_bytes(command)
        seconds = time.monotonic() - began
        stages = novelty_dask.open(run).manifest.stages
        disk = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
    core_seconds = sum(stage["core_seconds"] for stage in stages.values())
    return {
        "rows": rows,
        "seconds": seconds,
        "stages": stages,
        "core_seconds": core_seconds,
        "kernel_share": stages["compare"]["kernel_seconds"] / core_seconds,
        "peak_bytes": peaks,
        "largest_peak_bytes": max(peaks.values()),
        "projected_bytes": plan.worker_bytes,
        "run_bytes": disk,
    }


def peak_bytes(command: list[str]) -> dict[str, int]:
    """Run a command; return the peak resident bytes of each of its processes."""
    peaks: dict[str, int] = {}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            for each in family(root):
                peak = high_water_mark(each.pid)
                name = "client and scheduler" if each == root else f"process {each.pid}"
                peaks[name] = max(peak, peaks.get(name, 0))
            time.sleep(0.2)
    if process.returncode:
        raise SystemExit(process.returncode)
    return peaks


def family(root: psutil.Process) -> list[psutil.Process]:
    """A process and its children, those that still live."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def high_water_mark(pid: int) -> int:
    """Peak resident bytes of a process, 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def show(result: dict[str, Any]) -> None:
    """Print a table of one size."""
    print(
        f"\n{result['rows']:,} lines: {result['seconds']:.0f} s, {result['core_seconds']:.0f} core-s, "
        f"kernel {result['kernel_share']:.0%}, run {result['run_bytes'] / 1e6:.0f} MB on disk"
    )
    print(f"{'stage':20}{'tasks':>7}{'seconds':>10}{'core-s':>10}{'peak MB':>10}")
    for name, stage in result["stages"].items():
        print(
            f"{name:20}{stage['tasks']:7}{stage['seconds']:10.1f}{stage['core_seconds']:10.1f}"
            f"{stage['peak_bytes'] / 1e6:10.0f}"
        )
    for name, peak in result["peak_bytes"].items():
        print(f"peak of {name}: {peak / 1e6:.0f} MB")
    print(f"projected for a worker: {result['projected_bytes'] / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
