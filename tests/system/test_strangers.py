"""Users without a home, or any folder to write to: all works, and nothing is written beside the package.

All kernels take ten seconds to compile.  So a usual run tries a command that compiles two of them: it goes on
with a run that was stopped before its last stage.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from tests.support.files import write_lines
from tests.support.listeners import at_start, interrupt
from tests.support.strangers import NOBODY, PACKAGE, Stranger, stranger

pytestmark = pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None,
    reason="setpriv, by which root plays another user, is missing",
)
NOWHERE = {"NUMBA_CACHE_DIR": "/proc/numba", "XDG_CACHE_HOME": "/proc/cache"}
"""Folders that nobody can make."""
TEMPORARY = "import sys, tempfile; tempfile.tempdir = sys.argv.pop(1)"
COMMAND = "from novelty_dask.cli import main; main(prog_name='novelty')"
WITH_TEMPORARY = ("-c", f"{TEMPORARY}; {COMMAND}")
"""The command, whose first argument is the folder for temporary files."""
Compiling = Callable[[Path], list[str]]
"""Returns the words of a command that compiles, and whose run is there."""


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    """A user, who owns a corpus and its complete run."""
    with stranger(tmp_path_factory.mktemp("stranger")) as user:
        source = write_lines(user.own / "urls.txt", make_urls(100)[0])
        novelty_dask.score(source, user.own / "run.zarr", workers=0)
        stopped, listener = user.own / "stopped.zarr", at_start("merge", interrupt)
        with pytest.raises(KeyboardInterrupt):
            novelty_dask.score(source, stopped, workers=0, block_rows=20, listener=listener)
        for path in user.own.iterdir():
            _give(path, user)
        yield user


@pytest.fixture(params=["merge", pytest.param("all", marks=pytest.mark.long)])
def compiling(user: Stranger, request: pytest.FixtureRequest) -> Compiling:
    """Return how to compile the kernels of the last stage, or all kernels."""

    def score(out: Path) -> list[str]:
        return ["score", str(user.own / "urls.txt"), "-o", str(out)]

    def resume(out: Path) -> list[str]:
        shutil.copytree(user.own / "stopped.zarr", out)
        if out.parent.stat().st_uid == NOBODY:
            _give(out, user)
        return ["resume", str(out)]

    return score if request.param == "all" else resume


@pytest.fixture(autouse=True)
def _nothing_beside_the_package(user: Stranger) -> Iterator[None]:
    """Hold every test to it that nothing is written beside the package."""
    before = user.package_files()
    yield
    assert user.package_files() == before


@pytest.mark.sampled
@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "--version",
        "status run.zarr",
        "top run.zarr -n 2",
        "verify run.zarr",
        "clean run.zarr",
        "plan urls.txt",
        "export run.zarr -o rows.csv --force",
        "resume run.zarr",
        "score urls.txt -o run.zarr",
    ],
)
def test_what_compiles_nothing_needs_no_folder(user: Stranger, line: str) -> None:
    done = user.run(*line.split(), **NOWHERE)
    assert (done.returncode, "Compiling" in done.stderr) == (0, False), done.stderr


@pytest.mark.sampled
@pytest.mark.parametrize("home", ["", "/", "relative"])
def test_any_home_will_do(user: Stranger, home: str) -> None:
    done = user.run("top", "run.zarr", HOME=home)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_what_compiles_uses_the_folder_for_temporary_files_once(
    user: Stranger, tmp_path: Path, compiling: Compiling
) -> None:
    folder = _make(tmp_path / "tmp", user)
    said = [user.run(*compiling(folder / f"{name}.zarr"), TMPDIR=str(folder)) for name in "ab"]
    assert [done.returncode for done in said] == [0, 0]
    code = folder / _folder_name(user)
    assert said[0].stderr.count(f"Compiling, once: later runs load the compiled code from '{code}'.\n") == 1
    assert "Compiling" not in said[1].stderr
    assert code.stat().st_mode & 0o777 == 0o700


@pytest.mark.long
def test_a_run_writes_itself_and_compiled_code_and_nothing_else(
    user: Stranger, tmp_path: Path, compiling: Compiling
) -> None:
    site, home, here = (tmp_path / name for name in ("site", "home", "here"))
    shutil.copytree(PACKAGE, site / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (home, here):
        folder.mkdir()
    before = set(site.rglob("*"))
    words = [*compiling(here / "run.zarr"), "--workers", "1"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "HOME": str(home)}
    command = [sys.executable, "-P", "-m", "novelty_dask", *words]
    done = subprocess.run(command, env=environment, cwd=here, capture_output=True, text=True, check=True)
    code = home / ".cache" / f"novelty-dask-{os.geteuid()}"
    assert done.stderr.count(f"the compiled code from '{code}'") == 1
    assert [path for path in home.rglob("*") if path.is_file() and not path.is_relative_to(code)] == []
    assert [path.name for path in here.iterdir()] == ["run.zarr"]
    # Beside the package there is the bytecode of Python, which pip removes with it.
    written = {path for path in set(site.rglob("*")) - before if path.suffix != ".pyc"}
    assert {path.name for path in written} <= {"__pycache__"}


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.long)])
def test_without_any_folder_it_compiles_and_says_so_once(
    user: Stranger, tmp_path: Path, compiling: Compiling, workers: str
) -> None:
    folder = _make(tmp_path / "occupied", user)
    (folder / _folder_name(user)).touch()
    words = [*compiling(folder / "run.zarr"), "--workers", workers]
    done = user.run(*words, TMPDIR=str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Compiling, as in every process: no folder takes the compiled code (") == 1


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_for_code_does_not_end_a_run(
    user: Stranger, tmp_path: Path, compiling: Compiling
) -> None:
    disk, runs = _make(tmp_path / "full", user), _make(tmp_path / "runs", user)
    mount = ["mount", "-t", "tmpfs", "-o", f"size=16k,uid={NOBODY}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this root may not mount a small disk")
    try:
        # As long as it takes the trial, and too small for what is compiled.
        words = compiling(runs / "full.zarr")
        done = user.run(disk, *words, program=WITH_TEMPORARY, **NOWHERE)
        assert done.returncode == 0, done.stderr
        assert f"Compiling, once: later runs load the compiled code from '{disk}" in done.stderr
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free))
        words = compiling(runs / "fuller.zarr")
        done = user.run(disk, *words, program=WITH_TEMPORARY, **NOWHERE)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("Compiling, as in every process: no folder takes the compiled code (") == 1
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _make(folder: Path, user: Stranger) -> Path:
    """Make a folder that belongs to the user."""
    folder.mkdir()
    _give(folder, user)
    return folder


def _give(path: Path, user: Stranger) -> None:
    """Let a file, or a folder with all that is in it, belong to the user."""
    for each in [path, *path.rglob("*")] if user.is_other else []:
        os.chown(each, NOBODY, NOBODY)


def _folder_name(user: Stranger) -> str:
    """Return the name of the folder for files that a user keeps."""
    return f"novelty-dask-{NOBODY if user.is_other else os.geteuid()}"
