"""Shared fixtures."""

import os
import signal
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import dask
import hypothesis
import psutil
import pytest
from distributed import Client, LocalCluster, default_client
from fsspec.implementations.memory import MemoryFileSystem
from xdist.scheduler import LoadScopeScheduling

from novelty_dask.execution.clusters import local
from novelty_dask.execution.clusters.connect import client_executor
from novelty_dask.execution.clusters.resources import available_cores
from novelty_dask.execution.executors import Executor, SerialExecutor
from novelty_dask.objects.stores import forget_memory

# A busy machine is no fault of a test.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
# Tests that run at once would race for the usual port, and Dask leaves a socket open when it loses.
local.DASHBOARD_PORT = 0
# Without credentials, the client of a store would ask an address outside for some.
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

UNIT = (
    "novelty_dask/",
    *(
        f"tests/{name}/"
        for name in (
            "engines",
            "estimators",
            "features",
            "kernels",
            "objects",
            "planning",
            "results",
            "sources",
            "storage",
        )
    ),
    *(f"tests/test_{name}.py" for name in ("datasets", "doctor", "private_files", "settings")),
    "tests/cli/test_terminal.py",
)
"""Where unit tests lie, but for those that start a process."""
SLOW = ("tests/faults/", "tests/system/", "tests/project/", "tests/execution/", "tests/cli/")
"""Folders of tests that wait for processes, those first that wait longest."""
TOGETHER = {
    "tests/faults/test_schedulers.py": "cluster",
    "tests/faults/test_workers.py": "cluster",
    **{
        name: name
        for name in (
            "tests/faults/test_network.py",
            "tests/project/test_site.py",
            "tests/system/test_damage.py",
            "tests/system/test_encryption.py",
            "tests/system/test_exact.py",
            "tests/system/test_formats.py",
            "tests/system/test_secrets.py",
            "tests/system/test_slurm.py",
            "tests/system/test_strangers.py",
        )
    },
}
"""Files whose tests share what takes long to make, and so are run by one process, with what they share."""
WORKER_BYTES = 1_500_000_000
"""Memory of a process that runs tests, and of those that it starts, about."""
STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec"}
"""Events by which Python tells that a process is started."""
running: list[pytest.Item] = []
"""The test at work, if there is one."""
CORPORA = Path(os.environ.get("NOVELTY_CORPORA", Path(__file__).parents[2] / "shared" / "corpora"))


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Folder of real corpora, which are not part of the project."""
    if not (CORPORA / "urls_1m.txt.xz").exists():
        pytest.skip(f"no real corpora in {CORPORA}; set NOVELTY_CORPORA to their folder")
    return CORPORA


def pytest_configure() -> None:
    """Hear Ctrl-C again where the tests run in the background, as the processes that they start shall."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.addaudithook(refuse_processes)


def pytest_xdist_auto_num_workers() -> int | None:
    """Return how many processes run the tests: more than there are cores, as some tests only wait."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    memory: int = psutil.virtual_memory().available
    return max(1, min(available_cores() * 3 // 2, memory // WORKER_BYTES))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out tests one at a time, but for those of files that belong together.

    By their files, as pytest-xdist 3.8 finds no groups of pytest 9.2.  Files of short tests stay whole too,
    so that what a file shares is made once, and not by each process.
    """
    # In the order of `rank`: otherwise those come first that have most tests.
    config.option.loadscopereorder = False
    scheduling = LoadScopeScheduling(config, log)
    scheduling._split_scope = name_group
    return scheduling


def name_group(nodeid: str) -> str:
    """Return the name of what is handed out at once with a test."""
    file = nodeid.partition("::")[0]
    return TOGETHER.get(file, nodeid if file.startswith(SLOW) else file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark unit tests, and what is left to .ci/all; begin with those that take longest."""
    n_tried: Counter[str] = Counter()
    for item in items:
        sampled = item.get_closest_marker("sampled")
        if sampled and not item.get_closest_marker("long"):
            name = item.nodeid.partition("[")[0]
            n_tried[name] += 1
            if n_tried[name] > (sampled.args or (1,))[0]:
                item.add_marker("long")
    for item in items:
        slow = any(item.get_closest_marker(name) for name in ("process", "long"))
        if item.nodeid.startswith(UNIT) and not slow:
            item.add_marker("unit")
    sizes = Counter(name_group(item.nodeid) for item in items)
    items.sort(key=lambda item: (*rank(item), -sizes[name_group(item.nodeid)]))


def rank(item: pytest.Item) -> tuple[bool, int]:
    """Return the place of a test in the order: a long chain first, and short tests last, to fill the gaps.

    Of files that stay whole, those with most tests come first.
    """
    folders = (place for place, folder in enumerate(SLOW) if item.nodeid.startswith(folder))
    return not item.nodeid.startswith(tuple(TOGETHER)), next(folders, len(SLOW))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Know which test is at work."""
    running.append(item)
    try:
        return (yield)
    finally:
        running.clear()


def refuse_processes(event: str, _arguments: tuple[object, ...]) -> None:
    """Hold unit tests to what makes them fast."""
    if event in STARTS and running and running[0].get_closest_marker("unit"):
        pytest.fail("A unit test starts no process; mark it with pytest.mark.process.")


@pytest.fixture(autouse=True)
def _forget_scheduler() -> Iterator[None]:
    """Give each test Dask's own default: of clients in two threads, one may leave the other's behind."""
    yield
    if "scheduler" in dask.config.config and not _has_client():
        del dask.config.config["scheduler"]


def _has_client() -> bool:
    """Return whether there is a client that Dask uses by default."""
    try:
        default_client()
    except ValueError:
        return False
    return True


@pytest.fixture(scope="module", autouse=True)
def _forget_memory() -> Iterator[None]:
    """Remove the runs in memory of each module: a look at one takes as long as there are files in all."""
    yield
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    forget_memory()


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """A client of two workers in this process."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(params=["serial", "dask"])
def executor(request: pytest.FixtureRequest) -> Executor:
    """Either way to run tasks, one after the other."""
    if request.param == "serial":
        return SerialExecutor()
    return client_executor(request.getfixturevalue("client"))
