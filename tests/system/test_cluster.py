"""A Dask cluster started with the files of cluster/, as their comments say, and a run on it."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dask.config
import pytest
from distributed import Client

import novelty_dask
from novelty_dask.execution.clusters.configuration import read_configuration
from tests.support.cluster import BY_HAND, ENVIRONMENT, STARTUP_SECONDS, address_of, dask_command
from tests.support.content import content
from tests.support.processes import COMMAND


def test_dask_yaml_holds_what_local_workers_get() -> None:
    with dask.config.set(read_configuration()):
        [loaded] = dask.config.collect_yaml([str(BY_HAND)])
        assert loaded.keys() == {"distributed"}
        assert dask.config.merge(dask.config.config, loaded) == dask.config.config


def test_dask_yaml_names_no_public_address() -> None:
    addresses = re.findall(
        r"(?:--host |--dashboard-address |//)([\w.]+)", BY_HAND.read_text(encoding="utf-8")
    )
    assert len(addresses) >= 5
    assert set(addresses) == {"127.0.0.1"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A client of a scheduler with two workers, all on ports that were free."""
    file = str(tmp_path / "scheduler.json")
    worker = ["worker", "--nworkers", "2", "--nthreads", "1", "--memory-limit", "2 GB"]
    with (
        dask_command("scheduler", "--port", "0", "--scheduler-file", file, folder=tmp_path),
        dask_command(*worker, "--scheduler-file", file, folder=tmp_path),
        Client(scheduler_file=file, timeout=STARTUP_SECONDS) as client,
    ):
        client.wait_for_workers(2, timeout=STARTUP_SECONDS)
        yield client


@pytest.mark.long
def test_a_run_on_such_a_cluster_is_the_same_bytes(client: Client, tmp_path: Path) -> None:
    assert client.scheduler_info()["address"].startswith("tcp://127.0.0.1:")
    for name, value in read_configuration().items():
        assert set(client.run(dask.config.get, name).values()) == {value}
    # Long lines, so that there is more text than one range of the shuffle takes; their features are few.
    urls, _ = novelty_dask.datasets.make_urls(1_300, seed=6)
    source, out = tmp_path / "urls.txt", tmp_path / "run.zarr"
    source.write_text("".join(f"{url}?{'x' * 7_500}\n" for url in urls), encoding="utf-8")
    command = [*COMMAND, "score", str(source), "-o", str(out), "--quiet"]
    command += ["--scheduler", address_of(client), "--block-rows", "256"]
    subprocess.run(command, env=ENVIRONMENT, check=True, timeout=300)
    run = novelty_dask.open(out)
    assert run.manifest.stages["sort"]["tasks"] > 1
    assert content(run) == content(novelty_dask.score(source, workers=0))
