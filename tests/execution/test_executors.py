import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import dask.bag as db
import dask.dataframe as dd
import pandas as pd
import pytest
from distributed import Client, LocalCluster, get_worker

from novelty_dask.errors import ClusterError, InputError
from novelty_dask.execution import executors
from novelty_dask.execution.executors import DaskExecutor, Executor, SerialExecutor

LOST = r"^The connection to the Dask scheduler was lost; start it again and repeat the command\.$"


def square(number: int) -> int:
    return number * number


def fail(number: int) -> int:
    if number == 7:
        raise InputError("Seven is refused.")
    return number


def lack(number: int) -> int:
    raise FileNotFoundError(2, "No such file or directory", "here")


# What holds for both.


@pytest.mark.parametrize("n_items", [0, 1, 3, 300])
def test_each_item_gives_one_result(executor: Executor, n_items: int) -> None:
    assert sorted(executor.map("stage", square, range(n_items))) == [i * i for i in range(n_items)]


def test_items_may_come_from_an_iterator_and_be_equal(executor: Executor) -> None:
    assert sorted(executor.map("stage", square, iter([2, 2, 2, 3]))) == [4, 4, 4, 9]


def test_a_bag_gives_its_partitions(executor: Executor) -> None:
    bag = db.from_sequence(range(10), partition_size=3).map(square)
    assert sorted(executor.compute(bag)) == [[0, 1, 4], [9, 16, 25], [36, 49, 64], [81]]


def test_a_frame_is_shuffled(executor: Executor) -> None:
    frame = dd.from_pandas(pd.DataFrame({"key": list("dbacbd"), "value": range(6)}), npartitions=3)
    moved = frame.set_index("key", divisions=["a", "c", "e"])
    parts = sorted(sorted(part.value) for part in executor.compute(moved))
    assert parts == [[0, 3, 5], [1, 2, 4]]


def test_errors_of_tasks_are_raised_as_they_are(executor: Executor) -> None:
    with pytest.raises(InputError, match=r"^Seven is refused\.$"):
        list(executor.map("stage", fail, range(100)))
    with pytest.raises(InputError, match=r"^Seven is refused\.$"):
        list(executor.compute(db.from_sequence(range(10), partition_size=1).map(fail)))


def test_an_error_of_the_system_in_a_task_is_not_taken_for_a_lost_scheduler(executor: Executor) -> None:
    with pytest.raises(FileNotFoundError) as error:
        list(executor.map("stage", lack, range(3)))
    assert error.value.filename == "here"


def test_an_executor_goes_on_after_an_error(executor: Executor) -> None:
    with pytest.raises(InputError):
        list(executor.map("stage", fail, range(100)))
    assert sorted(executor.map("stage", fail, range(7))) == list(range(7))


def test_usage_is_of_each_process_and_grows(executor: Executor) -> None:
    before = executor.usage(forget_peak=True)
    total = sum(i * i for i in range(300_000))
    after = executor.usage()
    assert total > 0
    assert len(before) == len(after) == (1 if isinstance(executor, SerialExecutor) else 3)
    assert all(b.cpu_seconds < a.cpu_seconds for b, a in zip(before, after, strict=True))
    assert all(10**7 < used.peak_bytes < 10**11 for used in after)


# On a scheduler.


UNDONE = ("waiting", "queued", "no-worker", "processing")
SCHEDULERS: list[Any] = []


def count_undone(_item: int) -> int:
    """How many tasks the scheduler, which is in this process, has yet to do."""
    [scheduler] = SCHEDULERS
    return sum(task.state in UNDONE for task in list(scheduler.tasks.values()))


def test_the_window_bounds_the_tasks_in_flight(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "MINIMUM_WINDOW", 9)
    SCHEDULERS[:] = [client.cluster.scheduler]
    counts = list(DaskExecutor(client, "window").map("stage", count_undone, range(200)))
    assert len(counts) == 200
    assert 2 <= max(counts) <= 9


def test_the_window_grows_with_the_threads(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "MINIMUM_WINDOW", 1)
    SCHEDULERS[:] = [client.cluster.scheduler]
    counts = list(DaskExecutor(client, "threads").map("stage", count_undone, range(50)))
    assert max(counts) <= 2 * 2


def test_nothing_stays_on_the_scheduler(client: Client) -> None:
    executor = DaskExecutor(client, "rest")
    list(executor.map("stage", square, range(100)))
    with pytest.raises(InputError):
        list(executor.map("stage", fail, range(100)))
    scheduler = client.cluster.scheduler
    deadline = time.monotonic() + 20
    while scheduler.tasks and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not scheduler.tasks


