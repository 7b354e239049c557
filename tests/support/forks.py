"""Clients as forks of one process that has all imported: each begins within milliseconds."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import novelty_dask
from tests.support import spy
from tests.support.processes import kill, wait_until
from tests.support.record import SETTINGS, WORK, Record, begun

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["distributed", "tests.support.forks", "tests.support.disk", "tests.support.preload"]
)


def fork(work: Callable[..., Any], *arguments: object, **keywords: object) -> ForkServerProcess:
    """Start a process that does some work; it leaves with 0, or with 1 and the error on standard error."""
    process = _CONTEXT.Process(target=work, args=arguments, kwargs=keywords)
    process.start()
    return process


def finish(process: ForkServerProcess, seconds: float = 120) -> int:
    """Wait for a process; its exit code, negative for a signal."""
    process.join(seconds)
    assert process.exitcode is not None, "it goes on and on"
    return process.exitcode


def watched_score(record: Path, corpus: Path, out: Path, **settings: Any) -> None:
    """Score in this process, every task written down."""
    os.environ[spy.FOLDER] = str(record)
    spy.install()
    novelty_dask.score(corpus, out, workers=0, **{**SETTINGS, **WORK, **settings})


def kill_at(record: Record, corpus: Path, out: Path, stage: str, number: int) -> None:
    """Score in a process, and kill it as it begins so many tasks of a stage."""
    mark = record.mark()
    process = fork(watched_score, record.folder, corpus, out)
    wait_until(lambda: begun(record, stage, mark) >= number, process=process)
    assert process.pid
    kill(process.pid)
    assert finish(process) == -signal.SIGKILL
