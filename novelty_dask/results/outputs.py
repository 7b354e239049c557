"""Outputs of exports: files that appear when they are whole, and streams, which are written as rows come.

A stream is standard output, a pipe or a device.  Replacing one by a file would take it from its readers, so
streams are opened and written to.  Block devices and sockets are refused.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import re
import stat
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from novelty_dask.errors import DISK_FULL, DiskFullError, StoreError, escape
from novelty_dask.objects.address import enclosing_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

STANDARD_OUTPUT = "-"
DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
"""Names of what this process has open."""
STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
STDOUT_NAMES = (STANDARD_OUTPUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
# As Linux does: links may go in a circle.
MOST_LINKS = 40
UNUSABLE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.ENODEV, errno.EBADF, errno.ETXTBSY),
)
"""Errors of a path that can't be written to, for which another one is needed."""
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL)
"""Errors of a file system that gives a file one name alone."""


class Output(NamedTuple):
    """Output that is open.

    Parameters
    ----------
    file : binary file
        Takes the bytes.
    folder : Path or None
        Folder on the disk of the file, for temporary files; None for a stream.
    """

    file: IO[bytes]
    folder: Path | None = None


class Stream(io.RawIOBase):
    """Binary file that can't seek, also where the file behind it can.

    Zip archives and Parquet files are then written from front to back.  To seek in a file that was opened for
    appending would break them.

    Parameters
    ----------
    file : binary file
        The file behind it, which stays open.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return self._file.isatty()

    def write(self, data: Any) -> int:
        """Write all of the bytes.

        Raises
        ------
        BlockingIOError
            The file behind it does not wait for its reader.
        """
        left = memoryview(data).cast("B")
        n_bytes = len(left)
        # A file without a buffer, as standard output is with `python -u`, may take fewer.
        while left:
            n_taken = self._file.write(left)
            if n_taken is None:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            left = left[n_taken:]
        return n_bytes


class VisibleStream(Stream):
    """Stream to a terminal, to which text goes with everything escaped that would command it."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        # A character may be cut where one write ends and the next begins.
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(self, data: Any) -> int:
        """Write all of the bytes, a line a line."""
        lines = self._decoder.decode(bytes(data)).split("\n")
        super().write("\n".join(map(escape, lines)).encode())
        return len(data)


def open_output(out: str, sources: Iterable[str], *, overwrite: bool) -> AbstractContextManager[Output]:
    """Return an output that opens when it is entered.

    Parameters
    ----------
    out : str
        Path of a file, a pipe or a device; ``"-"`` is standard output.
    sources : iterable of str
        Files that are not to be replaced.
    overwrite : bool
        True to replace a file.

    Raises
    ------
    StoreError
        Something is there that is not to be replaced, or can't be.
    """
    if out == STANDARD_OUTPUT:
        return _standard_output()
    descriptor = _descriptor(out)
    if descriptor is not None:
        # A copy of the descriptor is closed in the end; the other is not ours to close.
        return _stream(lambda: os.fdopen(os.dup(descriptor), "wb"))
    try:
        status = os.stat(out)  # noqa: PTH116 - Path takes "" for a folder
    except FileNotFoundError:
        status = None
    mode = status.st_mode if status else stat.S_IFREG
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        # Neither created nor cut: should a file have taken its place since, nothing is lost.
        return _stream(lambda: os.fdopen(os.open(out, os.O_WRONLY), "wb"))
    _check_regular(out, mode)
    # Links are followed, as a rename would replace the link and leave its target as it was.
    path = Path(os.path.realpath(out))
    _check_place(path, out)
    if status:
        _check_replaceable(path, out, status, sources, overwrite=overwrite)
    return _whole_file(path, status)


def _descriptor(out: str) -> int | None:
    """Return the number of an open file, if a path names one, also through links."""
    for _ in range(MOST_LINKS):
        if out in STREAMS:
            return STREAMS[out]
        if match := DESCRIPTOR.fullmatch(out):
            return int(match[1])
        if not os.path.islink(out):  # noqa: PTH114 - pathlib would simplify the path
            break
        out = os.path.join(os.path.dirname(out), os.readlink(out))  # noqa: PTH115, PTH118, PTH120
    return None


def _check_regular(out: str, mode: int) -> None:
    """Refuse a path that is not one of a regular file.

    Raises
    ------
    StoreError
        It is that of something else.
    """
    if stat.S_ISDIR(mode) or out.endswith(os.sep):
        message = f"{out!r} is a folder; name a file in it."
        raise StoreError(message)
    if not stat.S_ISREG(mode):
        message = f"{out!r} is a block device or a socket; name a file or a pipe."
        raise StoreError(message)


