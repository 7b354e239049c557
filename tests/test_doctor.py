"""The checks of the machine: fine here, and each problem found, with what to do."""

import importlib.metadata
import json
import os
import resource
import tempfile
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from click.testing import CliRunner

from novelty_dask import doctor
from novelty_dask.cli import main
from novelty_dask.doctor import Check, examine

GIGABYTE = 10**9
NAMES = [
    "version",
    "packages",
    "compiled code",
    "temporary",
    "current folder",
    "memory",
    "cores",
    "open files",
]


class Memory(NamedTuple):
    available: int
    total: int = 64 * GIGABYTE


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which all is well."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(32 * GIGABYTE))
    monkeypatch.setattr(doctor, "PROCESS_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(doctor, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(doctor, "ENOUGH_DISK", 0)
    monkeypatch.setattr(doctor, "available_cores", lambda: 4)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (4096, 4096))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))


def check(name: str) -> Check:
    """Return the check of a name."""
    [found] = [check for check in examine() if check.name == name]
    return found


def test_all_is_well_on_a_fine_machine() -> None:
    checks = examine()
    assert [check.name for check in checks] == NAMES
    assert {(check.state, check.advice) for check in checks} == {("ok", "")}
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0
    assert [line[:8].strip() for line in result.stdout.splitlines()] == ["ok"] * len(NAMES)
    assert all(name in line for name, line in zip(NAMES, result.stdout.splitlines(), strict=True))


def test_a_tmpdir_that_is_not_used_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    tempfile.gettempdir()
    monkeypatch.setenv("TMPDIR", "/nonexistent")
    found = check("temporary")
    assert (found.state, found.advice) == ("warning", "Name another folder in TMPDIR.")
    assert found.found.endswith(
        " free. TMPDIR is not used, as '/nonexistent' takes no files (No such file or directory); it is "
        f"{tempfile.gettempdir()!r} instead"
    )


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examine()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_programs_get_json() -> None:
    result = CliRunner().invoke(main, ["doctor", "--json"])
    found = json.loads(result.stdout)
    assert [each["name"] for each in found] == NAMES
    assert all(set(each) == {"name", "state", "found", "advice"} for each in found)


def test_a_problem_has_an_exit_code_and_a_warning_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(GIGABYTE))
    assert check("memory").state == "warning"
    assert CliRunner().invoke(main, ["doctor"]).exit_code == 0
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(10**8))
    assert check("memory").state == "problem"
    for arguments in (["doctor"], ["doctor", "--json"]):
        assert CliRunner().invoke(main, arguments).exit_code == 2


def test_packages_that_are_missing_or_too_old_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "numba " in check("packages").found
    before = importlib.metadata.version

    def version(name: str) -> str:
        if name == "zarr":
            raise PackageNotFoundError(name)
        return "0.9.post1" if name == "numba" else before(name)

    monkeypatch.setattr(doctor, "version", version)
    found = check("packages")
    assert found.state == "problem"
    assert "zarr is missing" in found.found
    assert "numba 0.9.post1" in found.found
    assert found.advice.startswith("Install at least numba 0.")
    assert ", zarr 3" in found.advice


def test_a_package_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", missing)
    monkeypatch.setattr(doctor, "requires", missing)
    assert (check("version").state, check("version").advice) == ("problem", "Install it with pip.")


def test_without_a_folder_for_compiled_code_there_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "/proc/nowhere")
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    found = check("compiled code")
    assert (found.state, found.found[:14]) == ("warning", "kept nowhere (")
    assert "XDG_CACHE_HOME" in found.advice
    assert check("temporary").state == "problem"
    assert "TMPDIR" in check("temporary").advice


def test_no_folder_for_temporary_files_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", missing)
    assert check("temporary") == Check("temporary", "problem", "no folder takes files", "Name one in TMPDIR.")


def test_little_space_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ENOUGH_DISK", 10**18)
    assert {check("temporary").state, check("current folder").state} == {"warning"}


def test_a_current_folder_that_is_gone_or_takes_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/proc")
    found = check("current folder")
    assert (found.state, found.advice) == ("warning", "Store runs in another folder.")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert check("current folder") == Check("current folder", "warning", "is gone", "Change to another.")
    monkeypatch.chdir(tmp_path)


def group(folder: Path, **values: str) -> None:
    """Write the files of a group of processes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (folder / name.replace("_", ".", 1)).write_text(value)


@pytest.mark.parametrize("nested", [False, True])
def test_the_limit_of_a_container_counts(tmp_path: Path, *, nested: bool) -> None:
    (tmp_path / "cgroup").write_text(f"0::/{'a/b' * nested}\n")
    stat = f"anon 1\ninactive_file {GIGABYTE}\n"
    group(
        tmp_path / "groups", memory_max=f"{8 * GIGABYTE}", memory_current=f"{5 * GIGABYTE}", memory_stat=stat
    )
    if nested:
        group(tmp_path / "groups" / "a" / "b", memory_max="max", memory_current="5", memory_stat="")
    found = check("memory")
    assert found.state == "warning"
    assert found.found == "32.0 GB of 64.0 GB free, and 4.0 GB of it within the limit of the container"
    assert found.advice == "Give each worker its share of it: --memory-limit '800 MB'."


def test_the_limit_of_an_older_container_counts(tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text("9:cpu,cpuacct:/a\n5:memory:/a\n")
    files = {"memory.limit_in_bytes": "3", "memory.usage_in_bytes": "2", "memory.stat": ""}
    folder = tmp_path / "groups" / "memory" / "a"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content)
    assert check("memory").state == "problem"


def test_few_open_files_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    assert check("open files") == Check("open files", "warning", "at most 256", "Raise it: ulimit -n 1024")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert check("open files").state == "ok"


def test_names_of_folders_are_made_harmless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a\x1b[31mb"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert "\x1b" not in CliRunner().invoke(main, ["doctor"]).stdout
    os.chdir(tmp_path)
