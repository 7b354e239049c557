"""Files that a user keeps between processes, in a folder where nobody else can put any.

Compiled code is kept here, and whoever wrote it decides what this process runs.  So a file counts only if
this user owns it and nobody else may write to it, and it is found in one of these folders, never beside the
package:

1. the one that ``NUMBA_CACHE_DIR`` names;
2. the user's cache, ``XDG_CACHE_HOME`` or ``~/.cache``;
3. the folder for temporary files.

Each has a folder for each user, with one for each version of what is kept.  Folders that can't be used, such
as those of a home that is read-only or absent, are passed over.
"""

import errno
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MOST_VERSIONS = 8
"""Versions that are kept of the same user; more are of no use to anybody, and the oldest go."""
PROBE_BYTES = 4096
"""Bytes of a trial: a full disk still takes an empty file."""
_SYSTEM = ("/tmp", "/var/tmp", "/usr/tmp")  # noqa: S108 - only compared with
"""Folders that Python tries for temporary files after those of the environment."""
_MADE_BY_OTHERS = "another user may have written"


def user_folders() -> list[Path]:
    """Return the folders for files of this user, in the order in which they are tried; they may not exist."""
    return [base / f"novelty-dask-{os.geteuid()}" for base in _bases()]


def _bases() -> Iterator[Path]:
    """Yield the folders in which users have folders of their own."""
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(named).absolute()
    named = os.environ.get("XDG_CACHE_HOME", "")
    # The specification of XDG ignores relative paths.
    if named.startswith("/"):
        yield Path(named)
    else:
        # A user without a name, as containers have, may have no home either.
        with suppress(RuntimeError):
            yield Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    with suppress(OSError):
        yield temporary_folder()


def temporary_folder() -> Path:
    """Return the folder for temporary files.

    Raises
    ------
    OSError
        None takes files, or none but the current folder, which is Python's last resort.
    """
    folder = Path(tempfile.gettempdir())
    usual = {*map(os.environ.get, ("TMPDIR", "TEMP", "TMP")), *_SYSTEM}
    if folder.samefile(".") and str(folder) not in usual:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    return folder


def unused_temporary_folder() -> str:
    """Return a sentence on the folder that TMPDIR names if it takes no files, so that another is used."""
    named, used = os.environ.get("TMPDIR"), tempfile.gettempdir()
    if not named or used == str(Path(named).absolute()):
        return ""
    try:
        with tempfile.TemporaryFile(dir=named) as file:
            file.write(bytes(PROBE_BYTES))
    except OSError as error:
        return f"TMPDIR is not used, as {named!r} takes no files ({error.strerror}); it is {used!r} instead."
    return ""


def load(version: str, name: str) -> bytes | None:
    """Return the content of a file that this user alone can have written; None if there is none."""
    for folder in user_folders():
        with suppress(OSError):
            return _read(folder / version / name)
    return None


def keep(version: str, name: str, content: bytes) -> Path:
    """Write a file to the first folder that takes it, as a whole or not at all; return the user's folder.

    Raises
    ------
    OSError
        No folder takes it; it says why the first did not.
    """
    problems = []
    for folder in user_folders():
        try:
            _write(_make(folder, version) / name, content)
        except OSError as error:
            problems.append(error)
        else:
            return folder
    raise problems[0] if problems else FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def find_writable(version: str) -> tuple[str | None, str]:
    """Return the user's folder that takes files now, else None and why there is none."""
    name = f"probe-{os.getpid()}"
    try:
        folder = keep(version, name, bytes(PROBE_BYTES))
    except OSError as error:
        return None, f"{error.strerror or error}" + f" at {str(error.filename)!r}" * bool(error.filename)
    with suppress(OSError):
        (folder / version / name).unlink()
    return str(folder), ""


def _read(path: Path) -> bytes:
    """Return the content of a file, if nobody else can have written it."""
    # By the open file and not by its path, below which another folder may be put meanwhile; and without
    # waiting, as a named pipe would have it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        _check_private(found, path)
        return file.read()


def _make(folder: Path, version: str) -> Path:
    """Return the folder of a version, made with those above it if they are missing."""
    # Not those above a cache: a home that does not exist is not ours to make.
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    for path in (folder, folder / version):
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
            if path.name == version:
                _forget_old(folder)
        # Of the path itself: a link that somebody put here leads where that somebody wants.
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        _check_private(found, path)
    return folder / version


def _check_private(found: os.stat_result, path: Path) -> None:
    """Refuse a file or folder of another user, or one that others may write to."""
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(errno.EACCES, _MADE_BY_OTHERS, str(path))


def _write(path: Path, content: bytes) -> None:
    """Write a file whole: another process sees either all of it or nothing."""
    descriptor, temporary = tempfile.mkstemp(prefix=".", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        # Not synced: whoever loads it compares a hash, and code that a power failure cut is compiled again.
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def _forget_old(folder: Path) -> None:
    """Remove the versions that were made longest ago, beyond those that are kept."""
    with suppress(OSError):
        versions = sorted(folder.iterdir(), key=lambda path: path.lstat().st_mtime, reverse=True)
        for path in versions[MOST_VERSIONS:]:
            shutil.rmtree(path, ignore_errors=True)


def is_stream(name: str) -> bool:
    """Return whether what is written to a name is read at once: standard output, a pipe or a device.

    >>> is_stream("-"), is_stream("/dev/null"), is_stream("rows.csv")
    (True, True, False)
    """
    # Of /dev and /proc, not all are streams: /dev/shm is a folder for files.
    path = Path(name)
    return name == "-" or (path.exists() and not (path.is_file() or path.is_dir()))
