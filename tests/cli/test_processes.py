"""The command as a process of its own: pipes, terminals, signals, exit codes."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.cells import cell_len

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.errors import (
    BudgetError,
    ClusterError,
    DamageError,
    DiskFullError,
    InputError,
    JobError,
    NoveltyError,
    OwnedError,
    SettingsError,
    StoreError,
    UnreachableError,
)
from novelty_dask.objects.local import LocalObjects
from novelty_dask.objects.owners import claim
from tests.support.fixtures import Novelty
from tests.support.processes import COMMAND, command_of, kill, started, terminal_output, wait_for, wait_until

MANY_TASKS = ["--block-rows", "64"]
CAPTURED: dict[str, Any] = {"capture_output": True, "text": True}
STYLE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lines enough for a run that does not end before it is stopped."""
    path = tmp_path_factory.mktemp("long") / "urls.txt"
    path.write_text("\n".join(make_urls(1_000)[0]), encoding="utf-8")
    return path


def test_a_closed_pipe_is_the_end_of_it(corpus: Path) -> None:
    with started(*COMMAND, "score", corpus, "--quiet") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.stdout.close()
        assert process.wait(200) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert all(line.count("\t") == 1 for line in lines)


def test_hostile_urls_can_not_command_the_terminal(tmp_path: Path, novelty: Novelty) -> None:
    controls = [chr(code) for code in (*range(1, 32), *range(127, 160), 0x202E, 0x2066, 0x2028) if code != 10]
    attacks = ["\x1b]52;c;aGFjaw==\x07", "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\", "\x9b2J"]
    lines = [f"http://{number}.example/{text}/x" for number, text in enumerate(controls + attacks)]
    source = tmp_path / "urls.txt"
    source.write_text("\n".join(lines), encoding="utf-8", newline="")
    piped = subprocess.run([*COMMAND, "score", source, "--quiet"], capture_output=True, check=True)
    assert novelty("score", source, "-o", tmp_path / "run.zarr", "--quiet").exit_code == 0
    for shown in (piped.stdout.decode(), novelty("top", tmp_path / "run.zarr", "-n", 100).stdout):
        assert len(shown.splitlines()) == len(lines)
        assert all(char.isprintable() for char in shown.replace("\n", "").replace("\t", ""))
        assert r"\x1b]52;c;aGFjaw==\x07" in shown


def test_a_table_fits_the_terminal(run: Path) -> None:
    lines = STYLE.sub("", terminal_output("top", run, "-n", 5, columns=64)).splitlines()
    assert lines[0].split() == ["novelty", "url", "similarity", "nearest", "url"]
    assert len(lines) == 6
    assert max(map(cell_len, lines)) == 64
    assert any("…" in line for line in lines)


def test_a_terminal_gets_bars(corpus: Path, tmp_path: Path) -> None:
    output = terminal_output("score", corpus, "-o", tmp_path / "run.zarr")
    assert "\x1b[?25l" in output
    assert "━" in output
    assert output.count("\x1b[?25h") == 1


TYPED = "Type or paste URLs, one a line; Ctrl-D ends them."


TYPED_LINES = {
    "lines": (b"http://a.example/\nhttp://b.example/\n\x04", 2, 0),
    "no last newline": (b"http://a.example/\nhttp://b.example/\x04\x04", 2, 0),
    "nothing": (b"\x04", 0, 2),
}
"""What is typed, how many rows are printed, and the exit code."""


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("lines", []),
        ("no last newline", ["-q"]),
        ("nothing", []),
        *(
            pytest.param(name, flags, marks=pytest.mark.long)
            for name, flags in (("lines", ["-q"]), ("no last newline", []), ("nothing", ["-q"]))
        ),
    ],
)
def test_one_end_of_typed_lines_is_enough(name: str, flags: list[str]) -> None:
    typed, n_rows, code = TYPED_LINES[name]
    ours, theirs = pty.openpty()
    try:
        os.write(ours, typed)
        with started(*COMMAND, "score", "-", *flags, stdin=theirs) as process:
            stdout, stderr = process.communicate(timeout=200)
    finally:
        os.close(ours)
        os.close(theirs)
    assert (process.returncode, len(stdout.splitlines())) == (code, n_rows)
    assert stderr.startswith(f"{TYPED}\n") == (not flags)


