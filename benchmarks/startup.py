"""CPU seconds that the command line takes to answer, each time in a fresh process.

Run ``python benchmarks/startup.py --repeats 7 --output startup.json``.
"""

import json
import platform
import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click

CALLS = {
    "python alone": ["-c", "pass"],
    "import novelty_dask": ["-c", "import novelty_dask"],
    "novelty --help": ["-m", "novelty_dask", "--help"],
    "novelty score --help": ["-m", "novelty_dask", "score", "--help"],
    "novelty --version": ["-m", "novelty_dask", "--version"],
    "novelty score (refused)": ["-m", "novelty_dask", "score", "missing.txt", "-k", "0"],
    "import novelty_dask.open": ["-c", "from novelty_dask import open"],
    "import novelty_dask.score": ["-c", "from novelty_dask import score"],
}


def cpu_seconds(arguments: list[str]) -> float:
    """Return the CPU time of one Python process, its children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@click.command(help=__doc__)
@click.option("--repeats", default=7, show_default=True, help="Processes for each call.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to write.")
def main(repeats: int, output: Path | None) -> None:
    """Measure every call and print a table."""
    figures = {
        call: sorted(cpu_seconds(arguments) for _ in range(repeats)) for call, arguments in CALLS.items()
    }
    print(f"{'call':<26}{'median':>8}{'least':>8}{'most':>8}   CPU seconds of {repeats} processes")
    for call, seconds in figures.items():
        median = seconds[len(seconds) // 2]
        print(f"{call:<26}{median:8.3f}{seconds[0]:8.3f}{seconds[-1]:8.3f}")
    if output:
        about = {"python": platform.python_version(), "novelty_dask": version("novelty-dask")}
        output.write_text(json.dumps({**about, "cpu_seconds": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
