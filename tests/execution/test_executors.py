import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NamedTuple, cast

import dask
import dask.bag as db
import dask.dataframe as dd
import pandas as pd
import pytest
from distributed import Client, LocalCluster, get_worker, wait

from novelty_dask.errors import ClusterError, InputError, UnreachableError
from novelty_dask.execution.bags import make_bag
from novelty_dask.execution.clusters.connect import connect
from novelty_dask.execution.dask_executor import DaskExecutor
from novelty_dask.execution.executors import TASK_ATTEMPTS, Executor, Outcome, Perform, SerialExecutor
from novelty_dask.execution.names import task_name
from novelty_dask.execution.patience import Patience
from novelty_dask.objects.commits import Metrics
from tests.support.cluster import cluster_of, patience
from tests.support.forks import fork
from tests.support.processes import wait_until
from tests.support.servers import PAGE, answering

LOST = r"^The connection to the Dask scheduler was lost; start it again and go on\.$"
OTHER = (
    r"^Something that is no Dask scheduler answers in its place: .+; start the scheduler again and go on\.$"
)


class Task(NamedTuple):
    """A numbered item, and what the test has for it."""

    item: str
    argument: Any


def given(function: Callable[[Task], Any], arguments: Iterable[Any]) -> tuple[Perform, deque[str]]:
    """What performs the tasks of numbered items, each with an argument, and the items."""
    known = list(arguments)
    return partial(perform_with, function, known), deque(map(str, range(len(known))))


def perform_with(function: Callable[[Task], Any], arguments: Sequence[Any], item: str) -> Any:
    """Perform a task; items that were added have the last argument."""
    return function(Task(item, arguments[min(int(item), len(arguments) - 1)]))


def results(executor: Executor, function: Callable[[Task], Any], arguments: Iterable[Any]) -> list[Any]:
    """What tasks return that all succeed."""
    outcomes = list(executor.map("stage", *given(function, arguments)))
    assert [outcome.error for outcome in outcomes if outcome.error] == []
    assert len({outcome.item for outcome in outcomes}) == len(outcomes)
    return [outcome.metrics for outcome in outcomes]


def square(task: Task) -> int:
    return int(task.argument**2)


def square_of(number: int) -> int:
    return number**2


def odd_fail(task: Task) -> int:
    return int(task.argument**2) if task.argument % 2 == 0 else 1 // 0


def fail(task: Task) -> int:
    return refuse_seven(task.argument)


def refuse_seven(number: int) -> int:
    if number == 7:
        raise InputError("Seven is refused.")
    return number


def lack(task: Task) -> Metrics:
    with (task.argument / task.item).open("a") as file:
        file.write("tried\n")
    if task.item == "1":
        raise FileNotFoundError(2, "No such file or directory", "here")
    return {"tried": 1}


def try_thrice(task: Task) -> int:
    lack(Task("0", task.argument))
    n_tried = len((task.argument / "0").read_text().split())
    if n_tried < TASK_ATTEMPTS:
        raise ZeroDivisionError
    return n_tried


# What holds for both.


@pytest.mark.parametrize("n_items", [0, 1, 3, 300])
def test_each_task_gives_one_result(executor: Executor, n_items: int) -> None:
    assert sorted(results(executor, square, range(n_items))) == [i * i for i in range(n_items)]


def test_arguments_may_be_equal(executor: Executor) -> None:
    assert sorted(results(executor, square, [2, 2, 2, 3])) == [4, 4, 4, 9]


def test_tasks_may_be_added_while_others_run(executor: Executor) -> None:
    perform, ready = given(square, range(3))
    seen = []
    for outcome in executor.map("stage", perform, ready):
        seen.append(outcome.item)
        if len(outcome.item) == 1:
            ready.append(f"10{outcome.item}")
    assert sorted(seen) == ["0", "1", "100", "101", "102", "2"]


