"""Sources from what the user names: files, globs and folders on this machine or in an object store."""

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from fsspec.core import get_compression
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractFileSystem

from novelty_dask.errors import InputError, reason, without_secrets
from novelty_dask.events import LONGEST_ENDING, FolderFound, Listener
from novelty_dask.objects.protocol import METADATA
from novelty_dask.objects.schemes import without_path
from novelty_dask.sources.decompress import COMPRESSIONS, find_compression
from novelty_dask.sources.folders import check_name_is_storage, file_system
from novelty_dask.sources.signatures import COLUMNAR_MARKS, HEAD_BYTES, check_head, check_name

STDIN = "-"
STDIN_NAMES = {STDIN, "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"}
PIPE, MEMORY, REMOTE = "pipe:", "urls:", "remote:"
"""Beginnings of the URLs of pipes, of parts of what was in memory, and of lists of the web."""
DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/\d+")
"""Names of what this process has open, and no other: ``<(zcat a.gz)`` of a shell is one."""
COPY = re.compile(r"/work/(stdin|pipe-\d+|urls-\d+|remote-[0-9a-f]+)$")
"""End of the URL of a copy that a run keeps of a source that can be read but once."""
HIDDEN_NAME = re.compile(r"/[._]")
SHOWN_FILES = 5
"""Most files that a message names besides the first."""
VERSIONS = ("ETag", "etag", "mtime", "LastModified", "created")
"""Fields of file systems that change with the content of a file, best first."""


class Source(NamedTuple):
    """One file.

    Parameters
    ----------
    url : str
        URL of the file, as fsspec takes it.
    n_bytes : int
        Its size as stored.
    compression : str or None
        fsspec's name of its compression.
    version : str
        Text that changes with the content, if the file system has such.
    """

    url: str
    n_bytes: int
    compression: str | None
    version: str = ""

    def __repr__(self) -> str:
        """Return a text without the secrets of the URL, as Dask logs the arguments of tasks that fail."""
        return f"Source({without_secrets(self.url)!r}, {self.n_bytes}, {self.compression!r})"

    @property
    def path(self) -> str:
        """Its path on this machine, else its URL."""
        return self.url.removeprefix("file://").removeprefix(REMOTE)

    @property
    def is_stream(self) -> bool:
        """True if it can be read but once, so that a run keeps a copy of it."""
        return self.url == STDIN or self.url.startswith((PIPE, MEMORY, REMOTE))

    @property
    def copy_name(self) -> str:
        """The name of that copy."""
        if self.url.startswith(REMOTE):
            return f"remote-{hashlib.blake2b(self.url.encode(), digest_size=8).hexdigest()}"
        return "stdin" if self.url == STDIN else self.url.replace(":", "-")

    @property
    def shown(self) -> str:
        """Its path or URL in quotes, as messages name it."""
        copy = COPY.search(self.url)
        if not copy and not self.is_stream:
            return repr(self.path)
        kind, _, number = (copy[1] if copy else self.copy_name).partition("-")
        return {
            "stdin": "standard input",
            "pipe": f"pipe {number}",
            "urls": "what was in memory",
            "remote": "a list of the web" if copy else f"the list at {without_path(self.path)!r}",
        }[kind]


def source_names(sources: object, allows: Callable[[str], bool] = lambda _: False) -> list[str]:
    """Return the names of sources as a list, none of them a URL of the web but those that are allowed.

    Each is checked as it comes, so that an endless generator of URLs is refused at its first.

    Raises
    ------
    InputError
        They are URLs, an open file, or no names at all.
    """
    if isinstance(sources, str | PathLike):
        return [_name(sources, allows)]
    if hasattr(sources, "read"):
        message = "An open file is not a source; pass its name, or - for standard input."
        raise InputError(message)
    if isinstance(sources, bytes | bytearray) or not isinstance(sources, Iterable):
        message = f"Sources are names of files, not {type(sources).__name__}; give a path or a list of paths."
        raise InputError(message)
    return [_name(source, allows) for source in sources]


def _name(source: object, allows: Callable[[str], bool]) -> str:
    """Return the name of one source as text."""
    name = os.fspath(source) if isinstance(source, str | PathLike) else source
    if not isinstance(name, str):
        message = f"A source is the name of a file as text or a path, not {type(name).__name__}."
        raise InputError(message)
    if not allows(name):
        check_name_is_storage(name)
    return name


def find_sources(names: Iterable[str], listener: Listener | None = None) -> list[Source]:
    """Return the files behind paths, globs, folders and URLs of stores, each once, in the order named.

    The listener takes an event for each folder.

    Raises
    ------
    InputError
        A name matches nothing, or something that can't be read.
    """
    sources: dict[str, Source] = {}
    for source in chain.from_iterable(expand(name, listener) for name in names):
        sources.setdefault(_identity(source.url), source)
    if not sources:
        message = "No source is named; give a file, a glob, a folder, or - for standard input."
        raise InputError(message)
    return list(sources.values())


def _identity(url: str) -> str:
    """Return a text that all names of one file have in common."""
    path = url.removeprefix("file://")
    return os.path.realpath(path) if path != url else url


def expand(name: str, listener: Listener | None = None) -> list[Source]:
    """Return the files behind one name; standard input and pipes are sources of their own."""
    if name in STDIN_NAMES:
        return [Source(STDIN, 0, None)]
    if DESCRIPTOR.fullmatch(name) or _is_fifo(name):
        return [Source(f"{PIPE}{name}", 0, None)]
    try:
        sources = _find(name, listener) if name else []
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - each file system has its own
        named = getattr(error, "filename", None)
        path = named.removesuffix(f"/{METADATA}") if isinstance(named, str) else name
        message = f"Can't read {path!r}: {reason(error)}."
        raise InputError(message) from None
    if not sources:
        raise InputError(_absence(name))
    return sources


