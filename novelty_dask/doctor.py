"""Checks of the machine and the installation: whatever a run needs, and what to do where it is lacking."""

import os
import platform
import re
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

import psutil

from novelty_dask import private_files
from novelty_dask.execution.clusters.resources import available_cores

OK, WARNING, PROBLEM = "ok", "warning", "problem"
PACKAGE = "novelty-dask"
LEAST_MEMORY = 500 * 10**6
"""Bytes of memory below which no run is likely to fit."""
ENOUGH_MEMORY = 2 * 10**9
ENOUGH_DISK = 2 * 10**9
ENOUGH_OPEN_FILES = 1024
CGROUPS = Path("/sys/fs/cgroup")
"""Where Linux keeps limits of groups of processes, as containers have."""
PROCESS_GROUPS = Path("/proc/self/cgroup")
NO_LIMIT = 2**60
_REQUIREMENT = re.compile(r"\A([\w.-]+)(?:\[[^]]*\])?>=([\d.]+)")


class Check(NamedTuple):
    """Result of one check.

    Parameters
    ----------
    name : str
    state : {"ok", "warning", "problem"}
        Warning: some runs will fail or be slow.  Problem: most will fail.
    found : str
        The facts.
    advice : str
        What to do; empty where all is well.
    """

    name: str
    state: str
    found: str
    advice: str = ""


def examine() -> list[Check]:
    """Check the installation, and this machine as this process may use it; no file is left behind."""
    checks = (
        _version,
        _packages,
        _compiled_code,
        _temporary_folder,
        _current_folder,
        _memory,
        _cores,
        _open_files,
    )
    return [check() for check in checks]


def _version() -> Check:
    """Return the versions of the package, of Python and of the system."""
    # Not of the module platform, which starts a process to know the processor.
    system = os.uname()
    found = f"Python {platform.python_version()}, {system.sysname} {system.release}, {system.machine}"
    try:
        return Check("version", OK, f"{PACKAGE} {version(PACKAGE)}, {found}")
    except PackageNotFoundError:
        return Check("version", PROBLEM, f"{PACKAGE} is not installed, {found}", "Install it with pip.")


def _packages() -> Check:
    """Return the versions of the packages that are needed."""
    found, lacking = [], []
    for name, least in _requirements():
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "is missing"
        found.append(f"{name} {installed}")
        if _numbers(installed) < _numbers(least):
            lacking.append(f"{name} {least}")
    advice = f"Install at least {', '.join(lacking)}." if lacking else ""
    return Check("packages", PROBLEM if lacking else OK, ", ".join(found), advice)


def _requirements() -> Iterator[tuple[str, str]]:
    """Yield the packages that are always needed, and the least version of each."""
    with suppress(PackageNotFoundError):
        for requirement in requires(PACKAGE) or ():
            # Behind a semicolon stands a condition, as of an extra, or of another version of Python.
            if ";" not in requirement and (parts := _REQUIREMENT.match(requirement)):
                yield parts[1], parts[2]


def _numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of a version up to the first part that is none."""
    numbers = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(map(int, numbers[0].split("."))) if numbers else ()


def _compiled_code() -> Check:
    """Return the folder in which compiled code is kept."""
    folder, problem = private_files.find_writable("")
    if folder:
        return Check("compiled code", OK, f"kept in {folder!r}")
    advice = "Each process compiles anew; name a folder of yours in XDG_CACHE_HOME."
    return Check("compiled code", WARNING, f"kept nowhere ({problem})", advice)


def _temporary_folder() -> Check:
    """Return the folder for temporary files, in which a sort that is larger than memory is done."""
    try:
        folder = private_files.temporary_folder()
    except OSError:
        return Check("temporary", PROBLEM, "no folder takes files", "Name one in TMPDIR.")
    advice = "Name another folder in TMPDIR."
    check = _folder("temporary", folder, PROBLEM, advice)
    if check.state == OK and (unused := private_files.unused_temporary_folder()):
        return Check("temporary", WARNING, f"{check.found}. {unused.rstrip('.')}", advice)
    return check


def _current_folder() -> Check:
    """Return the current folder, in which most users store their runs."""
    try:
        folder = Path.cwd()
    except OSError:
        return Check("current folder", WARNING, "is gone", "Change to another.")
    return _folder("current folder", folder, WARNING, "Store runs in another folder.")


def _folder(name: str, folder: Path, unwritable: str, advice: str) -> Check:
    """Return the space in a folder, and whether it takes files."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(private_files.PROBE_BYTES))
            file.flush()
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return Check(name, unwritable, f"{str(folder)!r} takes no files ({error.strerror})", advice)
    found = f"{str(folder)!r}, {_gigabytes(usage.free)} of {_gigabytes(usage.total)} free"
    if usage.free < ENOUGH_DISK:
        return Check(name, WARNING, found, advice)
    return Check(name, OK, found)


def _memory() -> Check:
    """Return the memory that is free, and what the limit of a container leaves of it."""
    memory = psutil.virtual_memory()
    found = f"{_gigabytes(memory.available)} of {_gigabytes(memory.total)} free"
    left = min(memory.available, _group_memory())
    if left < memory.available:
        found = f"{found}, and {_gigabytes(max(left, 0))} of it within the limit of the container"
    if left < LEAST_MEMORY:
        return Check("memory", PROBLEM, found, "Free some memory, or raise the limit of the container.")
    if left < memory.available:
        # What a run would take by default if it saw this limit: 80 % of what is left, for one worker a core.
        share = left * 8 // 10 // available_cores() // 10**6
        return Check(
            "memory", WARNING, found, f"Give each worker its share of it: --memory-limit '{share} MB'."
        )
    if left < ENOUGH_MEMORY:
        return Check("memory", WARNING, found, "Free some memory, or score with --workers 0.")
    return Check("memory", OK, found)


def _group_memory() -> int:
    """Return the bytes that this process may still take within the limit of a container."""
    with suppress(OSError, ValueError):
        for line in PROCESS_GROUPS.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                return min(_left(CGROUPS, path, "memory.max", "memory.current"), default=NO_LIMIT)
            if "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
                return min(_left(CGROUPS / "memory", path, *names), default=NO_LIMIT)
    return NO_LIMIT


def _left(root: Path, path: str, limit: str, used: str) -> Iterator[int]:
    """Yield the bytes that a group and each group around it leave, of those that have a limit."""
    group = root / path.lstrip("/")
    for folder in (group, *group.parents):
        # A container sees its own group as the root, and may not see those that it is named after.
        with suppress(OSError, ValueError):
            most, taken = (int((folder / name).read_text()) for name in (limit, used))
            # Files that were read and can be forgotten are counted as used, and are no need.
            files = re.search(r"^inactive_file (\d+)", (folder / "memory.stat").read_text(), re.MULTILINE)
            yield most - taken + (int(files[1]) if files else 0)
        if folder == root:
            return


def _cores() -> Check:
    """Return the number of processors that this process may use."""
    return Check("cores", OK, f"{available_cores()} of {os.cpu_count()}")


def _open_files() -> Check:
    """Return the number of files that this process may open."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return Check("open files", OK, "any number")
    if limit < ENOUGH_OPEN_FILES:
        return Check("open files", WARNING, f"at most {limit:,}", f"Raise it: ulimit -n {ENOUGH_OPEN_FILES}")
    return Check("open files", OK, f"at most {limit:,}")


def _gigabytes(n_bytes: int) -> str:
    """Return bytes in gigabytes.

    >>> _gigabytes(1_250_000_000)
    '1.2 GB'
    """
    return f"{n_bytes / 10**9:,.1f} GB"