def test_verify_shows_how_far_it_is(run: Path) -> None:
    *_, verify, recompute, end = STYLE.sub("", terminal_output("verify", run, "--recompute", 1)).split("\n")[
        :-1
    ]
    assert re.search(r"verify +━+ 7/7 ", verify)
    assert re.search(r"recompute +━+ 1/1 ", recompute)
    assert end.endswith("7 tasks read, 1 block computed again, 0 damages found.\r")


def test_a_demo_for_which_there_is_no_space_leaves_no_part_of_its_corpus(
    tmp_path: Path, novelty: Novelty
) -> None:
    out = tmp_path / "demo/run.zarr"
    limited = "trap '' XFSZ; ulimit -f 4; exec \"$@\""
    words = ["bash", "-c", limited, "", *COMMAND, "demo", "--n-rows", "1000", "-o", str(out)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"Error: Can't write '{out.with_name('urls.txt')}': ")
    assert done.stderr.endswith("; free some space, then repeat it.\n")
    assert list(out.parent.iterdir()) == []
    assert novelty("demo", "--n-rows", "1000", "-o", out).exit_code == 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long)]
)
def test_a_stopped_run_goes_on(
    long: Path, tmp_path: Path, novelty: Novelty, number: signal.Signals, code: int
) -> None:
    out = tmp_path / "run.zarr"
    with started(*COMMAND, "score", long, "-o", out, *MANY_TASKS) as process:
        wait_for(process.stderr, "columns: done")
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == code
    assert stdout == ""
    assert stderr.splitlines()[-1] == f"Stopped; `novelty resume {out}` goes on."
    assert "Traceback" not in stderr
    assert novelty("top", out).exit_code == 2
    assert novelty("status", out).stdout.startswith("state    stopped\n")
    shutil.copytree(out, tmp_path / "copy.zarr")
    resumed = novelty("resume", out)
    again = novelty("score", long, "-o", tmp_path / "copy.zarr", *MANY_TASKS)
    assert again.exit_code == 0
    assert novelty("top", out).stdout == novelty("top", tmp_path / "copy.zarr").stdout
    assert resumed.exit_code == 0
    assert "vectorize" not in resumed.stderr
    assert "merge: done" in resumed.stderr


def test_a_run_stopped_early_leaves_nothing(long: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [*COMMAND, "score", long, *MANY_TASKS], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        wait_for(process.stderr, "vectorize: started")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=200)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "Stopped; nothing was stored."
    assert not list(tmp_path.glob("novelty-*"))


@pytest.mark.long
def test_ctrl_c_ends_the_workers_quietly(long: Path, tmp_path: Path) -> None:
    with started(
        *COMMAND, "score", long, "-o", tmp_path / "run.zarr", "--workers", 1, *MANY_TASKS
    ) as process:
        wait_for(process.stderr, "vectorize: started")
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=200)
    gone, alive = psutil.wait_procs(children, timeout=60)
    assert process.returncode == 130
    assert gone
    assert not alive
    assert stderr.splitlines()[-1] == f"Stopped; `novelty resume {tmp_path / 'run.zarr'}` goes on."
    assert "Traceback" not in stderr
    # As the process that looks after shared semaphores would say of those that nobody gave back.
    assert "leaked" not in stderr


