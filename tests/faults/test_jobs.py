"""Jobs: whoever submits one leaves, and drivers, workers and schedulers are killed with nobody there."""

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.errors import JobError
from tests.support.cluster import Cluster, hiding
from tests.support.content import Content, content_and_exports
from tests.support.jobs import (
    PRELOAD,
    SOONER,
    driver_pid,
    driver_tasks,
    kill_driver,
    python,
    staff,
    status_of,
    submitted,
    wait_over,
)
from tests.support.processes import COMMAND, end_session, wait_until
from tests.support.record import Record, commits

SUBMIT_AND_DIE = """
import os, signal, sys, novelty_dask
corpus, out, address = sys.argv[1:]
job = novelty_dask.submit(corpus, out, client=address, n_features=2**14, n_neighbors=5, block_rows=64)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def jobs_cluster(tmp_path: Path, record: Record) -> Iterator[Cluster]:
    """A cluster with the preload, and two workers."""
    notes = {"NOVELTY_JOBS": str(tmp_path / "notes")}
    with Cluster(tmp_path / "cluster", record, scheduler=PRELOAD, environment={**SOONER, **notes}) as cluster:
        staff(cluster, 2)
        yield cluster


def no_committed_task_was_repeated(record: Record) -> None:
    """Assert that a task that has ended once, and was committed by that, never begins again."""
    n_ended: Counter[str] = Counter()
    for event in record.events():
        if event.what == "end":
            n_ended[event.task] += 1
    # A kill between the end of a task and its commit costs one attempt.
    assert sum(n - 1 for n in n_ended.values()) <= 4


def test_whoever_submits_may_be_killed_at_once(
    jobs_cluster: Cluster, record: Record, corpus: Path, undisturbed: Content, tmp_path: Path
) -> None:
    out = tmp_path / "run.zarr"
    client = python(SUBMIT_AND_DIE, jobs_cluster, corpus, out, jobs_cluster.address)
    try:
        assert client.wait(300) == -signal.SIGKILL
    finally:
        end_session(client.pid)
    assert wait_over(out).state == "complete"
    assert content_and_exports(out) == undisturbed
    assert status_of(out).deaths == 0
    no_committed_task_was_repeated(record)
    wait_until(lambda: not [*(tmp_path / "notes").iterdir()])


def has_a_new_driver(out: Path, killed: set[int], before: set[str]) -> bool:
    """Return whether a run has a driver that was not killed, and commits that it had not."""
    return driver_pid(out) not in {0, *killed} and bool(commits(out) - before)


def test_the_worker_of_the_driver_is_killed_again_and_again(
    jobs_cluster: Cluster, record: Record, corpus: Path, undisturbed: Content, tmp_path: Path
) -> None:
    """Oftener than Dask forgives a task."""
    out = tmp_path / "run.zarr"
    record.ask(compare=["sleep", 0.3])
    submitted(jobs_cluster, corpus, out)
    killed: set[int] = set()
    for _ in range(3):
        # After some new commits: a driver that brings none is not started for ever.
        wait_until(partial(has_a_new_driver, out, killed, commits(out)))
        killed.add(kill_driver(jobs_cluster, out, killed))
        staff(jobs_cluster, 2)
    record.ask()
    assert wait_over(out).state == "complete"
    # Where the scheduler took long to take a driver, its worker may have had two.
    assert status_of(out).deaths in (3, 4)
    assert content_and_exports(out) == undisturbed
    no_committed_task_was_repeated(record)


def test_scheduler_and_workers_are_killed_and_nobody_is_there(
    record: Record, corpus: Path, undisturbed: Content, tmp_path: Path
) -> None:
    """Nobody but what starts a scheduler and workers again."""
    out = tmp_path / "run.zarr"
    notes = {"NOVELTY_JOBS": str(tmp_path / "notes")}
    record.ask(compare=["sleep", 0.3])
    with Cluster(tmp_path / "first", record, scheduler=PRELOAD, environment={**SOONER, **notes}) as first:
        staff(first, 2)
        submitted(first, corpus, out)
        wait_until(lambda: len([task for task in commits(out) if task.startswith("compare")]) > 3)
        for process in (first.scheduler, *first.workers):
            end_session(process.pid)
    done = commits(out)
    assert not status_of(out).is_over
    record.ask()
    mark = record.mark()
    with Cluster(tmp_path / "second", record, scheduler=PRELOAD, environment={**SOONER, **notes}) as second:
        staff(second, 2)
        assert wait_over(out).state == "complete"
    assert content_and_exports(out) == undisturbed
    assert not done & set(record.attempts(since=mark))


def test_a_job_is_cancelled_before_while_and_after(
    jobs_cluster: Cluster, record: Record, corpus: Path, undisturbed: Content, tmp_path: Path
) -> None:
    out = tmp_path / "run.zarr"
    record.ask(compare=["sleep", 0.3])
    # Before any driver has begun: with nobody to drive.
    submitted(jobs_cluster, corpus, out)
    novelty_dask.Job(out).cancel()
    assert wait_over(out).state == "cancelled"
    with pytest.raises(JobError, match="ended as cancelled"):
        novelty_dask.Job(out).wait()
    # While tiles are compared, by the command, from a process that knows no scheduler.
    wait_until(lambda: not driver_tasks(jobs_cluster))
    submitted(jobs_cluster, corpus, out)
    assert status_of(out).number == 2
    wait_until(lambda: any(task.startswith("compare") for task in commits(out)))
    subprocess.run([*COMMAND, "cancel", str(out)], check=True, timeout=120)
    assert wait_over(out, 60).state == "cancelled"
    wait_until(lambda: novelty_dask.status(out).owner is None)
    done = commits(out)
    time.sleep(2)
    assert commits(out) == done
    # The third goes on, and is cancelled when it is over.
    record.ask()
    mark = record.mark()
    submitted(jobs_cluster, corpus, out)
    assert wait_over(out).state == "complete"
    novelty_dask.Job(out).cancel()
    assert status_of(out).state == "complete"
    assert not done & set(record.attempts(since=mark))
    assert content_and_exports(out) == undisturbed


@pytest.mark.long
def test_two_supervisors_cost_time_and_no_bytes(
    jobs_cluster: Cluster, record: Record, corpus: Path, undisturbed: Content, tmp_path: Path
) -> None:
    """Of two schedulers: the driver of one waits for that of the other, and succeeds it when it is killed."""
    out = tmp_path / "run.zarr"
    record.ask(compare=["sleep", 0.3])
    with Cluster(tmp_path / "other", record, scheduler=PRELOAD, environment=SOONER) as other:
        staff(other, 1)
        submitted(jobs_cluster, corpus, out)
        wait_until(lambda: driver_pid(out))
        submitted(other, corpus, out)
        assert status_of(out).number == 1
        wait_until(lambda: driver_tasks(other))
        wait_until(lambda: any(task.startswith("compare") for task in commits(out)))
        assert status_of(out).starts == 1
        for process in (jobs_cluster.scheduler, *jobs_cluster.workers):
            end_session(process.pid)
        record.ask()
        assert wait_over(out).state == "complete"
    assert status_of(out).starts == 2
    assert content_and_exports(out) == undisturbed
    no_committed_task_was_repeated(record)


@pytest.mark.long
def test_a_scheduler_that_can_not_supervise_drives_all_the_same(
    record: Record, corpus: Path, undisturbed: Content, tmp_path: Path
) -> None:
    out = tmp_path / "shared" / "run.zarr"
    out.parent.mkdir()
    record.ask(compare=["sleep", 0.3])
    # As on a host without the disk of the workers.
    hidden = hiding(out.parent)
    with Cluster(tmp_path / "cluster", record, prefix=hidden, environment=SOONER) as cluster:
        staff(cluster, 2)
        said = submitted(cluster, corpus, out).stderr
        assert "the driver survives 1 death of its workers" in said
        wait_until(lambda: driver_pid(out) and any(task.startswith("compare") for task in commits(out)))
        kill_driver(cluster, out, set())
        record.ask()
        assert wait_over(out).state == "complete"
    assert status_of(out).deaths == 1
    assert content_and_exports(out) == undisturbed
