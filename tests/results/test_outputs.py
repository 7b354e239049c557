"""Exports replace regular files that may be replaced, and write to everything else as it is."""

import errno
import os
import shutil
import signal
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import numpy as np
import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.errors import DiskFullError, SettingsError, StoreError
from novelty_dask.results.export import export
from novelty_dask.results.outputs import Stream, VisibleStream, open_output
from novelty_dask.run import Run
from tests.support.files import snapshot

FORMATS = ["csv", "jsonl", "parquet", "npz"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two sources."""
    folder = tmp_path_factory.mktemp("outputs")
    lines = make_urls(300)[0]
    for name, part in {"first.txt": lines[:100], "second.txt": lines[100:]}.items():
        (folder / name).write_text("\n".join(part), encoding="utf-8")
    return novelty_dask.score([folder / "first.txt", folder / "second.txt"], folder / "run.zarr")


@pytest.fixture(scope="module")
def csv(run: Run, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Its rows as CSV."""
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    export(run, path)
    return path.read_bytes()


@contextmanager
def reading(path: Path) -> Iterator[list[bytes]]:
    """Read a pipe while something writes to it."""
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()), daemon=True)
    reader.start()
    yield read
    reader.join(200)


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_fifo_stays_one_and_its_reader_gets_all(
    run: Run, csv: bytes, tmp_path: Path, *, overwrite: bool
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with reading(fifo) as read:
        export(run, fifo, format="csv", overwrite=overwrite)
    assert read == [csv]
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert list(tmp_path.iterdir()) == [fifo]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_device_stays_one(run: Run, tmp_path: Path, format_: str) -> None:
    """Through a link, so that nothing is lost if it does not."""
    link = tmp_path / "null"
    link.symlink_to(os.devnull)
    export(run, link, format=format_, overwrite=True)
    assert link.is_symlink()
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_stream_holds_the_same_rows_as_a_file(run: Run, tmp_path: Path, format_: str) -> None:
    """A file open for appending can seek, but would be broken by it."""
    export(run, tmp_path / f"file.{format_}")
    with (tmp_path / f"stream.{format_}").open("ab") as file:
        export(run, f"/dev/fd/{file.fileno()}", format=format_)
    written, expected = (tmp_path / f"{name}.{format_}" for name in ("stream", "file"))
    if format_ != "npz":
        assert written.read_bytes() == expected.read_bytes()
        return
    # The members of a zip archive that is written to a stream state their sizes at their ends.
    with np.load(written) as arrays, np.load(expected) as others:
        assert {*arrays} == {*others}
        for name in arrays:
            np.testing.assert_array_equal(arrays[name], others[name])


def test_links_are_followed(run: Run, csv: bytes, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "rows.csv", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to(target)
    export(run, link, overwrite=True)
    assert link.is_symlink()
    assert target.read_bytes() == csv
    target.unlink()
    export(run, link)
    assert link.is_symlink()
    assert target.read_bytes() == csv


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_the_mode_of_a_replaced_file_stays(run: Run, csv: bytes, tmp_path: Path, mode: int) -> None:
    out = tmp_path / "rows.csv"
    out.write_text("old")
    out.chmod(mode)
    export(run, out, overwrite=True)
    assert out.read_bytes() == csv
    assert stat.S_IMODE(out.stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_the_owner_of_a_replaced_file_stays(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    out.write_text("old")
    out.chmod(0o4750)
    os.chown(out, 12_345, 23_456)
    out.chmod(0o4750)
    export(run, out, overwrite=True)
    assert (out.stat().st_uid, out.stat().st_gid) == (12_345, 23_456)
    assert stat.S_IMODE(out.stat().st_mode) == 0o4750


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_does_not_take_a_file(run: Run) -> None:
    """A file that anybody may write to stays its owner's, as only a rename is whole or not at all."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder, out = Path(name), Path(name, "rows.csv")
        shutil.copytree(run.url, folder / "run.zarr")
        out.write_text("old")
        for path, mode in ((folder, 0o777), (out, 0o666)):
            path.chmod(mode)
        os.seteuid(65_534)
        try:
            with pytest.raises(StoreError, match="belongs to another user or group"):
                export(folder / "run.zarr", out, overwrite=True)
            export(folder / "run.zarr", folder / "own.csv")
        finally:
            os.seteuid(0)
        assert out.read_text() == "old"
        assert (folder / "own.csv").stat().st_uid == 65_534


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write every file")
def test_a_write_protected_file_is_kept(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    out.write_text("old")
    out.chmod(0o444)
    with pytest.raises(StoreError, match="is write-protected"):
        export(run, out, overwrite=True)
    assert out.read_text() == "old"


@pytest.mark.parametrize("name", ["first.txt", "second.txt"])
@pytest.mark.parametrize("linked", ["", "symlink_to", "hardlink_to"])
def test_a_source_is_not_overwritten(run: Run, tmp_path: Path, name: str, linked: str) -> None:
    out = source = Path(run.url).with_name(name)
    if linked:
        out = tmp_path / "link"
        getattr(out, linked)(source)
    before = source.read_bytes()
    with pytest.raises(StoreError, match="is a source of the run"):
        export(run, out, format="csv", overwrite=True)
    assert source.read_bytes() == before


@pytest.mark.parametrize("name", ["zarr.json", "novelty/c/0", "new.csv", "owners/new.csv"])
@pytest.mark.parametrize("lost", [None, "zarr.json", "commits"])
@pytest.mark.parametrize("through", ["path", "link"])
def test_nothing_in_a_run_is_overwritten(
    run: Run, tmp_path: Path, name: str, lost: str | None, through: str
) -> None:
    """In any run, also a damaged one, and through a link."""
    other = tmp_path / "other.zarr"
    (other / "novelty" / "c").mkdir(parents=True)
    for file in ("zarr.json", "novelty/c/0"):
        (other / file).write_text("{}")
    for marker in ("commits", "owners"):
        (other / marker).mkdir()
    if lost:
        (other / lost).rename(tmp_path / "lost")
    (tmp_path / "link").symlink_to(other)
    before = snapshot(other)
    folder = other if through == "path" else tmp_path / "link"
    with pytest.raises(StoreError, match="is inside the run"):
        export(run, folder / name, format="csv", overwrite=True)
    assert snapshot(other) == before


def test_a_file_beside_a_run_is_written(run: Run, csv: bytes) -> None:
    out = Path(run.url).with_name("rows.csv")
    export(run, f"file://{out}")
    assert out.read_bytes() == csv


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", r"folder' is a folder; name a file in it\.$"),
        ("new/", r"new/' is a folder; name a file in it\.$"),
        ("socket", "is a block device or a socket"),
        ("loop", "Too many levels of symbolic links"),
        ("n" * 300, "File name too long"),
        ("file/rows", "Not a directory"),
    ],
)
@pytest.mark.parametrize("overwrite", [True, False])
def test_what_can_not_be_replaced_stays(
    run: Run, tmp_path: Path, name: str, message: str, *, overwrite: bool
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{os.path.relpath(tmp_path)}/socket")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreError, match=message):
        export(run, f"{tmp_path}/{name}", format="csv", overwrite=overwrite)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("out", ["s3://bucket/rows.csv", "https://a.example/rows.csv", "memory://rows.csv"])
def test_an_export_is_a_local_file(run: Run, out: str) -> None:
    with pytest.raises(StoreError, match=r"exports are local files; name one, and copy it there\.$"):
        export(run, out)


def test_a_second_export_names_the_keyword(run: Run, csv: bytes, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    export(run, out)
    with pytest.raises(StoreError, match=r"or replace it \(overwrite=True\)\.$") as caught:
        export(run, out)
    assert "--" not in str(caught.value)
    export(run, out, overwrite=True)
    assert out.read_bytes() == csv


def test_a_file_made_meanwhile_stays(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, replace = tmp_path / "rows.csv", os.fsync

    def make_it_first(file: int) -> None:
        out.write_text("precious")
        replace(file)

    monkeypatch.setattr(os, "fsync", make_it_first)
    with pytest.raises(StoreError, match="made by somebody else"):
        export(run, out)
    assert out.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [out]


def test_a_link_made_meanwhile_stays(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One to a file that is yet to come does not exist, and is not to be replaced either."""
    out, replace = tmp_path / "rows.csv", os.fsync

    def make_it_first(file: int) -> None:
        out.symlink_to(tmp_path / "later")
        replace(file)

    monkeypatch.setattr(os, "fsync", make_it_first)
    with pytest.raises(StoreError, match="made by somebody else"):
        export(run, out)
    assert out.is_symlink()
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("has_links", [True, False])
def test_a_new_file_takes_the_place_of_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_links: bool
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    if not has_links:
        monkeypatch.setattr(os, "link", refuse)
    out = tmp_path / "rows.csv"
    with open_output(str(out), (), overwrite=False) as output:
        output.file.write(b"whole")
    assert out.read_bytes() == b"whole"
    assert out.stat().st_nlink == 1
    second = tmp_path / "second.csv"
    with (
        pytest.raises(StoreError, match="made by somebody else"),
        open_output(str(second), (), overwrite=True) as output,
    ):
        second.write_text("precious")
    assert second.read_text() == "precious"
    assert sorted(tmp_path.iterdir()) == [out, second]


@pytest.mark.parametrize("made", [Stream, VisibleStream])
def test_a_stream_writes_all_where_a_pipe_takes_a_part(made: type[Stream]) -> None:
    """A signal on the way ends a write to a pipe early; a buffer would hide that."""
    ours, theirs = os.pipe()
    content, read = b"0123456789abcde\n" * 20_000, []

    def read_late() -> None:
        time.sleep(0.5)
        with os.fdopen(ours, "rb") as file:
            read.append(file.read())

    reader = threading.Thread(target=read_late, daemon=True)
    reader.start()
    previous = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        with os.fdopen(theirs, "wb", buffering=0) as file:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            assert made(cast("IO[bytes]", file)).write(content) == len(content)
    finally:
        signal.signal(signal.SIGALRM, previous)
    reader.join(200)
    assert read == [content]


def test_a_stream_that_can_not_wait_says_so() -> None:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with (
        os.fdopen(ours, "rb"),
        os.fdopen(theirs, "wb", buffering=0) as file,
        pytest.raises(BlockingIOError, match="temporarily unavailable"),
    ):
        Stream(cast("IO[bytes]", file)).write(bytes(2**20))


def test_a_full_device(run: Run) -> None:
    with pytest.raises(DiskFullError, match=r"^Can't write '/dev/full': No space left on device; free some"):
        export(run, "/dev/full", format="csv")


@pytest.mark.parametrize("format_", ["parquet", "npz"])
def test_a_terminal_is_spared_what_it_can_not_show(run: Run, format_: str) -> None:
    ours, theirs = os.openpty()
    try:
        with pytest.raises(SettingsError, match=f"can't show {format_}"):
            export(run, os.ttyname(theirs), format=format_)
    finally:
        os.close(ours)
        os.close(theirs)
