"""CPU seconds that the command line takes to answer, each time in a fresh process.

Run ``python benchmarks/startup.py --repeats 7 --output startup.json``.  Commands that read a run read one of
300 lines.  The modules are compiled to bytecode before, and calls take turns, so that all meet the same load.
"""

import json
import platform
import resource
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import click

RUN = "run.zarr"
AT_MOST = {"novelty --help": 0.3, "novelty status RUN": 0.6}
"""CPU seconds that are aimed at, as the median."""
CALLS = {
    "python alone": ["-c", "pass"],
    "import novelty_dask": ["-c", "import novelty_dask"],
    "novelty --help": ["-m", "novelty_dask", "--help"],
    "novelty score --help": ["-m", "novelty_dask", "score", "--help"],
    "novelty --version": ["-m", "novelty_dask", "--version"],
    "novelty score (refused)": ["-m", "novelty_dask", "score", "missing.txt", "-k", "0"],
    "novelty status RUN": ["-m", "novelty_dask", "status", RUN],
    "novelty top RUN": ["-m", "novelty_dask", "top", RUN],
    "novelty verify RUN": ["-m", "novelty_dask", "verify", RUN],
    "novelty clean RUN": ["-m", "novelty_dask", "clean", RUN],
    "import novelty_dask.open": ["-c", "from novelty_dask import open"],
    "import novelty_dask.score": ["-c", "from novelty_dask import score"],
}


def cpu_seconds(arguments: list[str], folder: str) -> float:
    """Return the CPU time of one Python process, its children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False, cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(repeats: int) -> dict[str, list[float]]:
    """Return the CPU times of each call, from the least to the most."""
    seconds: dict[str, list[float]] = {call: [] for call in CALLS}
    with tempfile.TemporaryDirectory() as folder:
        demo = [sys.executable, "-m", "novelty_dask", "demo", "-q", "--n-rows", "300", "-o", RUN]
        subprocess.run(demo, cwd=folder, check=True, capture_output=True)
        for _ in range(repeats):
            for call, arguments in CALLS.items():
                seconds[call].append(cpu_seconds(arguments, folder))
    return {call: sorted(taken) for call, taken in seconds.items()}


@click.command(help=__doc__)
@click.option("--repeats", default=7, show_default=True, help="Processes for each call.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to write.")
def main(repeats: int, output: Path | None) -> None:
    """Measure every call and print a table."""
    figures = measure(repeats)
    print(f"{'call':<26}{'median':>8}{'least':>8}{'most':>8}{'aim':>8}   CPU seconds of {repeats} processes")
    for call, seconds in figures.items():
        aim = f"{AT_MOST[call]:8.3f}" if call in AT_MOST else ""
        print(f"{call:<26}{seconds[len(seconds) // 2]:8.3f}{seconds[0]:8.3f}{seconds[-1]:8.3f}{aim}")
    if output:
        about = {"python": platform.python_version(), "novelty_dask": version("novelty-dask")}
        output.write_text(json.dumps({**about, "cpu_seconds": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