def _is_fifo(name: str) -> bool:
    """Return whether a path is that of a named pipe."""
    try:
        return stat.S_ISFIFO(os.stat(name).st_mode)  # noqa: PTH116 - Path takes "" for a folder
    except (OSError, ValueError):
        return False


def _absence(name: str) -> str:
    """Return a sentence on a name behind which there is no file."""
    if os.path.islink(name):  # noqa: PTH114 - never raises
        return f"{name!r} is a link to a file that is not there; check where it leads."
    if os.path.isdir(name):  # noqa: PTH112 - never raises
        return f"{name!r} is a folder without files to read; name files, or another folder."
    return f"Nothing matches {name!r}; check the path."


def _find(name: str, listener: Listener | None) -> list[Source]:
    """Return the file of a name, or else the files in the folder or of the glob."""
    fs, path = file_system(name)
    if _exists(fs, f"{path}/{METADATA}"):
        message = f"{name!r} is a run or another Zarr store; name the files that hold the URLs."
        raise InputError(message)
    if fs.isdir(path):
        return _find_in_folder(fs, path, name, listener)
    # A file whose name has a bracket or an asterisk is itself, not a pattern.
    named = [path] if _exists(fs, path) else sorted(fs.glob(path))
    return _sources(fs, [path for path in named if not fs.isdir(path)])


def _find_in_folder(fs: AbstractFileSystem, path: str, name: str, listener: Listener | None) -> list[Source]:
    """Return the files under a folder, without hidden ones, markers such as _SUCCESS, and those of runs."""
    # What is above the files may be hidden: whoever names a hidden folder wants what is in it.
    depth, left = len(path.rstrip("/")), Counter[str]()
    files = []
    for file in sorted(fs.find(path)):
        if skipped := HIDDEN_NAME.search(file, depth):
            left["hidden" if skipped[0] == "/." else "named _…"] += 1
        else:
            files.append(file)
    stores = tuple(file.removesuffix(METADATA) for file in files if file.endswith(f"/{METADATA}"))
    paths = [file for file in files if not file.startswith(stores)]
    left["of runs"] = len(files) - len(paths)
    sources = _sources(fs, paths)
    if sources and listener:
        endings = Counter(os.path.splitext(path)[1].lower() for path in paths)  # noqa: PTH122 - also of URLs
        taken = Counter[str]()
        for ending, n_files in endings.items():
            taken[ending if len(ending) <= LONGEST_ENDING else ""] += n_files
        n_empty = sum(source.n_bytes == 0 for source in sources)
        listener(FolderFound(without_secrets(name), taken, +left, n_empty))
    return sources


def _sources(fs: AbstractFileSystem, paths: Iterable[str]) -> list[Source]:
    """Return the sources of files; refuse them all together, naming the first that can't be read.

    Raises
    ------
    InputError
        One or several can't be.
    """
    sources, refused = [], []
    for path in paths:
        try:
            sources.append(_source(fs, path))
        except InputError as error:
            refused.append((path, error))
    if not refused:
        return sources
    (_, first), *others = refused
    if not others:
        raise first
    # All at once: nobody likes to remove one file after the other.
    shown = ", ".join(repr(os.path.basename(path)) for path, _ in others[:SHOWN_FILES])  # noqa: PTH119 - as above
    more = f" and {len(others) - SHOWN_FILES:,} more" if len(others) > SHOWN_FILES else ""
    message = f"{str(first).removesuffix('.')}; refused too: {shown}{more}."
    raise InputError(message)


def _exists(fs: AbstractFileSystem, path: str) -> bool:
    """Return whether a path exists."""
    if isinstance(fs, LocalFileSystem):
        try:
            Path(path).stat()
        except (OSError, ValueError) as error:
            # What nobody may look at is not absent; what is no path is.
            if isinstance(error, PermissionError):
                raise
            return False
        return True
    # Elsewhere the method of this name may answer no whatever the error was, such as an unknown host.
    try:
        fs.info(path)
    except FileNotFoundError:
        return False
    return True


def _source(fs: AbstractFileSystem, path: str) -> Source:
    """Return the source of one file, after a look at its beginning."""
    info = fs.info(path)
    n_bytes, version = file_state(info)
    source = Source(fs.unstrip_protocol(path), n_bytes, None, version)
    if info["type"] != "file" or not stat.S_ISREG(info.get("mode", stat.S_IFREG)):
        message = f"{source.shown} is not a regular file; pipe it in, and name - as the source."
        raise InputError(message)
    check_name(source.path)
    with fs.open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    # By its content, whatever its name; of one that is empty or damaged the name tells what it should be.
    compression = find_compression(head) or _compression(path)
    # Whether a table is read or refused depends on the settings.
    if compression is None:
        if not head.startswith(tuple(COLUMNAR_MARKS)):
            check_head(source.shown, head)
    elif compression not in COMPRESSIONS:
        message = (
            f"{source.shown} is compressed with {compression}, which can't be read; decompress it first."
        )
        raise InputError(message)
    return source._replace(compression=compression)


def _compression(path: str) -> str | None:
    """Return fsspec's name of the compression that the name of a file ends in, if there is one."""
    # Older versions of fsspec know .zst only where a package is installed that isn't needed here.
    return "zstd" if path.lower().endswith(".zst") else get_compression(path, "infer")


def file_state(info: dict[str, Any]) -> tuple[int, str]:
    """Return the size of a file, 0 if it is not known, and a text that changes with its content."""
    return int(info["size"] or 0), next((str(info[key]) for key in VERSIONS if info.get(key)), "")
