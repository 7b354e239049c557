from pathlib import Path

import pytest

from novelty_dask.events import DamageFound, StageFinished, StageStarted, TaskAdvanced, TaskDone
from novelty_dask.jobs import log
from novelty_dask.jobs.log import FIRST_LINES, LAST_LINES, JobLog, read_lines
from novelty_dask.jobs.record import JobRecord, create_job
from novelty_dask.objects.local import LocalObjects


@pytest.fixture
def record(tmp_path: Path) -> JobRecord:
    return create_job(LocalObjects(tmp_path), "token", "", {})


def said(record: JobRecord) -> list[str]:
    """What the lines say, without their times."""
    return [line.split(" ", 2)[2] for line in read_lines(record, {})]


def test_events_are_lines(record: JobRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "LINE_SECONDS", 0)
    lines = JobLog()
    for event in (
        StageStarted("one", 3, 1),
        TaskAdvanced("one", "0", 0.5),
        TaskDone("one"),
        StageFinished("one", 1.25),
        DamageFound("it is lost in s3://me:pw@host/x"),
    ):
        lines(event)
    lines.store(record, 2)
    assert said(record) == [
        "driver 2: one: started, 3 tasks, 1 done before",
        "driver 2: one: 2/3",
        "driver 2: one: done, 2 tasks in 1.2 s",
        "driver 2: Damage: it is lost in s3://***@host/x",
    ]


def test_a_log_is_bounded_and_followed(record: JobRecord) -> None:
    lines, known, followed = JobLog(), dict[int, int](), list[str]()
    for number in range(1_000):
        lines.say(f"{number} " + "x" * 10_000)
        if number % 100 == 0:
            lines.store(record, 1)
            followed += read_lines(record, known)
    lines.store(record, 1)
    followed += read_lines(record, known)
    [stored] = record.read_logs().values()
    assert stored.count(b"\n") == FIRST_LINES + LAST_LINES
    assert len(stored) < 200_000
    numbers = [int(line.split()[4]) for line in followed]
    assert numbers == [*range(1_000)]
    assert not [*read_lines(record, known)]


def test_lines_that_are_damaged_are_left_out(record: JobRecord) -> None:
    record.write_log(1, b'{"line": 1}\nnonsense\n[]\n{"line": 2, "at": 0, "text": "whole"}\n')
    assert [line.rpartition(": ")[2] for line in read_lines(record, {})] == ["whole"]
