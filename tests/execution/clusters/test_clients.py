"""Clients that are given to `score`, and what is said of those that can't be used."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

import novelty_dask
from novelty_dask.errors import ClusterError, SettingsError
from tests.support.cluster import address_of
from tests.support.listeners import Recorder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of two lines."""
    path = tmp_path / "urls.txt"
    path.write_text("http://a.example/\nhttp://b.example/\n")
    return path


@contextmanager
def client_of(**options: Any) -> Iterator[Client]:
    """A client of a worker in this process."""
    options = {"n_workers": 1, "protocol": "tcp", "dashboard_address": "127.0.0.1:0", **options}
    with LocalCluster(processes=False, **options) as cluster, Client(cluster.scheduler_address) as client:
        yield client


def test_the_address_of_a_scheduler_is_taken_for_a_client(source: Path, tmp_path: Path) -> None:
    with client_of() as client:
        run = novelty_dask.score(source, tmp_path / "run.zarr", client=address_of(client))
        assert len(run) == 2
        assert len(novelty_dask.resume(run, client=address_of(client))) == 2


def test_a_dashboard_that_is_not_there_is_not_shown(source: Path) -> None:
    for options, is_shown in (({}, True), ({"scheduler_kwargs": {"dashboard": False}}, False)):
        listener = Recorder()
        with client_of(**options) as client:
            novelty_dask.score(source, client=client, listener=listener)
            link = client.dashboard_link.removesuffix("/status")
            assert listener.notes == [f"Dashboard: {link}/novelty"] * is_shown


def test_a_client_that_is_closed_is_refused(source: Path, tmp_path: Path) -> None:
    with client_of() as client:
        client.close()
        with pytest.raises(ClusterError, match=r"^The client is closed; "):
            novelty_dask.score(source, tmp_path / "run.zarr", client=client)
    assert not (tmp_path / "run.zarr").exists()


def test_a_client_that_is_asynchronous_is_refused(source: Path, tmp_path: Path) -> None:
    async def score(address: str) -> None:
        async with Client(address, asynchronous=True) as client:
            with pytest.raises(ClusterError, match=r"^The client is asynchronous; "):
                novelty_dask.score(source, tmp_path / "run.zarr", client=client)

    with client_of() as client:
        asyncio.run(score(address_of(client)))
    assert not (tmp_path / "run.zarr").exists()


@pytest.mark.parametrize("client", [3, LocalCluster, ["tcp://127.0.0.1:1"]])
def test_what_is_no_client_is_refused(source: Path, tmp_path: Path, client: Any) -> None:
    with pytest.raises(SettingsError, match=r"^A client is a distributed.Client or the address of a "):
        novelty_dask.score(source, tmp_path / "run.zarr", client=client)
    assert not (tmp_path / "run.zarr").exists()
