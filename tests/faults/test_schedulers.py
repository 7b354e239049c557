"""A scheduler that is killed or frozen, one without workers, and workers that are not fit for a run."""

import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dask.bag as db
import pytest

import novelty_dask
from novelty_dask.errors import ClusterError
from novelty_dask.events import Event, StageStarted, TaskDone
from novelty_dask.execution.clusters.connect import connect
from novelty_dask.execution.patience import Patience
from tests.support.cluster import Cluster, hiding, patience
from tests.support.content import Content, content_and_exports
from tests.support.files import ROOT
from tests.support.fixtures import Measured
from tests.support.listeners import Recorder
from tests.support.processes import kill, wait_until
from tests.support.record import FLAGS, SETTINGS, SPIED, WORK, Record, commits, ended_by, has_begun
from tests.support.servers import PAGE, answering

ANSWER = "DASK_NOVELTY_DASK__PATIENCE__ANSWER"
pytestmark = pytest.mark.usefixtures("many_tasks")


@pytest.mark.parametrize("stage", [pytest.param("vectorize", marks=pytest.mark.long), "compare"])
def test_a_killed_scheduler_ends_the_command(
    cluster: Cluster,
    record: Record,
    corpus: Path,
    undisturbed: Content,
    tmp_path: Path,
    stage: str,
    measured: Measured,
) -> None:
    """Soon, with the command to go on; which does so on another cluster."""
    out = tmp_path / "run.zarr"
    record.ask(**{stage: ["sleep", 0.1]})
    with Cluster(tmp_path / "lost", record) as lost:
        worker = lost.add_worker()
        command = [*SPIED, "score", corpus, "-o", out, *FLAGS, "--scheduler", lost.address]
        code, stderr, seconds = ended_by(lambda _pid: kill(lost.scheduler.pid), command, record, stage)
        assert code == 3, stderr
        assert seconds < 60
        last = stderr.splitlines()[-1]
        assert re.match(r"^Error: .*scheduler.*", last)
        assert f"`novelty resume {out}` goes on." in last
        assert "Traceback" not in stderr
        # Workers whose scheduler is gone end.
        worker.wait(200)
    assert novelty_dask.status(out).state == "stopped"
    assert not novelty_dask.verify(out).damages
    ended = {event.task for event in record.events() if event.what == "end"}
    done = commits(out)
    assert {task for task in done if task.startswith(stage)} <= ended
    cluster.scale(1)
    mark = cluster.record.mark()
    novelty_dask.resume(out, scheduler=cluster.address)
    assert not done & set(cluster.record.attempts(since=mark))
    assert content_and_exports(out) == undisturbed
    measured("seconds", round(seconds, 1))


@pytest.mark.long
def test_something_else_in_place_of_the_scheduler_ends_the_command(
    record: Record, corpus: Path, tmp_path: Path, measured: Measured
) -> None:
    """As where a proxy answers for a network that is cut off; Dask takes its answer for a length in bytes."""
    out = tmp_path / "run.zarr"
    record.ask(compare=["sleep", 0.1])
    with Cluster(tmp_path / "lost", record) as lost, ExitStack() as opened:
        lost.add_worker()

        def replace(_pid: int) -> None:
            kill(lost.scheduler.pid)
            lost.scheduler.wait()
            opened.enter_context(answering(PAGE, lost.address))

        command = [*SPIED, "score", corpus, "-o", out, *FLAGS, "--scheduler", lost.address]
        code, stderr, seconds = ended_by(replace, command, record)
    measured("seconds", round(seconds, 1))
    assert code == 3, stderr
    assert stderr.splitlines()[-1].endswith(f" `novelty resume {out}` goes on.")
    assert "Traceback" not in stderr
    assert novelty_dask.status(out).state == "stopped"


@contextmanager
def frozen(cluster: Cluster) -> Iterator[Callable[[], None]]:
    """Call to stop the scheduler of a cluster, until the block ends."""
    try:
        yield lambda: kill(cluster.scheduler.pid, signal.SIGSTOP)
    finally:
        kill(cluster.scheduler.pid, signal.SIGCONT)