@pytest.mark.sampled
@pytest.mark.parametrize("command", [["novelty"], ["dask", "novelty"]])
def test_both_names_of_the_command(tmp_path: Path, command: list[str]) -> None:
    script = Path(sys.executable).with_name(command[0])
    result = subprocess.run(
        [script, *command[1:], "score", tmp_path / "missing"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr == f"Error: Nothing matches '{tmp_path / 'missing'}'; check the path.\n"


def test_a_full_output_of_a_complete_run_is_printed_by_the_same_command(
    corpus: Path, tmp_path: Path, novelty: Novelty
) -> None:
    command = ["score", str(corpus), "-o", str(tmp_path / "run.zarr")]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 3
    assert done.stderr.endswith("No space left on device; once that is fixed, repeat the command.\n")
    assert len(novelty(*command).stdout.splitlines()) == 10


def test_a_current_folder_that_is_gone_is_named(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    line = 'rmdir "$PWD"; exec "$@"'
    words = ["sh", "-c", line, "", *COMMAND, "score", str(corpus), "-o", "run.zarr"]
    done = subprocess.run(words, cwd=tmp_path / "gone", capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "Error: Can't use 'run.zarr': the current folder is gone; change to another, or name a path from /.\n"
    )


FULL = [
    ["top", "{}"],
    ["status", "{}"],
    ["export", "{}", "-o", "-", "--format", "csv"],
    ["--help"],
    ["doctor"],
]


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("words", "is_buffered"),
    [
        *((words, True) for words in FULL),
        (["--help"], False),
        *(pytest.param(words, False, marks=pytest.mark.long) for words in FULL if words != ["--help"]),
    ],
)
def test_a_standard_output_that_is_full(run: Path, words: list[str], is_buffered: bool) -> None:
    env = {**os.environ, "PYTHONUNBUFFERED": "" if is_buffered else "1"}
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [*COMMAND, *(word.format(run) for word in words)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=env,
        )
    assert result.returncode == 3
    what, remedy = "", "once that is fixed, repeat the command"
    if words[0] == "export":
        what, remedy = "Can't write '-': ", "free some space, then repeat it"
    assert result.stderr == f"Error: {what}No space left on device; {remedy}.\n"


@pytest.mark.sampled
@pytest.mark.parametrize(
    "words", ["top {run}", "status {run}", "score {corpus} --quiet", "export {run} -o -"]
)
def test_a_standard_output_that_is_closed(run: Path, corpus: Path, words: str) -> None:
    command = [*COMMAND, *words.format(run=run, corpus=corpus).split()]
    result = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *command], check=False, **CAPTURED)
    assert result.returncode in {2, 3}
    assert re.fullmatch(r"Error: Standard output is closed[,;] [^\n]*\.\n", result.stderr)


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("end", "is_stored"), [("2>/dev/full", False), ("2>&-", True), ("2>&1 >/dev/null | true", True)]
)
def test_a_standard_error_that_takes_nothing(corpus: Path, tmp_path: Path, end: str, is_stored: bool) -> None:
    """What is computed does not depend on who reads how far it is."""
    out = tmp_path / "run.zarr"
    command = [*COMMAND, "score", str(corpus), *["-o", str(out)] * is_stored]
    script = f'set -o pipefail; "$@" {end}'
    result = subprocess.run(["bash", "-c", script, "bash", *command], check=False, **CAPTURED)
    assert (result.returncode, result.stderr) == (0, "")
    if is_stored:
        assert novelty_dask.status(out).state == "complete"
    else:
        assert result.stdout.count("\n") == len(set(corpus.read_text().split()))


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("source", "blocks", "is_kept"),
    [
        ("corpus", 4, True),
        ("-", 4, False),
        ("-", 64, True),
        ("-", 64, False),
        pytest.param("corpus", 4, False, marks=pytest.mark.long),
        pytest.param("-", 4, True, marks=pytest.mark.long),
    ],
)
def test_files_that_may_not_grow(
    corpus: Path, run: Path, tmp_path: Path, novelty: Novelty, source: str, blocks: int, is_kept: bool
) -> None:
    """A run goes on; half a copy of standard input, whose rest nobody can read again, is removed."""
    out = tmp_path / "run.zarr"
    command = [*COMMAND, "score", str(corpus) if source == "corpus" else "-", "--quiet"]
    command += ["-o", str(out)] * is_kept
    small = f'ulimit -f {blocks}; exec "$@" < "$0"'
    result = subprocess.run(
        ["sh", "-c", small, corpus, *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert (result.returncode, result.stdout) == (3, "")
    is_copied = source != "-" or blocks > 4
    needed = r": [\d,]+ bytes are needed and [\d,]+ are free" if is_copied else ""
    remedy = (
        "free some space; finished work is kept" if is_kept else "name a folder on .* by TMPDIR, or a path .*"
    )
    hint = rf" `novelty resume {out}` goes on\." if is_kept and is_copied else ""
    assert re.fullmatch(rf"Error: The disk of '.*' is full{needed}; {remedy}\.{hint}\n", result.stderr)
    if hint:
        assert novelty("resume", out, "--quiet").exit_code == 0
        assert novelty("top", out).stdout == novelty("top", run).stdout
    else:
        assert not list(tmp_path.iterdir())


def test_an_addition_that_is_stopped_goes_on_by_the_same_command(run: Path) -> None:
    new = Path(f"{run}.growing", "new")
    with started(*COMMAND, "add", "-", "--to", run, "-q", stdin=subprocess.PIPE) as process:
        wait_until(lambda: list(new.glob("*/stdin*")), process=process)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=200)
    assert (process.returncode, stderr) == (130, "Stopped; the same command goes on.\n")
    assert not new.parent.exists()


def test_a_stopped_copy_of_standard_input_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    with started(*COMMAND, "score", "-", "-o", out, stdin=subprocess.PIPE) as process:
        wait_until(lambda: list(out.glob("*/stdin*")), process=process)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=200)
    assert (process.returncode, stderr) == (130, "Stopped; nothing was stored.\n")
    assert not out.exists()