def test_a_bag_gives_its_partitions(executor: Executor) -> None:
    bag = db.from_sequence(range(10), partition_size=3).map(lambda number: number**2)
    assert sorted(executor.compute(bag)) == [[0, 1, 4], [9, 16, 25], [36, 49, 64], [81]]


def test_a_frame_is_shuffled(executor: Executor) -> None:
    frame = dd.from_pandas(pd.DataFrame({"key": list("dbacbd"), "value": range(6)}), npartitions=3)
    moved = frame.set_index("key", divisions=["a", "c", "e"])
    parts = sorted(sorted(part.value) for part in executor.compute(moved))
    assert parts == [[0, 3, 5], [1, 2, 4]]


def test_errors_raised_on_purpose_end_the_whole(executor: Executor) -> None:
    with pytest.raises(InputError, match=r"^Seven is refused\.$"):
        list(executor.map("stage", *given(fail, range(100))))
    with pytest.raises(InputError, match=r"^Seven is refused\.$"):
        list(executor.compute(db.from_sequence(range(10), partition_size=1).map(refuse_seven)))


def test_another_error_ends_its_task_after_some_attempts(executor: Executor, tmp_path: Path) -> None:
    outcomes = {outcome.item: outcome for outcome in executor.map("stage", *given(lack, [tmp_path] * 3))}
    error = outcomes.pop("1").error
    # Also one of the system is not taken for a lost scheduler.
    assert isinstance(error, FileNotFoundError)
    assert error.filename == "here"
    assert outcomes == {item: Outcome(item, {"tried": 1}) for item in ("0", "2")}
    tried = {path.name: len(path.read_text().split()) for path in tmp_path.iterdir()}
    assert tried == {"0": 1, "1": TASK_ATTEMPTS, "2": 1}


def test_a_task_may_succeed_at_the_last_attempt(executor: Executor, tmp_path: Path) -> None:
    [outcome] = executor.map("stage", *given(try_thrice, [tmp_path]))
    assert outcome == Outcome("0", TASK_ATTEMPTS, attempts=TASK_ATTEMPTS)  # type: ignore[arg-type]


def test_an_executor_goes_on_after_an_error(executor: Executor) -> None:
    with pytest.raises(InputError):
        list(executor.map("stage", *given(fail, range(100))))
    assert sorted(results(executor, fail, range(7))) == list(range(7))


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


def count_undone(_task: Task) -> int:
    """How many tasks the scheduler, which is in this process, has yet to do."""
    [scheduler] = SCHEDULERS
    return sum(task.state in UNDONE for task in list(scheduler.tasks.values()))


def test_the_window_is_as_large_as_the_threads_need(client: Client) -> None:
    """Two tasks a thread: one at work, and one that waits on its worker."""
    SCHEDULERS[:] = [cluster_of(client).scheduler]
    counts = results(DaskExecutor(client, "window"), count_undone, range(50))
    assert len(counts) == 50
    assert 2 <= max(counts) <= 2 * 2