# The command waits for half a minute by default: that is tried in the long lane.
@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.long)])
def test_a_frozen_scheduler_ends_the_command(
    cluster: Cluster,
    corpus: Path,
    undisturbed: Content,
    tmp_path: Path,
    measured: Measured,
    seconds: int,
) -> None:
    """By itself, and soon when it is stopped; the thawed cluster goes on."""
    out = tmp_path / "run.zarr"
    cluster.record.ask(compare=["sleep", 0.1])
    command = [*SPIED, "score", corpus, "-o", out, *FLAGS, "--scheduler", cluster.address]
    environment = {} if seconds == Patience().answer else {ANSWER: f"{seconds}s"}

    def freeze_and(stop: Callable[[int], None]) -> tuple[int, str, float]:
        """Freeze the scheduler while tiles run; exit code, last line, and how long it took."""
        cluster.scale(1)
        with frozen(cluster) as freeze:

            def fault(pid: int) -> None:
                freeze()
                stop(pid)

            code, stderr, took = ended_by(fault, command, cluster.record, environment=environment)
        assert "Traceback" not in stderr
        assert not novelty_dask.verify(out).damages
        return code, stderr.splitlines()[-1], took

    code, last, took = freeze_and(lambda _pid: None)
    measured("seconds", round(took, 1))
    assert (code, last) == (
        3,
        f"Error: The Dask scheduler has not answered for {seconds} s, so it is frozen or cut off; restart it "
        f"and go on. `novelty resume {out}` goes on.",
    )
    done, mark = commits(out), cluster.record.mark()
    code, last, took = freeze_and(lambda pid: kill(pid, signal.SIGINT))
    measured("seconds after SIGINT", round(took, 1))
    assert (code, last) == (130, f"Stopped; `novelty resume {out}` goes on.")
    assert took < 10
    cluster.record.ask()
    cluster.scale(1)
    novelty_dask.resume(out, scheduler=cluster.address)
    assert not done & set(cluster.record.attempts(since=mark))
    assert content_and_exports(out) == undisturbed


class Freezing:
    """Freezes a scheduler when a stage begins, or when the first task of it is done."""

    def __init__(self, when: tuple[str, str], freeze: Callable[[], None]) -> None:
        self.when = when
        self.freeze = freeze

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageStarted) and self.when == (event.stage, "begins"):
            self.freeze()
        if isinstance(event, TaskDone) and self.when == (event.stage, "advances"):
            self.freeze()


FREEZES = [("ingest", "begins"), ("ingest", "advances"), ("sort", "advances"), ("weigh", "begins")]


@pytest.mark.long
def test_a_scheduler_may_freeze_at_any_time(
    cluster: Cluster,
    corpus: Path,
    undisturbed: Content,
    tmp_path: Path,
) -> None:
    """Between stages, when workers are asked; in a collection, in a shuffle, in the tasks of a stage."""
    cluster.record.ask(ingest=["sleep", 0.2], sort=["sleep", 0.2])
    out = tmp_path / "run.zarr"
    for when in FREEZES:
        cluster.scale(1)
        began = time.monotonic()
        with frozen(cluster) as freeze, patience(watch="0.5s", answer="3s"):
            listener = Freezing(when, freeze)
            with pytest.raises(ClusterError, match=r"^The Dask scheduler has not answered for 3 s, so"):
                novelty_dask.score(
                    corpus, out, scheduler=cluster.address, listener=listener, **SETTINGS, **WORK
                )
        assert time.monotonic() - began < 100
        assert not novelty_dask.verify(out).damages
    cluster.record.ask()
    cluster.scale(1)
    novelty_dask.score(corpus, out, scheduler=cluster.address, **SETTINGS, **WORK)
    assert content_and_exports(out) == undisturbed


