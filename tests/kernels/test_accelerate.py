"""Compiled code is kept between processes, and only this user's is run."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from novelty_dask.events import CompilationStarted
from novelty_dask.kernels import accelerate
from novelty_dask.kernels.accelerate import LISTENERS, compiled

PROGRAM = """
import numpy as np
from novelty_dask.kernels import accelerate
from novelty_dask.kernels.accelerate import compiled
events = []
accelerate.LISTENERS.append(events.append)

@compiled
def double(x):
    return 2 * x

assert double(2) == 4 and double(0.5) == 1.0
assert (double(np.arange(3)) == [0, 2, 4]).all()
print(len(events))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for compiled code, and a process that has announced nothing yet."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    accelerate._compilation.cache_clear()
    yield tmp_path
    accelerate._compilation.cache_clear()


def kept(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def compile_anew() -> tuple[int, list[CompilationStarted]]:
    """Call a function that this process has not compiled; what it returns, and what was announced."""

    @compiled
    def triple(x: int) -> int:
        return 3 * x

    events: list[CompilationStarted] = []
    LISTENERS.append(events.append)
    try:
        return triple(5), events
    finally:
        LISTENERS.remove(events.append)


def test_only_the_first_time_is_compiled_and_announced(folder: Path) -> None:
    [user] = [folder / f"novelty-dask-{os.geteuid()}"]
    assert compile_anew() == (15, [CompilationStarted(str(user))])
    assert len(kept(folder)) == 1
    assert compile_anew() == (15, [])


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_damaged_code_is_compiled_again(folder: Path, damage: str) -> None:
    compile_anew()
    [path] = kept(folder)
    content = path.read_bytes()
    flipped = content[:-1] + bytes([content[-1] ^ 1])
    path.write_bytes({"cut": content[:100], "flipped": flipped, "empty": b""}[damage])
    result, events = compile_anew()
    assert (result, len(events)) == (15, 1)
    assert path.read_bytes() != b""
    assert compile_anew() == (15, [])


def test_without_a_folder_code_runs_and_the_announcement_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "/proc/nowhere")
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    result, [event] = compile_anew()
    assert result == 15
    assert event.folder is None
    assert str(event).startswith("Compiling, as in every process: no folder takes the compiled code (")


def test_statistics_of_numba_name_the_folders(folder: Path) -> None:
    assert str(folder) in compiled(lambda x: x).stats.cache_path  # type: ignore[attr-defined]


@pytest.mark.long
@pytest.mark.process
def test_processes_that_compile_at_once_do_not_disturb_each_other(folder: Path) -> None:
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, str(folder / "program.py")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert {process.communicate()[0] != "" and process.returncode for process in started} == {0}
    # Each combination of types has a file, whoever came first, and is loaded from it.
    assert len(kept(folder)) == 1 + 3
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


@pytest.mark.process
def test_code_is_compiled_again_when_a_function_that_it_calls_has_changed(folder: Path) -> None:
    # The version of all code follows from all files of the kernels.
    before = accelerate.code_version()
    code = (
        "import pathlib, novelty_dask.kernels as kernels\n"
        "folder = pathlib.Path(kernels.__file__).parent\n"
        "read = pathlib.Path.read_bytes\n"
        "pathlib.Path.read_bytes = lambda path: read(path) + b'#' * (path.name == 'bounds.py')\n"
        "from novelty_dask.kernels.accelerate import code_version\n"
        "print(code_version())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() != before