def _check_place(path: Path, out: str) -> None:
    """Refuse a path inside a run.

    Raises
    ------
    StoreError
        It names the run.
    """
    run = enclosing_run(path)
    if run:
        message = f"{out!r} is inside the run {str(run)!r}; name a file elsewhere."
        raise StoreError(message)


def _check_replaceable(
    path: Path, out: str, status: os.stat_result, sources: Iterable[str], *, overwrite: bool
) -> None:
    """Refuse to replace a file unasked, one that is not ours to write, and a source of the run.

    Raises
    ------
    StoreError
        It says which of these.
    """
    if not overwrite:
        message = f"{out!r} exists; nothing was written: name another file, or replace it (overwrite=True)."
        raise StoreError(message)
    # The folder alone decides whether a file can be replaced by a rename; its owner meant more by its mode.
    if not os.access(path, os.W_OK):
        message = f"{out!r} is write-protected; name another file, or remove it first."
        raise StoreError(message)
    if any(_is_same(source, status) for source in sources):
        message = f"{out!r} is a source of the run, which is not overwritten; name another file."
        raise StoreError(message)


def _is_same(path: str, status: os.stat_result) -> bool:
    """Return whether a path names a file, by whatever name."""
    try:
        return os.path.samestat(os.stat(path), status)  # noqa: PTH116 - as above
    except OSError:
        return False


@contextmanager
def _whole_file(path: Path, before: os.stat_result | None) -> Iterator[Output]:
    """Open a file that gets its name when all is written, with owner and mode of the one that it replaces."""
    # In the folder of the file, as only a rename within a file system is whole or not at all.
    with tempfile.TemporaryDirectory(prefix=".novelty-", dir=path.parent) as folder:
        partial = Path(folder, "out")
        with partial.open("wb") as file:
            if before:
                _keep_owner(file.fileno(), before, path)
            yield Output(file, Path(folder))
            file.flush()
            # Before the rename: otherwise a power failure may leave the name with an empty file, in place of
            # the one that was replaced.
            os.fsync(file.fileno())
        if before:
            partial.replace(path)
        else:
            _name_new(partial, path)


def _name_new(partial: Path, path: Path) -> None:
    """Give a file a name that none has, in one step, as another may be made at any moment.

    Raises
    ------
    StoreError
        There is one.
    """
    try:
        try:
            path.hardlink_to(partial)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            # A file system without links.  The name is taken first, by an empty file.
            path.touch(exist_ok=False)
            partial.replace(path)
        else:
            partial.unlink()
    except FileExistsError:
        message = f"{str(path)!r} was made by somebody else meanwhile; name another file."
        raise StoreError(message) from None


def _keep_owner(file: int, before: os.stat_result, path: Path) -> None:
    """Give an open file the owner, the group and the mode of another.

    Raises
    ------
    StoreError
        Only its owner, or root, can do that.
    """
    now = os.fstat(file)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        try:
            os.fchown(file, before.st_uid, before.st_gid)
        except PermissionError:
            message = (
                f"{str(path)!r} belongs to another user or group; name another file, or remove it first."
            )
            raise StoreError(message) from None
    # Last, as a change of owner takes bits of the mode away.
    os.fchmod(file, stat.S_IMODE(before.st_mode))


@contextmanager
def _standard_output() -> Iterator[Output]:
    """Open standard output, which stays open.

    Raises
    ------
    StoreError
        It is closed, or takes text alone, as in a notebook.
    """
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        message = "Standard output is closed, or takes no bytes; name a file."
        raise StoreError(message)
    sys.stdout.flush()
    yield Output(cast("IO[bytes]", Stream(buffer)))
    buffer.flush()


@contextmanager
def _stream(opened: Callable[[], IO[bytes]]) -> Iterator[Output]:
    """Open a pipe or a device."""
    with opened() as file:
        yield Output(cast("IO[bytes]", Stream(file)))


@contextmanager
def writing_errors(out: str) -> Iterator[None]:
    """Raise a sentence for a path that can't be written to, and for a full disk; other errors as they are.

    Raises
    ------
    StoreError
        Another path is needed.
    DiskFullError
        Space is needed.
    """
    try:
        yield
    except (StoreError, BrokenPipeError):
        # Whether it matters that the reader of a pipe has gone is for the caller to say.
        raise
    except OSError as error:
        said = f"Can't write {out!r}: {os.strerror(error.errno) if error.errno else error}"
        if error.errno in DISK_FULL:
            message = f"{said}; free some space, then repeat it."
            raise DiskFullError(message) from None
        if error.errno in UNUSABLE:
            message = f"{said}; name another file."
            raise StoreError(message) from None
        raise
