"""A corpus of many small tasks, and what an undisturbed run makes of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.pipeline import limits
from novelty_dask.stages import sort
from novelty_dask.stages.ingest import BYTES_PER_KEY
from tests.support import spy
from tests.support.cluster import Cluster
from tests.support.content import Content, content_and_exports
from tests.support.fixtures import Measured
from tests.support.record import SETTINGS, WORK, Record


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measured:
    """Keep a figure of a test for whoever runs pytest with ``--junitxml``."""
    return lambda name, value: request.node.user_properties.append((name, str(value)))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four files, about 500 URLs, which are eight blocks, and some lines to reject."""
    folder = tmp_path_factory.mktemp("corpus")
    urls, _ = make_urls(510, seed=3)
    for number in range(4):
        lines = [*urls[number::4], "", "https://\x00.example/"]
        (folder / f"{number}.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def undisturbed(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Content:
    """What a run has to hold, whatever happens to it; made without spies, in other tiles."""
    out = tmp_path_factory.mktemp("undisturbed") / "run.zarr"
    novelty_dask.score(corpus, out, workers=0, **SETTINGS, **WORK)
    return content_and_exports(out)


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """What the processes of one test write down."""
    return Record(tmp_path / "record")


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler that notices soon what elsewhere takes a minute, and gives up a task sooner."""
    folder = tmp_path_factory.mktemp("cluster")
    sooner = {
        "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "6s",
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
    }
    with Cluster(folder, Record(folder / "record"), environment=sooner) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Iterator[Cluster]:
    """The shared cluster, whose workers do as they should before and after."""
    shared_cluster.record.ask()
    yield shared_cluster
    shared_cluster.record.ask()


@pytest.fixture
def many_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans of this process as `spy.many_tasks` has them."""
    monkeypatch.setattr(limits, "fit", spy.fit_finely)
    monkeypatch.setattr(sort, "PARTITION_BYTES", BYTES_PER_KEY)