# Exit codes.


def damaged(run: Path, folder: Path) -> Path:
    """A copy of a run of which a chunk is cut."""
    copy = shutil.copytree(run, folder / "damaged.zarr")
    (copy / "novelty" / "c" / "0").write_bytes(b"cut")
    return copy


ENDS: dict[type[NoveltyError], tuple[int, list[str]]] = {
    SettingsError: (2, ["score", "{corpus}", "-k", "0"]),
    BudgetError: (2, ["score", "{corpus}", "--memory-limit", "1 MB"]),
    InputError: (2, ["score", "{folder}/missing.txt"]),
    StoreError: (2, ["top", "{folder}/missing.zarr"]),
    DamageError: (4, ["top", "{damaged}"]),
    DiskFullError: (3, ["score", "{corpus}", "-o", "{folder}/run.zarr", "--quiet"]),
    OwnedError: (2, ["resume", "{owned}"]),
    UnreachableError: (3, ["status", "hdfs://127.0.0.1:1/run.zarr"]),
    ClusterError: (3, ["score", "{corpus}", "--scheduler", "tcp://127.0.0.1:1"]),
}
"""Commands that end by each error, and their exit codes."""


def test_every_error_has_an_end() -> None:
    # No command waits for a job.
    assert {*subclasses(NoveltyError)} == {*ENDS, JobError}


def subclasses(kind: type[NoveltyError]) -> Iterator[type[NoveltyError]]:
    """All classes of errors below one."""
    for derived in kind.__subclasses__():
        yield derived
        yield from subclasses(derived)