def test_a_scheduler_that_is_frozen_from_the_start_is_told(
    cluster: Cluster, corpus: Path, tmp_path: Path
) -> None:
    """Before a client connects, and after."""
    cluster.scale(0)
    out = tmp_path / "run.zarr"
    soon = patience(connect="2s", answer="2s")
    with soon, connect(cluster.address) as client, frozen(cluster) as freeze:
        freeze()
        with pytest.raises(ClusterError, match=r"^Can't reach a Dask scheduler at "):
            novelty_dask.score(corpus, out, scheduler=cluster.address, **SETTINGS, **WORK)
        assert not out.exists()
        with pytest.raises(ClusterError, match=r"^The Dask scheduler has not answered for 2 s, so"):
            novelty_dask.score(corpus, out, client=client, **SETTINGS, **WORK)


def test_a_scheduler_that_freezes_while_a_collection_is_copied_is_told(
    cluster: Cluster, corpus: Path, tmp_path: Path
) -> None:
    """Which happens before the first stage."""
    cluster.scale(1)
    began, out = tmp_path / "began", tmp_path / "run.zarr"

    def wait(url: str) -> str:
        began.touch()
        time.sleep(0.2)
        return url

    urls = db.from_sequence((corpus / "0.txt").read_text(encoding="utf-8").splitlines()[:100], npartitions=2)
    soon = patience(watch="0.5s", answer="3s", settled="1s")
    with ThreadPoolExecutor(1) as pool, soon, connect(cluster.address) as client, frozen(cluster) as freeze:
        running = pool.submit(novelty_dask.score, urls=urls.map(wait), out=out, client=client, **SETTINGS)
        wait_until(began.exists)
        freeze()
        with pytest.raises(ClusterError, match=r"^The Dask scheduler has not answered for 3 s, so"):
            running.result(60)
    assert not out.exists()


def test_no_worker_at_all_is_told(cluster: Cluster, corpus: Path, tmp_path: Path) -> None:
    cluster.scale(0)
    soon = patience(connect="2s")
    with soon, pytest.raises(ClusterError, match=r"^No worker joined the scheduler within 2 s; start some"):
        novelty_dask.score(corpus, tmp_path / "run.zarr", scheduler=cluster.address, **SETTINGS, **WORK)


@pytest.mark.long
def test_no_worker_any_more_is_told(
    cluster: Cluster,
    corpus: Path,
    undisturbed: Content,
    tmp_path: Path,
) -> None:
    cluster.scale(1)
    out = tmp_path / "run.zarr"
    cluster.record.ask(compare=["sleep", 0.1])
    with patience(watch="0.5s", workerless="3s"), ThreadPoolExecutor(1) as pool:
        running = pool.submit(novelty_dask.score, corpus, out, scheduler=cluster.address, **SETTINGS, **WORK)
        wait_until(lambda: any(task.startswith("compare") for task in commits(out)))
        cluster.scale(0)
        with pytest.raises(
            ClusterError, match=r"^There has been no worker for \d+ s; start some and go on\.$"
        ):
            running.result(60)
    cluster.record.ask()
    cluster.scale(1)
    novelty_dask.resume(out, scheduler=cluster.address)
    assert content_and_exports(out) == undisturbed


@pytest.fixture
def other_version(tmp_path: Path) -> dict[str, str]:
    """The environment of a worker of another version."""
    other = tmp_path / "other"
    shutil.copytree(
        ROOT / "novelty_dask", other / "novelty_dask", ignore=shutil.ignore_patterns("__pycache__")
    )
    (other / "novelty_dask-0.0.9.dist-info").mkdir()
    (other / "novelty_dask-0.0.9.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: novelty-dask\nVersion: 0.0.9\n", encoding="utf-8"
    )
    return {"PYTHONPATH": str(other), "DASK_DISTRIBUTED__WORKER__PRELOAD": "[]"}


