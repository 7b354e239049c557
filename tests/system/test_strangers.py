"""Users without a home, or any folder to write to: all works, and nothing is written beside the package."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from tests.support.files import write_lines
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


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    """A user, who owns a corpus and its complete run."""
    with stranger(tmp_path_factory.mktemp("stranger")) as user:
        source = write_lines(user.own / "urls.txt", make_urls(100)[0])
        novelty_dask.score(source, user.own / "run.zarr", workers=0)
        if user.is_other:
            for path in user.own.rglob("*"):
                os.chown(path, NOBODY, NOBODY)
        yield user


@pytest.fixture(autouse=True)
def _nothing_beside_the_package(user: Stranger) -> Iterator[None]:
    """Hold every test to it that nothing is written beside the package."""
    before = user.package_files()
    yield
    assert user.package_files() == before


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


@pytest.mark.parametrize("home", ["", "/", "relative"])
def test_any_home_will_do(user: Stranger, home: str) -> None:
    done = user.run("top", "run.zarr", HOME=home)
    assert done.returncode == 0, done.stderr


def test_what_compiles_uses_the_folder_for_temporary_files_once(user: Stranger) -> None:
    folder = user.own / "tmp"
    _make(folder, user)
    said = [user.run("score", "urls.txt", "-o", f"{name}.zarr", TMPDIR=str(folder)) for name in "ab"]
    assert [done.returncode for done in said] == [0, 0]
    code = folder / _folder_name(user)
    assert said[0].stderr.count(f"Compiling, once: later runs load the compiled code from '{code}'.\n") == 1
    assert "Compiling" not in said[1].stderr
    assert code.stat().st_mode & 0o777 == 0o700


def test_a_run_writes_itself_and_compiled_code_and_nothing_else(user: Stranger, tmp_path: Path) -> None:
    site, home, here = (tmp_path / name for name in ("site", "home", "here"))
    shutil.copytree(PACKAGE, site / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (home, here):
        folder.mkdir()
    before = set(site.rglob("*"))
    score = ["score", str(user.own / "urls.txt"), "-o", "run.zarr", "--workers", "2"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "HOME": str(home)}
    command = [sys.executable, "-P", "-m", "novelty_dask", *score]
    done = subprocess.run(command, env=environment, cwd=here, capture_output=True, text=True, check=True)
    code = home / ".cache" / f"novelty-dask-{os.geteuid()}"
    assert done.stderr.count(f"the compiled code from '{code}'") == 1
    assert [path for path in home.rglob("*") if path.is_file() and not path.is_relative_to(code)] == []
    assert [path.name for path in here.iterdir()] == ["run.zarr"]
    # Beside the package there is the bytecode of Python, which pip removes with it.
    written = {path for path in set(site.rglob("*")) - before if path.suffix != ".pyc"}
    assert {path.name for path in written} <= {"__pycache__"}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_without_any_folder_it_compiles_and_says_so_once(user: Stranger, workers: str) -> None:
    folder = user.own / f"occupied-{workers}"
    _make(folder, user)
    (folder / _folder_name(user)).touch()
    done = user.run("score", "urls.txt", "-o", f"w{workers}.zarr", "--workers", workers, TMPDIR=str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Compiling, as in every process: no folder takes the compiled code (") == 1


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_for_code_does_not_end_a_run(user: Stranger) -> None:
    disk = user.own / "full"
    _make(disk, user)
    mount = ["mount", "-t", "tmpfs", "-o", f"size=64k,uid={NOBODY}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this root may not mount a small disk")
    try:
        # As long as it takes the trial, and too small for what is compiled.
        done = user.run(disk, "score", "urls.txt", "-o", "full.zarr", program=WITH_TEMPORARY, **NOWHERE)
        assert done.returncode == 0, done.stderr
        assert f"Compiling, once: later runs load the compiled code from '{disk}" in done.stderr
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free))
        done = user.run(disk, "score", "urls.txt", "-o", "fuller.zarr", program=WITH_TEMPORARY, **NOWHERE)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("Compiling, as in every process: no folder takes the compiled code (") == 1
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _make(folder: Path, user: Stranger) -> None:
    """Make a folder that belongs to the user."""
    folder.mkdir()
    if user.is_other:
        os.chown(folder, NOBODY, NOBODY)


def _folder_name(user: Stranger) -> str:
    """Return the name of the folder for files that a user keeps."""
    return f"novelty-dask-{NOBODY if user.is_other else os.geteuid()}"