@pytest.mark.sampled
@pytest.mark.parametrize("error", ENDS, ids=lambda error: error.__name__)
def test_every_error_has_its_exit_code(
    corpus: Path, run: Path, tmp_path: Path, error: type[NoveltyError]
) -> None:
    code, words = ENDS[error]
    owned = shutil.copytree(run, tmp_path / "owned.zarr")
    claim(LocalObjects(owned), "owned")
    places = {"corpus": corpus, "folder": tmp_path, "damaged": damaged(run, tmp_path), "owned": owned}
    command = [*COMMAND, *(word.format(**places) for word in words), "--debug"]
    limited = ["sh", "-c", 'ulimit -f 4; exec "$0" "$@"'] if error is DiskFullError else []
    done = subprocess.run([*limited, *command], capture_output=True, text=True, check=False)
    *traceback, sentence = done.stderr.splitlines()
    assert any(line.startswith(f"novelty_dask.errors.{error.__name__}: ") for line in traceback)
    assert sentence.startswith("Error: ")
    assert (done.returncode, done.stdout) == (code, "")


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("code", "command"),
    [(4, ["top"]), (4, ["export", "-o", "{}/rows.csv"]), (4, ["verify"]), (0, ["status"])],
)
def test_damage_leaves_with_the_same_code_from_all_that_read(
    run: Path, tmp_path: Path, code: int, command: list[str]
) -> None:
    words = [word.format(tmp_path) for word in command]
    done = subprocess.run(
        [*COMMAND, *words, damaged(run, tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert ("'novelty/c/0' has 3 bytes instead of " in done.stderr) == (code == 4)


@pytest.mark.long
def test_a_script_without_the_guard_is_told_of_it(corpus: Path, tmp_path: Path) -> None:
    call = f"novelty_dask.score({str(corpus)!r}, {str(tmp_path / 'run.zarr')!r}, workers=1)"
    script = tmp_path / "script.py"
    script.write_text(f"import novelty_dask\n\n{call}\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert 'put the call under `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]
    script.write_text(f"import novelty_dask\n\nif __name__ == '__main__':\n    {call}\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.sampled
@pytest.mark.parametrize(("workers", "code"), [(2, 1), (0, 0)])
def test_a_script_on_standard_input_is_told_what_helps(
    corpus: Path, tmp_path: Path, workers: int, code: int
) -> None:
    call = f"novelty_dask.score({str(corpus)!r}, {str(tmp_path / 'run.zarr')!r}, workers={workers})"
    script = f"import novelty_dask\n\nif __name__ == '__main__':\n    {call}\n"
    done = subprocess.run([sys.executable, "-"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stderr.count("Traceback") == code
    assert ("save the script as a file, or pass workers=0." in done.stderr) == bool(code)


def test_a_worker_that_is_killed_while_it_starts_is_named(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    with started(*COMMAND, "score", corpus, "-o", out, "--workers", 1) as process:
        client = psutil.Process(process.pid)
        wait_until(lambda: starting(client), process=process)
        kill(starting(client)[0])
        _, stderr = process.communicate(timeout=200)
    assert process.returncode == 3
    assert "a worker process was killed by SIGKILL; " in stderr
    assert stderr.endswith(f"`novelty resume {out}` goes on.\n")
    assert len(novelty_dask.resume(out)) == 295


def starting(client: psutil.Process) -> list[int]:
    """Worker processes of a client."""
    return [child.pid for child in client.children(recursive=True) if "spawn_main" in command_of(child)]


@pytest.mark.sampled
@pytest.mark.parametrize("mode", [0o000, 0o600])
def test_a_folder_that_nobody_may_enter_holds_nothing_to_resume(
    corpus: Path, tmp_path: Path, mode: int
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode)
    # Root may enter any folder, unless these rights are taken from it.
    without = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if without and not shutil.which("setpriv"):
        pytest.skip("there is no setpriv, which takes the rights of root")
    command = [*without, *COMMAND, "score", str(corpus), "-o", str(closed / "run.zarr"), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    [sentence] = done.stderr.splitlines()
    assert sentence.startswith("Error: Can't use ")
    assert sentence.endswith(": Permission denied; name another output path.")