def test_a_worker_of_another_version_is_refused(
    cluster: Cluster, corpus: Path, tmp_path: Path, other_version: dict[str, str]
) -> None:
    cluster.scale(0)
    out = tmp_path / "run.zarr"
    cluster.add_worker(environment=other_version)
    cluster.scale(1)
    with pytest.raises(
        ClusterError,
        match=r"^Worker tcp://\S+ has novelty-dask 0\.0\.9 and not .*; install the same versions",
    ):
        novelty_dask.score(corpus, out, scheduler=cluster.address, **SETTINGS, **WORK)
    assert commits(out) == set()
    cluster.scale(0)


@pytest.mark.long
def test_late_workers_that_are_not_fit_are_ended(
    cluster: Cluster, corpus: Path, undisturbed: Content, tmp_path: Path, other_version: dict[str, str]
) -> None:
    """They get no task; a late worker that is fit does."""
    cluster.scale(1)
    out, listener = tmp_path / "run.zarr", Recorder()
    without = tmp_path / "without.py"
    without.write_text("import sys\nsys.modules['novelty_dask'] = None\n", encoding="utf-8")
    nothing = {"DASK_DISTRIBUTED__WORKER__PRELOAD": f"['{without}']"}
    mark = cluster.record.mark()
    cluster.record.ask(compare=["sleep", 2])
    with patience(watch="0.5s"), ThreadPoolExecutor(1) as pool:
        more: dict[str, Any] = {"scheduler": cluster.address, "listener": listener, **SETTINGS, **WORK}
        running = pool.submit(novelty_dask.score, corpus, out, **more)
        wait_until(lambda: has_begun(cluster.record, "compare", mark, 1))
        late = [cluster.add_worker(environment=other_version)]
        late += [cluster.add_worker(environment=nothing, nanny=False)]
        # The nanny of the first ends with it.
        assert [worker.wait(100) for worker in late] == [0, 0]
        cluster.scale(2)
        wait_until(lambda: len({event.pid for event in cluster.record.events(mark)}) == 2)
        cluster.record.ask()
        running.result(100)
    joined = r"^Worker tcp://\S+ has joined and was ended, as it "
    assert len(matching(listener.notes, joined + r"has novelty-dask 0\.0\.9 and not \S+; install")) == 1
    assert len(matching(listener.notes, joined + "can't import this version of novelty_dask; install")) == 1
    # All that was committed was done by processes that write it down.
    done = {event.task for event in cluster.record.events(mark) if event.what == "end"}
    assert commits(out) <= done
    assert content_and_exports(out) == undisturbed


def matching(lines: list[str], pattern: str) -> list[str]:
    """The lines that match a pattern."""
    return [line for line in lines if re.match(pattern, line)]


def test_a_scheduler_without_the_package_is_refused(record: Record, corpus: Path, tmp_path: Path) -> None:
    """As where Dask alone is installed for it: it could not read one task."""
    out, without = tmp_path / "run.zarr", tmp_path / "without.py"
    without.write_text("import sys\nsys.modules['novelty_dask'] = None\n", encoding="utf-8")
    preload = ("--preload", str(without))
    with Cluster(tmp_path / "cluster", record, scheduler=preload) as alone:
        alone.add_worker()
        for begin in (novelty_dask.score, novelty_dask.submit):
            with pytest.raises(
                ClusterError, match=r"^The scheduler has no novelty_dask and not \S+; install"
            ):
                begin(corpus, out, scheduler=alone.address, **SETTINGS)
    assert commits(out) == set()


def test_a_worker_that_does_not_see_the_run_is_refused(
    cluster: Cluster, corpus: Path, tmp_path: Path
) -> None:
    """As on a host where another disk has the name."""
    hidden = tmp_path / "shared"
    hidden.mkdir()
    elsewhere = hiding(hidden)
    cluster.scale(0)
    cluster.add_worker(prefix=elsewhere)
    cluster.scale(1)
    out = hidden / "run.zarr"
    with pytest.raises(
        ClusterError, match=rf"^Worker tcp://\S+ does not see '{re.escape(str(out))}'; put the run where all"
    ):
        novelty_dask.score(corpus, out, scheduler=cluster.address, **SETTINGS, **WORK)
    assert commits(out) == set()
    cluster.scale(0)
