"""Runs on a real Slurm: jobs killed, nodes drained and the driver requeued, and always the same bytes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.execution.clusters.certificates import make_certificates
from tests.support.content import content
from tests.support.files import ROOT
from tests.support.processes import COMMAND, wait_until
from tests.support.slurm import ask, lacking, slurm

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(not os.environ.get("NOVELTY_SLURM"), reason="NOVELTY_SLURM=1 is not set"),
    pytest.mark.skipif(bool(lacking()), reason=lacking()),
]
SECONDS = 900
FILE = """place: slurm
minimum: 2
maximum: 2
memory: 1200 MB
certs: certs
logs: logs
queue: main
walltime: "01:00:00"
host: 127.0.0.1
dashboard: 0
wait: 600
environment:
  PYTHONPATH: {path}
  NUMBA_CACHE_DIR: {cache}
"""


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    pytest.importorskip("dask_jobqueue")
    with slurm() as found:
        yield {**found, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])}


@pytest.fixture
def folder(tmp_path: Path, environment: dict[str, str]) -> Path:
    """A corpus, the file of a cluster, and its certificates."""
    make_certificates(str(tmp_path / "certs"))
    cache = os.environ.get("NUMBA_CACHE_DIR", str(Path.home() / ".cache"))
    text = FILE.format(path=environment["PYTHONPATH"], cache=cache)
    (tmp_path / "cluster.yaml").write_text(text)
    (tmp_path / "urls.txt").write_text("".join(f"{url}\n" for url in make_urls(1_500, seed=3)[0]))
    return tmp_path


def running(environment: dict[str, str], name: str = "novelty-worker") -> list[str]:
    """Numbers of jobs that run."""
    return ask(environment, "squeue", "-h", "-t", "R", "-n", name, "-o", "%i")


def committed(folder: Path) -> int:
    """Tasks that a run has finished."""
    return len(list((folder / "run.zarr").rglob("commits/**/*")))


def check(folder: Path, environment: dict[str, str]) -> None:
    """Compare a run with that of one process, and see that nothing is in the queue."""
    here = novelty_dask.score(folder / "urls.txt", workers=0, block_rows=250)
    assert content(novelty_dask.open(folder / "run.zarr")) == content(here)
    wait_until(lambda: not ask(environment, "squeue", "-h", "-o", "%i"), SECONDS)


def test_a_job_is_killed_and_a_node_drained(folder: Path, environment: dict[str, str]) -> None:
    command = [*COMMAND, "score", "urls.txt", "-o", "run.zarr", "--cluster", "cluster.yaml"]
    with (folder / "said").open("wb") as said:
        driver = subprocess.Popen(
            [*command, "--block-rows", "250"], cwd=folder, env=environment, stdout=said, stderr=said
        )
    try:
        wait_until(lambda: committed(folder) > 2, SECONDS)
        before = running(environment)
        subprocess.run(["scancel", "--signal=KILL", before[0]], env=environment, check=True)
        # Another job takes its place: a number that was not there before.
        wait_until(lambda: set(running(environment)) - set(before) or driver.poll() is not None, SECONDS)
        drain = ["scontrol", "update", "NodeName=n1", "State=DRAIN", "Reason=test"]
        subprocess.run(drain, env=environment, check=True)
        assert driver.wait(SECONDS) == 0, (folder / "said").read_text()
        assert len(set(before)) <= 2
    finally:
        driver.kill()
        driver.wait()
        subprocess.run(["scontrol", "update", "NodeName=n1", "State=RESUME"], env=environment, check=False)
    check(folder, environment)


def test_the_driver_is_requeued(folder: Path, environment: dict[str, str]) -> None:
    script = (ROOT / "cluster" / "slurm" / "job.sh").read_text()
    (folder / "job.sh").write_text(script)
    # What a site installs: the command, with its environment.
    launcher = folder / "novelty"
    variables = {"HOME": str(Path.home()), "PATH": os.environ["PATH"]}
    variables |= {name: environment[name] for name in ("SLURM_CONF", "PYTHONPATH")}
    exports = "".join(f"export {name}='{value}'\n" for name, value in variables.items())
    launcher.write_text(f'#!/bin/bash\n{exports}exec {sys.executable} -m novelty_dask "$@"\n')
    launcher.chmod(0o755)
    submit = ["sbatch", "--parsable", "--mem=1G", f"--export=NONE,NOVELTY={launcher}", "-o", "driver.log"]
    done = subprocess.run(
        [*submit, "job.sh", "urls.txt", "run.zarr"],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    job = done.stdout.strip()
    try:
        wait_until(lambda: committed(folder) > 2, SECONDS)
        subprocess.run(["scontrol", "requeue", job], env=environment, check=True)
        wait_until(lambda: job not in running(environment, "novelty"), SECONDS)
        # The driver took its workers down, or they ended when it was gone.
        wait_until(lambda: not running(environment), SECONDS)
        # Slurm holds a job that was requeued for two minutes.
        wait_until(lambda: not ask(environment, "squeue", "-h", "-o", "%i"), SECONDS)
    finally:
        subprocess.run(["scancel", job], env=environment, check=False)
    assert novelty_dask.status(folder / "run.zarr").state == "complete", (folder / "driver.log").read_text()
    check(folder, environment)
