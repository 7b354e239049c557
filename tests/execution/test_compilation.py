"""A run tells its listener once that kernels are compiled, wherever they are."""

import threading
from collections import deque

import pytest
from distributed import Client

from novelty_dask.events import CompilationStarted, Event
from novelty_dask.execution.clusters.connect import client_executor
from novelty_dask.execution.compilation import (
    compilation_here,
    compilation_on_workers,
    report_compilation,
)
from novelty_dask.kernels import accelerate

EVENT = CompilationStarted("/cache")


@pytest.fixture(autouse=True)
def _announcements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerate, "_compilation", lambda: EVENT)


def compile_something(_item: str) -> dict[str, int]:
    """Do what a task does whose worker finds nothing compiled."""
    report_compilation()
    accelerate.announce()
    accelerate.announce()
    return {}


def test_this_process_tells_once_and_only_while_it_is_asked() -> None:
    events: list[Event] = []
    accelerate.announce()
    with compilation_here(events.append):
        accelerate.announce()
        accelerate.announce()
    accelerate.announce()
    assert events == [EVENT]


def test_workers_tell_once_in_the_thread_that_waits(client: Client) -> None:
    events: list[tuple[Event, int]] = []
    executor = client_executor(client)
    with compilation_on_workers(
        executor.scheduler, lambda event: events.append((event, threading.get_ident()))
    ):
        outcomes = [*executor.map("compare", compile_something, deque("abc"))]
        assert [outcome.error for outcome in outcomes] == [None] * 3
        for _ in executor.scheduler.waits():
            if events:
                break
    assert events == [(EVENT, threading.get_ident())]


def test_a_process_that_is_no_worker_reports_to_nobody() -> None:
    assert compile_something("a") == {}


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (EVENT, "Compiling, once: later runs load the compiled code from '/cache'."),
        (
            CompilationStarted(None, "Read-only file system at '/home'"),
            "Compiling, as in every process: no folder takes the compiled code (Read-only file system at "
            "'/home'); name one in XDG_CACHE_HOME.",
        ),
    ],
)
def test_the_event_is_a_sentence(event: CompilationStarted, sentence: str) -> None:
    assert str(event) == sentence