def test_the_window_follows_workers_that_join(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a time without any, in which tasks wait for one."""
    threads = iter([0, 1])
    executor = DaskExecutor(client, "join")
    monkeypatch.setattr(executor.scheduler, "workers", lambda: {"tcp://one": next(threads, 40)})
    SCHEDULERS[:] = [cluster_of(client).scheduler]
    with patience(watch="1ms"):
        executor.scheduler.patience = Patience.read()
        counts = results(executor, count_undone, range(200))
    assert len(counts) == 200
    assert 20 <= max(counts) <= 80


def test_what_has_finished_is_asked_for_at_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results come by one question for many tasks; each error is its own task's."""
    executor = DaskExecutor(client, "together")
    asked: list[int] = []
    ask = executor.scheduler.results
    monkeypatch.setattr(executor.scheduler, "workers", lambda: {"tcp://many": 100})

    def count(futures: list[Any]) -> Any:
        asked.append(len(futures))
        return ask(futures)

    monkeypatch.setattr(executor.scheduler, "results", count)
    outcomes = [*executor.map("stage", *given(odd_fail, range(300)))]
    assert sorted(int(each.item) for each in outcomes if each.error) == [*range(1, 300, 2)]
    assert all(isinstance(each.error, ZeroDivisionError) for each in outcomes if each.error)
    squares = {cast("int", each.metrics) for each in outcomes if not each.error}
    assert squares == {n * n for n in range(0, 300, 2)}
    assert max(asked) <= 64
    # Half of the tasks give a result, the others are tried again.
    assert sum(asked) == 150
    assert len(asked) < 50


def test_a_lost_result_is_computed_again(client: Client) -> None:
    """A question for many results says nothing if one is lost; then each is asked for alone."""
    scheduler = DaskExecutor(client, "lost").scheduler
    futures: list[Any] = client.map(square_of, range(3), pure=False)
    wait(futures)
    assert list(scheduler.results(futures).values()) == [0, 1, 4]
    failed = client.submit(lambda: 1 / 0, pure=False)
    wait([failed])
    assert scheduler.results([*futures, failed]) == {}
    assert [scheduler.result(future) for future in futures] == [0, 1, 4]
    # Its error refers to it: it would be known until the next collection of garbage.
    failed.release()


def test_nothing_stays_on_the_scheduler(client: Client) -> None:
    executor = DaskExecutor(client, "rest")
    scheduler = cluster_of(client).scheduler
    # Futures of other tests, whose errors may still hold them.
    others = {*scheduler.tasks}
    results(executor, square, range(100))
    with pytest.raises(InputError):
        list(executor.map("stage", *given(fail, range(100))))
    wait_until(lambda: not {*scheduler.tasks} - others, 20)


def fail_or_linger(task: Task) -> None:
    """Work until one is let go, and then leave a file; or fail, when the other is at work."""
    folder, fails = task.argument
    if fails:
        wait_until((folder / "begun").exists)
        raise InputError("Refused.")
    (folder / "begun").touch()
    wait_until((folder / "go").exists)
    (folder / "late").touch()


def check_settled(executor: DaskExecutor, folder: Path) -> None:
    """Check that settling waits for the one task at work, and for nothing after it."""
    assert not (folder / "late").exists()
    with ThreadPoolExecutor(1) as pool:
        settling = pool.submit(executor.settle)
        with pytest.raises(TimeoutError):
            settling.result(0.3)
        (folder / "go").touch()
        settling.result(200)
    assert (folder / "late").exists()
    began = time.monotonic()
    executor.settle()
    # As long as it would wait for a task at work.
    assert time.monotonic() - began < executor.scheduler.patience.settle / 4


def test_a_settled_executor_has_nothing_at_work(client: Client, tmp_path: Path) -> None:
    executor = DaskExecutor(client, "settle")
    with pytest.raises(InputError):
        list(executor.map("stage", *given(fail_or_linger, [(tmp_path, False), (tmp_path, True)])))
    check_settled(executor, tmp_path)


def test_a_settled_executor_has_no_partition_at_work_that_was_fused(client: Client, tmp_path: Path) -> None:
    executor = DaskExecutor(client, "settle")
    bag = make_bag(
        [(tmp_path, False), (tmp_path, True)], lambda parts: [*map(fail_or_linger, map(Task, "-", parts))]
    )
    with pytest.raises(InputError):
        list(executor.compute(bag))
    check_settled(executor, tmp_path)


def own_key(_task: Task) -> str:
    return str(get_worker().get_current_task())


def test_keys_name_stage_and_item_and_differ_between_runs(client: Client) -> None:
    keys: list[Any] = [
        outcome.metrics
        for token in ("a", "b")
        for outcome in DaskExecutor(client, token).map("weigh", *given(own_key, range(5)))
    ]
    name = task_name("weigh")
    assert sorted(keys) == [f"{name}-{token}-{item}-1" for token in ("a", "b") for item in range(5)]


def test_runs_on_one_scheduler_do_not_meet(client: Client) -> None:
    first = DaskExecutor(client, "a").map("stage", *given(square, range(100)))
    second = DaskExecutor(client, "b").map("stage", *given(fail, range(8, 108)))
    pairs: list[tuple[Any, Any]] = [
        (one.metrics, other.metrics) for one, other in zip(first, second, strict=True)
    ]
    assert sorted(one for one, _ in pairs) == [i * i for i in range(100)]
    assert sorted(other for _, other in pairs) == list(range(8, 108))


def die(task: Task) -> int:
    with Path(task.argument, task.item).open("a") as file:
        file.write("tried\n")
    if task.item == "3":
        os._exit(1)
    return 0


@contextmanager
def one_worker(folder: Path, allowed_failures: int) -> Iterator[DaskExecutor]:
    """An executor on one worker process, which is started again when it dies."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": allowed_failures}),
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            local_directory=folder,
            silence_logs="CRITICAL",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield DaskExecutor(client, "token")


@pytest.mark.long
def test_a_task_that_kills_its_workers_is_given_up_and_the_others_are_done(
    tmp_path: Path,
) -> None:
    """So many workers die in it as the scheduler allows, and one, and one when it is alone."""
    (tmp_path / "tried").mkdir()
    with patience(watch="0.5s", workerless="5 minutes"), one_worker(tmp_path, allowed_failures=1) as executor:
        outcomes = list(executor.map("stage", *given(die, [tmp_path / "tried"] * 6)))
    assert sorted(outcome.item for outcome in outcomes if outcome.error is None) == list("01245")
    [given_up] = [outcome for outcome in outcomes if outcome.error]
    assert given_up.item == "3"
    assert isinstance(given_up.error, ClusterError)
    assert str(given_up.error) == (
        "3 workers died in it, most likely for lack of memory; lower --block-rows or raise --memory-limit"
    )
    assert len((tmp_path / "tried" / "3").read_text().split()) == 3


def die_once(number: int, folder: Path) -> int:
    with (folder / "tried").open("a") as file:
        file.write("tried\n")
    if len((folder / "tried").read_text().split()) == 1:
        os._exit(1)
    return number


def die_in_frame(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    if len(frame):  # None are computed to see what comes out.
        die_once(0, folder)
    return frame


@pytest.mark.long
def test_partitions_in_which_workers_died_are_computed_once_more(tmp_path: Path) -> None:
    """Those of a bag, and those of a frame that is shuffled."""
    with one_worker(tmp_path, allowed_failures=0) as executor:
        bag = db.from_sequence(range(3), partition_size=1).map(die_once, folder=tmp_path)
        assert sorted(executor.compute(bag)) == [[0], [1], [2]]
        (tmp_path / "tried").unlink()
        frame = dd.from_pandas(pd.DataFrame({"key": list("dbacbd"), "value": range(6)}), npartitions=3)
        dying = frame.map_partitions(die_in_frame, folder=tmp_path, meta=frame._meta)
        moved = dying.set_index("key", divisions=["a", "c", "e"])
        parts = sorted(sorted(part.value) for part in executor.compute(moved))
        assert parts == [[0, 3, 5], [1, 2, 4]]


def test_a_wait_without_workers_ends() -> None:
    with (
        patience(watch="0.2s", workerless="1s"),
        LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
        pytest.raises(ClusterError, match=r"^There has been no worker for 1 s; start some and go on\.$"),
    ):
        list(DaskExecutor(client, "token").map("stage", *given(square, range(3))))


def test_a_collection_without_workers_ends() -> None:
    with (
        dask.config.set({"distributed.scheduler.no-workers-timeout": "1s"}),
        LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
        pytest.raises(ClusterError, match=r"^There has been no worker for 1 s; start some and go on\.$"),
    ):
        list(DaskExecutor(client, "token").compute(db.from_sequence(range(3))))


def serve(module: str, *arguments: str) -> None:
    """Be a process of Dask's command line, in a session of its own."""
    os.setsid()
    import_module(module).main(list(arguments), standalone_mode=False)


@contextmanager
def process(module: str, *arguments: object) -> Iterator[ForkServerProcess]:
    """A process of Dask, killed at the end."""
    started = fork(
        serve, f"distributed.cli.{module}", "--host", "127.0.0.1", "--no-dashboard", *map(str, arguments)
    )
    try:
        yield started
    finally:
        started.kill()
        started.join()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[ForkServerProcess, str]]:
    """A scheduler elsewhere, with one worker, and its address."""
    file = tmp_path / "scheduler.json"
    with process("dask_scheduler", "--port", "0", "--scheduler-file", file) as started:
        wait_until(lambda: file.exists() and file.read_text(encoding="utf-8"), process=started)
        address = json.loads(file.read_text(encoding="utf-8"))["address"]
        with process("dask_worker", address, "--nthreads", "1", "--no-nanny"):
            yield started, address


