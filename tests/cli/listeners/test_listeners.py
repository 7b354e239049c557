"""Progress as lines and as bars."""

import io
import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from rich.console import Console

from novelty_dask.cli.listeners import choose_listener
from novelty_dask.cli.listeners.bars import Bars
from novelty_dask.cli.listeners.lines import Lines
from novelty_dask.counts import duration
from novelty_dask.events import (
    ConnectionExposed,
    Listener,
    StageFinished,
    StageStarted,
    TaskAdvanced,
    TaskDone,
    ignore,
)


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def stage(listener: Listener, total: int | None, done: int, wait: Callable[[], None]) -> None:
    """One stage with some tasks, and time before each."""
    listener(StageStarted("compare", total))
    for _ in range(done):
        wait()
        listener(TaskDone("compare"))
    listener(StageFinished("compare", 75.0))


def test_a_stage_that_goes_on_tells_what_was_done_before() -> None:
    stream, clock = io.StringIO(), Clock()
    listener = Lines(stream, clock)
    listener(StageStarted("compare", 10, 7))
    for _ in range(3):
        clock.now += 20.0
        listener(TaskDone("compare"))
    listener(StageFinished("compare", 60.0))
    assert stream.getvalue().splitlines() == [
        "compare: started, 10 tasks, 7 done before",
        "compare: 1/3 tasks, 20.0 s elapsed, about 40.0 s remaining",
        "compare: 2/3 tasks, 40.0 s elapsed, about 20.0 s remaining",
        "compare: done, 3 tasks in 1 min 0 s",
    ]


def test_a_stage_of_few_long_tasks_tells_how_far_they_are() -> None:
    stream, clock = io.StringIO(), Clock()
    listener = Lines(stream, clock)
    listener(StageStarted("compare", 2))
    for share in (0.25, 0.5, 0.75, 1.0):
        for item in "ab":
            clock.now += 4.0
            listener(TaskAdvanced("compare", item, share))
    # The worker of one has died: it begins anew.
    clock.now += 10.0
    listener(TaskAdvanced("compare", "b", 0.5))
    for _ in range(2):
        listener(TaskDone("compare"))
    listener(StageFinished("compare", 42.0))
    assert stream.getvalue().splitlines() == [
        "compare: started, 2 tasks",
        "compare: 0/2 tasks (25%), 8.0 s elapsed, about 24.0 s remaining",
        "compare: 0/2 tasks (50%), 16.0 s elapsed, about 16.0 s remaining",
        "compare: 0/2 tasks (75%), 24.0 s elapsed, about 8.0 s remaining",
        "compare: 0/2 tasks (99%), 32.0 s elapsed, about 0.2 s remaining",
        "compare: 0/2 tasks (75%), 42.0 s elapsed, about 14.0 s remaining",
        "compare: done, 2 tasks in 42.0 s",
    ]


@pytest.mark.parametrize(("total", "done"), [(1, 0), (2, 1), (100_000, 99_999), (1_000, 500)])
def test_all_is_done_and_no_time_left_at_the_end_alone(total: int, done: int) -> None:
    stream, clock = io.StringIO(), Clock()
    listener = Lines(stream, clock)
    listener(StageStarted("compare", total))
    for _ in range(done):
        listener(TaskDone("compare"))
    clock.now += 20.0
    for number in range(total - done):
        listener(TaskAdvanced("compare", str(number), 1.0))
    clock.now += 20.0
    listener(TaskAdvanced("compare", "x", 0.999))
    told = stream.getvalue()
    assert f"{done:,}/{total:,} tasks (" in told
    assert "(100%)" not in told
    assert "about 0.0 s" not in told


def test_a_bar_is_full_at_the_end_alone() -> None:
    stream = io.StringIO()
    with Bars(Console(file=stream, force_terminal=True, width=30, color_system=None)) as bars:
        bars(StageStarted("compare", 1))
        bars(TaskAdvanced("compare", "a", 1.0))
        bars._progress.refresh()
        assert not bars._progress.finished
        bars(TaskDone("compare"))
        bars(StageFinished("compare", 60.0))
    assert "compare 99%" in stream.getvalue()
    assert "compare 100%" in stream.getvalue()


@pytest.mark.parametrize(
    ("width", "shown"),
    [(20, "vectorize 0%"), (40, "vectorize      8/123456 "), (70, "━ "), (100, r"8/123456      \d\.\d s ")],
)
def test_bars_fit_the_line_of_any_terminal(width: int, shown: str) -> None:
    stream = io.StringIO()
    with Bars(Console(file=stream, force_terminal=True, width=width, height=9, color_system=None)) as bars:
        bars(StageStarted("ingest", None))
        bars(TaskDone("ingest"))
        bars(StageFinished("ingest", 1.0))
        bars(StageStarted("vectorize", 123_456, 7))
        bars(TaskDone("vectorize"))
    *_, last = stream.getvalue().split("\x1b[2K")
    ingest, vectorize, *rest = (line.strip("\r") for line in last.removesuffix("\x1b[?25h").split("\n"))
    assert rest in ([], [""])
    assert max(len(ingest), len(vectorize)) <= width
    assert ingest.startswith("ingest ")
    assert vectorize.startswith("vectorize ")
    assert re.search(shown, f"{ingest}\n{vectorize} ")


