"""Objects in each place where a run may be kept, which all pass the same tests."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from novelty_dask.objects.local import LocalObjects
from novelty_dask.objects.protocol import Objects
from novelty_dask.objects.remote import RemoteObjects
from tests.support.stores import PROGRAMS, Store, start_store


def on_server(kind: str) -> Any:
    """A parameter whose tests share one server in one process."""
    return pytest.param(kind, marks=[pytest.mark.process, pytest.mark.xdist_group(kind)])


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, Store]]:
    """The servers that were started, which end with the tests."""
    started: dict[str, Store] = {}
    yield started
    for store in started.values():
        store.kill()


@pytest.fixture(params=["local", "memory", *map(on_server, PROGRAMS)])
def objects(
    request: pytest.FixtureRequest, tmp_path: Path, servers: dict[str, Store], monkeypatch: pytest.MonkeyPatch
) -> Objects:
    """An empty place of each kind."""
    if request.param == "local":
        return LocalObjects(tmp_path / "run.zarr")
    if request.param == "memory":
        return RemoteObjects(f"memory:/{tmp_path}/run.zarr")
    if request.param not in servers:
        folder = request.getfixturevalue("tmp_path_factory").mktemp("server")
        servers[request.param] = start_store(request.param, folder)
    for name, value in servers[request.param].environment().items():
        monkeypatch.setenv(name, value)
    return RemoteObjects(f"s3://bucket/{uuid.uuid4().hex}/run.zarr")