def fail_or_touch(path: Path | None) -> None:
    if path is None:
        raise InputError("Refused.")
    time.sleep(0.5)
    path.touch()


def test_a_settled_executor_has_nothing_at_work(client: Client, tmp_path: Path) -> None:
    executor = DaskExecutor(client, "settle")
    with pytest.raises(InputError):
        list(executor.map("stage", fail_or_touch, [tmp_path / "late", None]))
    assert not (tmp_path / "late").exists()
    executor.settle()
    assert (tmp_path / "late").exists()
    began = time.monotonic()
    executor.settle()
    assert time.monotonic() - began < 0.1


def own_key(_item: int) -> str:
    return str(get_worker().get_current_task())


def test_keys_name_their_stage_and_differ_between_runs(client: Client) -> None:
    keys = [
        key for token in ("a", "b") for key in DaskExecutor(client, token).map("weigh", own_key, range(5))
    ]
    assert len(set(keys)) == 10
    assert all(re.fullmatch(r"weigh-[ab]-\d+", key) for key in keys)


def test_runs_on_one_scheduler_do_not_meet(client: Client) -> None:
    first = DaskExecutor(client, "a").map("stage", square, range(100))
    second = DaskExecutor(client, "b").map("stage", str, range(100))
    pairs = list(zip(first, second, strict=True))
    assert sorted(one for one, _ in pairs) == [i * i for i in range(100)]
    assert sorted(int(other) for _, other in pairs) == list(range(100))


def die(number: int) -> int:
    if number == 3:
        os._exit(1)
    return number


def test_a_task_that_kills_its_workers_is_named(tmp_path: Path) -> None:
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            local_directory=tmp_path,
            silence_logs="CRITICAL",
        ) as cluster,
        Client(cluster) as client,
    ):
        executor = DaskExecutor(client, "token")
        with pytest.raises(
            ClusterError, match=r"^Task 'stage-token-\d' was given up after 2 workers died in it, "
        ):
            list(executor.map("stage", die, range(6)))


def test_a_wait_without_workers_ends() -> None:
    with (
        dask.config.set({"distributed.scheduler.no-workers-timeout": "1s"}),
        LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
        pytest.raises(
            ClusterError, match=r"^There has been no worker for 1 s; start some and repeat the command"
        ),
    ):
        list(DaskExecutor(client, "token").map("stage", square, range(3)))


@contextmanager
def process(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process of its own, killed at the end."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.fixture
def scheduler() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A scheduler elsewhere, with one worker, and its address."""
    quiet = ["--host", "127.0.0.1", "--no-dashboard"]
    with process("distributed.cli.dask_scheduler", "--port", "0", *quiet) as started:
        assert started.stderr is not None
        found = (re.search(r"Scheduler at:\s+(tcp://\S+)", line) for line in started.stderr)
        address = next(match[1] for match in found if match)
        with process("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", *quiet):
            yield started, address


def slow(number: int) -> int:
    time.sleep(0.01)
    return number


def lose_in_map(executor: DaskExecutor, kill: Callable[[], None]) -> None:
    for count, _ in enumerate(executor.map("stage", slow, range(1_000))):
        if count == 5:
            kill()


def lose_in_compute(executor: DaskExecutor, kill: Callable[[], None]) -> None:
    for count, _ in enumerate(executor.compute(db.from_sequence(range(200), partition_size=1).map(slow))):
        if count == 5:
            kill()


def lose_before_usage(executor: DaskExecutor, kill: Callable[[], None]) -> None:
    kill()
    executor.usage()


def lose_before_map(executor: DaskExecutor, kill: Callable[[], None]) -> None:
    kill()
    list(executor.map("stage", slow, range(10)))


@pytest.mark.parametrize("lose", [lose_in_map, lose_in_compute, lose_before_usage, lose_before_map])
def test_a_lost_scheduler_ends_the_wait(
    scheduler: tuple[subprocess.Popen[str], str], lose: Callable[..., None]
) -> None:
    process, address = scheduler

    def kill() -> None:
        process.kill()
        process.wait()

    with Client(address, timeout=3) as client:
        client.wait_for_workers(1, timeout=60)
        began = time.monotonic()
        with pytest.raises(ClusterError, match=LOST):
            lose(DaskExecutor(client, "token"), kill)
        assert time.monotonic() - began < 60