def slow(_: object) -> int:
    time.sleep(0.01)
    return 0


def lose_in_map(executor: DaskExecutor, kill: Callable[[], None]) -> None:
    for count, _ in enumerate(executor.map("stage", *given(slow, range(1_000)))):
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
    list(executor.map("stage", *given(slow, range(10))))


@pytest.mark.sampled
@pytest.mark.parametrize("lose", [lose_in_map, lose_in_compute, lose_before_usage, lose_before_map])
def test_a_lost_scheduler_ends_the_wait(
    elsewhere: tuple[ForkServerProcess, str], lose: Callable[..., None]
) -> None:
    process, address = elsewhere

    def kill() -> None:
        process.kill()
        process.join()

    with Client(address, timeout=10) as client:
        client.wait_for_workers(1, timeout=200)
        began = time.monotonic()
        with pytest.raises(ClusterError, match=LOST):
            lose(DaskExecutor(client, "token"), kill)
        assert time.monotonic() - began < 200


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("lose", "answer"),
    [
        (lose_in_map, PAGE),
        (lose_in_compute, bytes(1_000)),
        (lose_before_usage, PAGE),
        (lose_before_map, b""),
    ],
)
def test_another_server_in_place_of_the_scheduler_ends_the_wait(
    elsewhere: tuple[ForkServerProcess, str], lose: Callable[..., None], answer: bytes
) -> None:
    process, address = elsewhere
    # Who answers at all does so at once; only for one who is silent anybody waits.
    soon = patience(connect="5s", answer="30s" if answer else "2s", watch="0.5s")
    with soon, connect(address) as client, ExitStack() as opened:
        client.wait_for_workers(1, timeout=200)
        executor = DaskExecutor(client, "token")

        def replace() -> None:
            process.kill()
            process.join()
            opened.enter_context(answering(answer, address))

        with pytest.raises(ClusterError):
            lose(executor, replace)
        with pytest.raises(ClusterError, match=OTHER if answer == PAGE else None):
            executor.usage()
        executor.settle()


@pytest.mark.parametrize("n_failures", [TASK_ATTEMPTS - 1, TASK_ATTEMPTS])
def test_a_store_that_is_back_goes_on_and_one_that_stays_away_ends_all(
    executor: Executor, tmp_path: Path, n_failures: int
) -> None:
    perform = partial(fail_at_first, tmp_path, n_failures)
    outcomes = executor.map("compare", perform, deque(["a"]))
    if n_failures < TASK_ATTEMPTS:
        assert [outcome.error for outcome in outcomes] == [None]
    else:
        with pytest.raises(UnreachableError, match="away"):
            list(outcomes)


def fail_at_first(folder: Path, n_failures: int, _item: str) -> dict[str, Any]:
    """Not reach a store, so many times."""
    n_calls = len(list(folder.iterdir()))
    (folder / str(n_calls)).touch()
    if n_calls < n_failures:
        message = "The store is away."
        raise UnreachableError(message)
    return {}