def test_no_ten_seconds_are_silent() -> None:
    stream, clock = io.StringIO(), Clock()
    listener, times = Lines(stream, clock), []
    listener(StageStarted("sort", None))
    for _ in range(100):
        clock.now += 3.5
        before = len(stream.getvalue())
        listener(TaskAdvanced("sort", "", 0.0))
        times += [clock.now] if len(stream.getvalue()) > before else []
    assert max(b - a for a, b in pairwise(times)) < 10


def test_a_brief_listener_tells_of_long_stages_alone() -> None:
    for seconds, expected in (
        (1.0, []),
        (20.0, ["verify: 1/2 tasks, 20.0 s elapsed", "verify: done, 2 tasks"]),
    ):
        stream, clock = io.StringIO(), Clock()
        listener = Lines(stream, clock, brief=True)
        listener(StageStarted("verify", 2))
        for _ in range(2):
            clock.now += seconds
            listener(TaskDone("verify"))
        listener(StageFinished("verify", 2 * seconds))
        told = stream.getvalue().splitlines()
        assert len(told) == len(expected)
        assert all(line.startswith(start) for line, start in zip(told, expected, strict=True))


def test_bars_show_shares_of_tasks() -> None:
    stream = io.StringIO()
    with Bars(Console(file=stream, force_terminal=True, width=100, color_system=None)) as bars:
        bars(StageStarted("compare", 10, 7))
        bars(TaskAdvanced("compare", "a", 0.5))
        bars(TaskAdvanced("compare", "b", 0.75))
        assert bars._progress.tasks[0].completed == 8.25
        bars(TaskAdvanced("compare", "a", 1.0))
        bars(TaskDone("compare"))
        assert bars._progress.tasks[0].completed == 8.75
        bars(StageFinished("compare", 60.0))


def test_bars_start_where_a_stage_goes_on() -> None:
    stream = io.StringIO()
    with Bars(Console(file=stream, force_terminal=True, width=100, color_system=None)) as bars:
        bars(StageStarted("compare", 10, 7))
        for _ in range(3):
            bars(TaskDone("compare"))
        bars(StageFinished("compare", 60.0))
    assert "10/10" in stream.getvalue()


def lines(total: int | None, done: int, seconds: float) -> list[str]:
    """What a log shows of a stage whose tasks take some seconds each."""
    stream, clock = io.StringIO(), Clock()

    def wait() -> None:
        clock.now += seconds

    stage(Lines(stream, clock), total, done, wait)
    return stream.getvalue().splitlines()


def test_a_short_stage_has_two_lines() -> None:
    assert lines(3, 3, 1.0) == ["compare: started, 3 tasks", "compare: done, 3 tasks in 1 min 15 s"]


def test_a_long_stage_tells_elapsed_and_remaining_time() -> None:
    assert lines(4, 4, 20.0)[1:-1] == [
        "compare: 1/4 tasks, 20.0 s elapsed, about 1 min 0 s remaining",
        "compare: 2/4 tasks, 40.0 s elapsed, about 40.0 s remaining",
        "compare: 3/4 tasks, 1 min 0 s elapsed, about 20.0 s remaining",
    ]


def test_lines_come_ten_seconds_apart_at_most() -> None:
    between = lines(1_000, 1_000, 0.5)[1:-1]
    assert len(between) == 49
    assert between[0] == "compare: 20/1,000 tasks, 10.0 s elapsed, about 8 min 10 s remaining"


def test_a_stage_of_unknown_length() -> None:
    assert lines(None, 2, 15.0) == [
        "compare: started",
        "compare: 1 task, 15.0 s elapsed",
        "compare: 2 tasks, 30.0 s elapsed",
        "compare: done, 2 tasks in 1 min 15 s",
    ]


def test_notes_are_lines_without_controls() -> None:
    stream = io.StringIO()
    Lines(stream)(ConnectionExposed("Dashboard: http://127.0.0.1:8787\x1b[2J"))
    assert stream.getvalue() == "Dashboard: http://127.0.0.1:8787\\x1b[2J\n"


@pytest.mark.parametrize("total", [3, None])
def test_bars_show_stage_count_and_time(total: int | None) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    with Bars(console) as bars:
        bars(ConnectionExposed("[red]Dashboard[/red] \x1b[2J"))
        stage(bars, total, 3, lambda: None)
    shown = stream.getvalue()
    assert r"[red]Dashboard[/red] \x1b[2J" in shown
    assert "compare" in shown
    assert "3/3" in shown
    assert "0.0 s" in shown


def test_quiet_is_silence(capsys: pytest.CaptureFixture[str]) -> None:
    with choose_listener(quiet=True) as listener:
        assert listener is ignore
        stage(listener, 3, 3, lambda: None)
        listener(ConnectionExposed("nothing"))
    assert capsys.readouterr() == ("", "")


def test_a_log_gets_lines_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with choose_listener() as listener:
        stage(listener, 3, 3, lambda: None)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 2


@pytest.mark.parametrize(("seconds", "text"), [(0, "0.0 s"), (59.94, "59.9 s"), (3599.6, "1 h 0 min")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_what_a_worker_of_an_earlier_client_reports_is_of_another_stage() -> None:
    lines, clock = io.StringIO(), Clock()
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    with Bars(console) as bars:
        for listener in (bars, Lines(lines, clock)):
            listener(StageStarted("merge", 2))
            clock.now += 20.0
            listener(TaskAdvanced("compare", "1-0", 0.5))
            listener(StageFinished("merge", 20.0))
    assert "compare" not in console.file.getvalue()  # type: ignore[attr-defined]
    assert lines.getvalue().splitlines() == ["merge: started, 2 tasks", "merge: done, 0 tasks in 20.0 s"]
