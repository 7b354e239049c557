"""A run on disk: one Zarr v3 group whose attributes hold its manifest.

The manifest says what the run is: the format's version, the settings that change
numbers, the sources, the plan, what was counted, and which stages are complete.  It is
replaced as a whole, by one write of the group's metadata, after the data it speaks of.
"""

from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import zarr
from fsspec.core import url_to_fs

from novelty_dask.errors import StoreError
from novelty_dask.storage.sources import STDIN

FORMAT_VERSION = 1
ATTRIBUTE = "novelty_dask"
WORK_FOLDER = "work"


@dataclass
class Manifest:
    """What a run says of itself.

    Parameters
    ----------
    settings : dict
        The settings that change numbers.
    sources : list of dict
        URL, bytes and compression of each source.
    plan : dict
        Rows, rows of a block, blocks of a group.
    counts : dict
        Lines read, distinct rows, duplicates, and rejected lines by reason.
    stages : dict
        Complete stages, each with its tasks, wall seconds and core seconds.
    """

    settings: dict[str, Any]
    sources: list[dict[str, Any]]
    plan: dict[str, int] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION
    novelty_dask_version: str = field(default_factory=lambda: version("novelty-dask"))

    @property
    def has_rows(self) -> bool:
        """Whether the rows are stored, so that the sources are not needed any more."""
        return "vectorize" in self.stages

    @property
    def is_complete(self) -> bool:
        """Whether the last stage is complete."""
        return "merge" in self.stages


def create_run(url: str, manifest: Manifest) -> zarr.Group:
    """Make an empty run where nothing is yet.

    Raises
    ------
    StoreError
        It can't be made there.
    """
    try:
        group = zarr.open_group(absolute_url(url), mode="w-", zarr_format=3)
    except (OSError, ValueError) as error:
        message = f"Can't create {url!r}: {_reason(error)}."
        raise StoreError(message) from None
    write_manifest(group, manifest)
    return group


def absolute_url(path: str) -> str:
    """The path as workers that were started elsewhere find it, too; a URL as it is."""
    local = path.removeprefix("file://")
    return path if "://" in local else str(Path(local).absolute())


def is_inside(url: str, run: str) -> bool:
    """Whether a URL is that of a file of a run."""
    return absolute_url(url).startswith(f"{absolute_url(run).rstrip('/')}/")


def find_run(url: str) -> bool:
    """Whether there is a run.

    Raises
    ------
    StoreError
        There is something else, which is not overwritten.
    """
    fs, path = _file_system(url)
    if not fs.exists(path):
        return False
    try:
        open_group(url)
    except StoreError:
        message = f"{url!r} exists and is no run; nothing was written: name another output path."
        raise StoreError(message) from None
    return True


def check_same(url: str, stored: Manifest, wanted: Manifest) -> None:
    """Refuse to go on with a run of other settings or sources.

    Raises
    ------
    StoreError
        It names what differs.
    """
    differing = [
        f"{name} is {stored.settings.get(name)!r} there and {value!r} here"
        for name, value in wanted.settings.items()
        if stored.settings.get(name) != value
    ]
    if stored.sources != wanted.sources:
        differing.append("the sources are others, or have changed")
    elif stored.is_complete and any(source["url"] == STDIN for source in stored.sources):
        differing.append("its standard input can't be compared with this one")
    if differing:
        message = f"{url!r} holds another run ({'; '.join(differing)}); name another output path."
        raise StoreError(message)


def _file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path in it."""
    try:
        fs, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        message = f"Can't use {url!r}: {_reason(error)}."
        raise StoreError(message) from None
    return fs, path


def _reason(error: Exception) -> str:
    """What an error says, as the end of a sentence."""
    return " ".join(str(getattr(error, "strerror", None) or error).split()).rstrip(".")


def open_group(url: str, mode: str = "r") -> zarr.Group:
    """Open the group of an existing run.

    Raises
    ------
    StoreError
        There is none, or it is no run of this format.
    """
    try:
        group = zarr.open_group(absolute_url(url), mode=mode, zarr_format=3)  # type: ignore[arg-type]
    except (FileNotFoundError, NotADirectoryError):
        message = f"{url!r} holds no run; check the path."
        raise StoreError(message) from None
    except (AttributeError, ImportError, KeyError, OSError, TypeError, ValueError) as error:
        # Zarr raises any of them for metadata that are none.
        message = f"{url!r} can't be opened as a run: {_reason(error)}; check the path."
        raise StoreError(message) from None
    if ATTRIBUTE not in group.attrs:
        message = f"{url!r} is a Zarr group but no run; check the path."
        raise StoreError(message)
    return group


def open_complete(url: str) -> tuple[zarr.Group, Manifest]:
    """Open the group of a complete run, with its manifest.

    Raises
    ------
    StoreError
        There is no run, or it is not complete.
    """
    group = open_group(url)
    manifest = read_manifest(group)
    if not manifest.is_complete:
        message = f"The run {url!r} is not complete; repeat the command that made it to go on."
        raise StoreError(message)
    return group, manifest


def read_manifest(group: zarr.Group) -> Manifest:
    """The manifest of a run.

    Raises
    ------
    StoreError
        It was written in another format.
    """
    values: Any = group.attrs[ATTRIBUTE]
    found = values.get("format_version") if isinstance(values, dict) else None
    if found != FORMAT_VERSION or set(values) != {each.name for each in fields(Manifest)}:
        message = (
            f"The run {group.store_path} has format {found}, and this version reads "
            f"format {FORMAT_VERSION}; use the version that wrote it or score again."
        )
        raise StoreError(message)
    return Manifest(**values)


def write_manifest(group: zarr.Group, manifest: Manifest) -> None:
    """Replace the manifest of a run."""
    group.attrs[ATTRIBUTE] = asdict(manifest)


def remove_run(url: str) -> None:
    """Remove a run, with all that is in it."""
    fs, path = _file_system(url)
    fs.rm(path, recursive=True)


def work_url(url: str, *parts: str) -> str:
    """Where a run keeps the tables that it needs for a while."""
    return "/".join([url.rstrip("/"), WORK_FOLDER, *parts])
