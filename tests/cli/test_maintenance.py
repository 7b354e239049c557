"""The commands that look after a run: what they print, and their exit codes."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import novelty_dask
from novelty_dask.engines import sparse
from novelty_dask.objects import owners
from novelty_dask.objects.protocol import partial_name
from novelty_dask.sources.pieces import CHUNK_BYTES
from tests.support.fixtures import Novelty
from tests.support.listeners import at_start
from tests.support.processes import COMMAND, started, wait_for, wait_until


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """A complete run to be damaged."""
    return shutil.copytree(run, tmp_path / "run.zarr")


def test_status_of_a_complete_run(run: Path, novelty: Novelty) -> None:
    result = novelty("status", run)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "state    complete",
        "input    300 lines, 295 pages: 5 duplicates, 0 rejected",
        "ingest     1 done of 1, 0 left",
        "sort       1 done of 1, 0 left",
        "vectorize  1 done of 1, 0 left",
        "columns    1 done of 1, 0 left",
        "weigh      1 done of 1, 0 left",
        "compare    1 done of 1, 0 left",
        "merge      1 done of 1, 0 left",
        "cover      1 done of 1, 0 left",
        "density    1 done of 1, 0 left",
        "lof        1 done of 1, 0 left",
    ]


def test_verify_says_that_a_run_is_whole(run: Path, novelty: Novelty) -> None:
    result = novelty("verify", run)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "7 tasks read, 0 damages found.\n"
    result = novelty("verify", run, "--recompute", 3)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "7 tasks read, 1 block computed again, 0 damages found.\n"


def test_damage_has_an_exit_code_of_its_own_and_resume_repairs_it(copy: Path, novelty: Novelty) -> None:
    top = novelty("top", copy).stdout
    (copy / "novelty" / "c" / "0").write_bytes(b"")
    result = novelty("verify", copy)
    assert result.exit_code == 4
    assert result.stdout == "7 tasks read, 1 damage found.\n"
    assert re.fullmatch(
        r"Damage: 'novelty/c/0' has 0 bytes instead of [\d,]+; `novelty resume "
        rf"{re.escape(str(copy))}` computes it again\.\n",
        result.stderr,
    )
    for command in (["top", copy], ["export", copy, "-o", copy.with_name("rows.csv")]):
        refused = novelty(*command)
        assert (refused.exit_code, refused.stdout) == (4, "")
        assert refused.stderr.startswith("Error: 'novelty/c/0' has 0 bytes instead of ")
    assert not copy.with_name("rows.csv").exists()
    resumed = novelty("resume", copy)
    assert resumed.exit_code == 0
    assert "merge: done, 1 task" in resumed.stderr
    assert "vectorize" not in resumed.stderr
    assert resumed.stderr.splitlines()[-1] == "300 lines, 295 pages: 5 duplicates, 0 rejected"
    assert novelty("verify", copy).exit_code == 0
    assert novelty("top", copy).stdout == top


def test_resume_of_a_complete_run_does_nothing(copy: Path, novelty: Novelty) -> None:
    result = novelty("resume", copy, "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    result = novelty("resume", copy)
    assert (result.exit_code, result.stdout) == (0, "")
    assert re.sub(r"\d+\.\d s$", "_ s", result.stderr, flags=re.MULTILINE) == (
        "verify: started, 7 tasks\n"
        "verify: done, 7 tasks in _ s\n"
        "300 lines, 295 pages: 5 duplicates, 0 rejected\n"
        f"{copy} is complete already, and every byte as it was written; nothing to do.\n"
    )


def test_clean_says_how_much_it_removed(copy: Path, novelty: Novelty) -> None:
    assert novelty("clean", copy).stdout == "0 files removed.\n"
    (copy / "work").mkdir(exist_ok=True)
    (copy / "work" / "stray").touch()
    (copy / partial_name("novelty/c/0")).touch()
    result = novelty("clean", copy)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "2 files removed.\n", "")
    assert novelty("verify", copy).exit_code == 0


def test_a_partial_run_has_an_exit_code_of_its_own(
    corpus: Path, run: Path, tmp_path: Path, novelty: Novelty, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_blocks: Any, **_starts: int) -> None:
        raise ZeroDivisionError

    out = tmp_path / "run.zarr"
    sentence = (
        f"Partial: task 0-0 of compare and 4 more given up (it raised ZeroDivisionError); the scores of "
        f"their rows are missing. `novelty resume {out}` tries again."
    )
    with monkeypatch.context() as patch:
        patch.setattr(sparse, "search", fail)
        first = novelty("score", corpus, "-o", out)
        assert first.exit_code == 4
        assert first.stderr.splitlines()[-1] == sentence
        again = novelty("resume", out)
        assert again.exit_code == 4
        assert again.stderr.splitlines()[-1] == sentence
    status = novelty("status", out).stdout.splitlines()
    assert status[0] == "state    partial"
    assert "compare    0 done of 1, 1 left" in status
    assert status[-5:] == [
        "given up compare 0-0: it raised ZeroDivisionError",
        "given up merge 0: it needs task 0-0 of compare, which was given up",
        "given up cover 0: it needs task 0 of merge, which was given up",
        "given up density 0: it needs task 0 of merge, which was given up",
        "given up lof 0: it needs task 0 of density, which was given up",
    ]
    assert novelty("verify", out).exit_code == 0
    assert novelty("resume", out).exit_code == 0
    assert novelty("top", out).stdout == novelty("top", run).stdout


def test_what_changes_numbers_is_no_option_of_resume(copy: Path, novelty: Novelty) -> None:
    result = novelty("resume", copy, "-k", "3")
    assert result.exit_code == 2
    assert "No such option" in result.stderr


def test_a_run_is_taken_over_on_request(
    copy: Path, corpus: Path, novelty: Novelty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owners, "WATCH_SECONDS", 0.2)
    (copy / "novelty" / "c" / "0").unlink()
    [record] = (copy / "owners").glob("*.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "host": "elsewhere", "since": 1.0}))
    alive = record.with_suffix(".alive")
    alive.touch()
    assert novelty("status", copy).stdout.startswith("state    complete")
    for flags in ([], ["--take-over"]):
        refused = novelty("resume", copy, *flags)
        assert refused.exit_code == 2
        assert " on elsewhere since " in refused.stderr
        assert refused.stderr.endswith("wait for it, or stop it.\n")
    heard = time.time() - 100
    os.utime(alive, (heard, heard))
    refused = novelty("resume", copy)
    assert refused.exit_code == 2
    assert refused.stderr.endswith(f"if it is dead, `novelty resume --take-over {copy}` goes on.\n")
    assert novelty("resume", copy, "--take-over").exit_code == 0
    assert novelty("verify", copy).exit_code == 0


# Processes.


def test_status_names_who_is_at_work_and_a_second_client_is_refused(
    corpus: Path, tmp_path: Path, novelty: Novelty
) -> None:
    out = tmp_path / "run.zarr"
    with started(*COMMAND, "score", corpus, "-o", out, "--block-rows", 2) as process:
        wait_for(process.stderr, "vectorize: started")
        status = novelty("status", out)
        assert re.match(rf"state    running, process {process.pid} on \S+ since ", status.stdout)
        refused = novelty("score", corpus, "-o", out)
        assert refused.exit_code == 2
        assert f"is being worked on by process {process.pid} on " in refused.stderr
    assert novelty("status", out).stdout.startswith("state    stopped\n")


@pytest.mark.sampled
@pytest.mark.parametrize("same", [True, False])
def test_standard_input_is_asked_for_once(
    corpus: Path, run: Path, tmp_path: Path, novelty: Novelty, same: bool
) -> None:
    out = tmp_path / "run.zarr"
    command = [*COMMAND, "score", "-", "-o", str(out), "--block-rows", "64"]
    with (
        corpus.open("rb") as stdin,
        subprocess.Popen(command, stdin=stdin, stderr=subprocess.PIPE, text=True) as process,
    ):
        wait_for(process.stderr, "vectorize: started")
        process.send_signal(signal.SIGKILL)
    refused = novelty("score", "-", "-o", out, stdin=b"http://b.example/\n")
    assert refused.exit_code == 2
    assert "its sources differ: standard input had " in refused.stderr
    if same:
        assert novelty("score", "-", "-o", out, stdin=corpus.read_bytes()).exit_code == 0
    else:
        resume = [*COMMAND, "resume", str(out)]
        subprocess.run(resume, stdin=subprocess.DEVNULL, check=True, capture_output=True)
    assert novelty("top", out).stdout == novelty("top", run).stdout
    assert len(novelty_dask.open(out)) == 295
    assert not (out / "work").exists()


def test_a_killed_copy_of_standard_input_leaves_no_half(
    corpus: Path, run: Path, tmp_path: Path, novelty: Novelty
) -> None:
    """By a signal that nobody can catch, in the middle of a stream of which more is to come."""
    out = tmp_path / "run.zarr"
    lines = corpus.read_bytes().rstrip() + b"\n"
    command = [*COMMAND, "score", "-", "-o", str(out), "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for _ in range(2 * CHUNK_BYTES // len(lines)):
            process.stdin.write(lines)
        process.stdin.flush()
        wait_until(lambda: sum(path.stat().st_size for path in (out / "work").glob("*")) >= CHUNK_BYTES)
        process.send_signal(signal.SIGKILL)
    assert not (out / "work" / "stdin").exists()
    assert novelty("resume", out).stderr.endswith(
        " before all of standard input was stored; score it again.\n"
    )
    assert novelty("clean", out).stdout == "1 file removed.\n"
    assert novelty("score", "-", "-o", out, "--quiet", stdin=lines).exit_code == 0
    assert novelty("top", out).stdout == novelty("top", run).stdout


def test_the_copy_of_standard_input_is_on_the_disk_before_it_is_read(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes are synced before it has its name, and its name before the first line is read."""
    synced: list[int] = []
    fsync, begun = os.fsync, []

    def watched(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def look() -> None:
        begun.append([(out / "work" / name).stat().st_ino in synced for name in ("stdin", ".")])

    out = tmp_path / "run.zarr"
    monkeypatch.setattr(os, "fsync", watched)
    with corpus.open("rb") as stream:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stream))
        novelty_dask.score("-", out, workers=0, listener=at_start("ingest", look))
    assert begun == [[True, True]]
