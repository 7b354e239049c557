"""What local and remote objects have in common, and what killed writers and full disks leave."""

import errno
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from novelty_dask.errors import StoreError
from novelty_dask.objects import local
from novelty_dask.objects.address import open_objects
from novelty_dask.objects.local import LocalObjects
from novelty_dask.objects.protocol import Objects, partial_name
from novelty_dask.objects.remote import RemoteObjects

PROCESSES = multiprocessing.get_context("spawn")


def test_when_an_object_was_stored_is_told_by_its_store(objects: Objects) -> None:
    assert objects.modified("a") is None
    objects.write("a", b"1")
    first = objects.modified("a")
    assert first is not None
    assert abs(first - time.time()) < 60
    objects.write("b", b"1")
    assert (objects.modified("b") or 0) >= first


# What holds for both.


@pytest.mark.parametrize("key", ["a", "a.b/c", "a/b/c/0/1", "例え/é 1", "a..b"])
@pytest.mark.parametrize("data", [b"", b"1", bytes(range(256)) * 20_000], ids=len)
def test_what_was_written_is_read(objects: Objects, key: str, data: bytes) -> None:
    objects.write(key, data)
    assert objects.read(key) == data
    assert objects.sizes() == {key: len(data)}


def signed(data: bytes) -> memoryview:
    """Bytes as Arrow has them."""
    return memoryview(data).cast("b")


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview, signed])
def test_any_kind_of_bytes_is_stored(objects: Objects, form: Callable[[bytes], bytes]) -> None:
    objects.write("written", form(b"abc"))
    assert objects.create("created", form(b"def"))
    objects.write_stream("streamed", [form(b"ghi"), form(b"jkl")])
    assert [objects.read(key) for key in ("written", "created", "streamed")] == [b"abc", b"def", b"ghijkl"]


def test_an_object_is_replaced_by_a_longer_or_shorter_one(objects: Objects) -> None:
    for data in (b"12", b"12345", b"", b"1"):
        objects.write("a/b", data)
        assert objects.read("a/b") == data


@pytest.mark.parametrize(
    "chunks",
    [[], [b""], [b"one"], [b"one", b"", bytearray(b"two"), memoryview(b"three")], [bytes(10**6)] * 20],
    ids=["none", "empty", "one", "kinds", "many"],
)
def test_a_stream_is_stored_as_one_object(objects: Objects, chunks: list[bytes]) -> None:
    for _ in range(2):
        assert objects.write_stream("a/b", iter(chunks)) == sum(map(len, chunks))
        assert objects.read("a/b") == b"".join(chunks)
        assert objects.sizes() == {"a/b": sum(map(len, chunks))}
        assert objects.sweep() == 0


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("before", [None, b"before"])
def test_a_stream_that_ends_in_the_middle_leaves_everything_as_it_was(
    objects: Objects, error: type[BaseException], before: bytes | None
) -> None:
    """Also while it is written nobody sees anything of it."""
    seen = []

    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(10**6)
            # As another client would: a request within a request of the same thread is no case of its own.
            seen.append(watcher.submit(objects.sizes).result())
        raise error

    if before is not None:
        objects.write("a/b", before)
    there = objects.sizes()
    with ThreadPoolExecutor(1) as watcher, pytest.raises(error):
        objects.write_stream("a/b", chunks())
    assert seen == [there] * 20
    assert objects.sizes() == there
    assert objects.sweep() == 0


def test_a_stream_takes_little_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    length = LocalObjects(tmp_path).write_stream("a/b", (bytes(2**20) for _ in range(200)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert length == 200 * 2**20
    assert peak < 8 * 2**20


def test_what_killed_writers_of_streams_leave_is_not_listed_and_is_swept(objects: Objects) -> None:
    for _ in range(2):
        chunks = iter([bytes(10**6)] * 3)
        leave(objects, "a/b", chunks)
    objects.write("a/c", b"1")
    assert objects.sizes() == {"a/c": 1}
    assert objects.sweep() == 2
    assert objects.sweep() == 0
    assert objects.sizes() == {"a/c": 1}


def leave(objects: Objects, key: str, chunks: Iterator[bytes]) -> None:
    """Write an object under the name that it has before it is whole, as if killed before it is moved."""
    objects.write_stream(partial_name(key), chunks)


def test_only_the_first_creates(objects: Objects) -> None:
    assert objects.create("a/b", b"first")
    assert not objects.create("a/b", b"second")
    assert objects.read("a/b") == b"first"
    objects.remove("a/b")
    assert objects.create("a/b", b"third")


@pytest.mark.parametrize("key", ["missing", "a/missing", "a", "a/b/c", "a/"])
def test_what_is_not_there_has_no_bytes(objects: Objects, key: str) -> None:
    objects.write("a/b", b"1")
    with pytest.raises(KeyError):
        objects.read(key)


def test_lengths_are_told_of_what_is_there(objects: Objects) -> None:
    objects.write("a/b/c/0", b"123")
    objects.write("a/d", b"")
    length = objects.lengths()
    assert [length(key) for key in ("a/b/c/0", "a/d", "a/missing", "a/d/e", "missing/c")] == [
        3,
        0,
        None,
        None,
        None,
    ]


def test_removing_takes_one_object_or_all_under_a_prefix(objects: Objects) -> None:
    for key in ("a/1", "a/2", "a/b/3", "ab", "c"):
        objects.write(key, b"1")
    for key in ("c", "c", "missing", "missing/"):
        objects.remove(key)
    assert objects.sizes().keys() == {"a/1", "a/2", "a/b/3", "ab"}
    objects.remove("a/")
    assert objects.sizes().keys() == {"ab"}
    objects.remove("")
    assert objects.sizes() == {}
    assert not objects.exists()


def test_sizes_are_of_the_keys_under_a_prefix(objects: Objects) -> None:
    lengths = {"a/1": 1, "a/2": 0, "a/b/3": 3, "ab": 4, "c/d": 5}
    assert objects.sizes() == objects.sizes("a/") == {}
    for key, length in lengths.items():
        objects.write(key, bytes(length))
    assert objects.sizes() == lengths
    assert objects.sizes("a/") == {key: length for key, length in lengths.items() if key.startswith("a/")}
    assert objects.sizes("a/b/") == {"a/b/3": 3}
    assert objects.sizes("missing/") == {}


def test_there_is_something_as_soon_as_there_is_an_object(objects: Objects) -> None:
    assert not objects.exists()
    objects.write("a/b", b"")
    assert objects.exists()
    assert objects.sweep() == 0
    assert objects.sizes() == {"a/b": 0}


def test_a_url_says_which_it_is(tmp_path: Path) -> None:
    for url in (str(tmp_path), f"file://{tmp_path}"):
        found = open_objects(url)
        assert isinstance(found, LocalObjects)
        assert found.root == tmp_path
    assert isinstance(open_objects("memory://a/run.zarr"), RemoteObjects)
    with pytest.raises(
        StoreError, match=r"^Can't use 'nonsense://a': no file system is known for nonsense://; name "
    ):
        open_objects("nonsense://a")


# Files.


def test_partial_files_are_not_listed_and_are_swept(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    objects.write("a/b", b"1")
    for name in map(partial_name, ("x", "a/b", "a/b")):
        (tmp_path / name).write_bytes(b"half")
    assert objects.sizes() == {"a/b": 1}
    assert objects.sweep() == 3
    assert objects.sweep() == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "a" / "b"]


def test_what_only_looks_like_a_run_is_there(tmp_path: Path) -> None:
    assert not LocalObjects(tmp_path / "missing").exists()
    assert not LocalObjects(tmp_path).exists()
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nothing")
    for name in ("file", "dangling", ""):
        assert LocalObjects(tmp_path / name).exists()


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious").write_bytes(b"1")
    objects = LocalObjects(tmp_path / "run.zarr")
    objects.write("a/b", b"1")
    (tmp_path / "run.zarr" / "a" / "link").symlink_to(tmp_path / "other")
    objects.remove("a/")
    assert (tmp_path / "other" / "precious").exists()


def folders_synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of each file and folder that is synced, as in a new process."""
    fsync = os.fsync
    synced: list[int] = []

    def watched(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    monkeypatch.setattr(local, "_DURABLE", set())
    return synced


def test_the_names_of_folders_that_another_made_are_synced_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been killed before it came to that."""
    objects = LocalObjects(tmp_path / "run.zarr")
    (tmp_path / "run.zarr" / "a" / "b").mkdir(parents=True)
    synced = folders_synced(monkeypatch)
    objects.write("a/b/c", b"1")
    folders = (
        tmp_path,
        tmp_path / "run.zarr",
        tmp_path / "run.zarr" / "a",
        tmp_path / "run.zarr" / "a" / "b",
    )
    assert {folder.stat().st_ino for folder in folders} <= set(synced)
    assert tmp_path.parent.stat().st_ino not in synced
    synced.clear()
    objects.write("a/b/c", b"2")
    assert folders[-1].stat().st_ino in synced
    assert not {folder.stat().st_ino for folder in folders[:-1]} & set(synced)


def test_a_folder_in_place_of_one_that_was_synced_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = LocalObjects(tmp_path)
    synced = folders_synced(monkeypatch)
    objects.write("a/b", b"1")
    (tmp_path / "a").rename(tmp_path / "before")
    (tmp_path / "a").mkdir()
    synced.clear()
    objects.write("a/b", b"2")
    assert tmp_path.stat().st_ino in synced


def test_what_is_there_is_synced_when_its_creation_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = LocalObjects(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"of one who was killed before it was synced")
    synced = folders_synced(monkeypatch)
    assert not objects.create("a/b", b"2")
    assert (tmp_path / "a").stat().st_ino == synced[-1]


@pytest.mark.parametrize("number", [errno.EEXIST, errno.EIO])
def test_a_link_that_was_made_though_the_call_failed_is_a_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As on NFS; and then its name is synced as any other's."""
    synced: list[int] = []
    link, fsync = os.link, os.fsync

    def lossy(source: Path, target: Path) -> None:
        link(source, target)
        synced.clear()
        raise OSError(number, os.strerror(number))

    def watched(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "link", lossy)
    monkeypatch.setattr(os, "fsync", watched)
    objects = LocalObjects(tmp_path)
    assert objects.create("a/b", b"ours")
    assert synced == [(tmp_path / "a").stat().st_ino]
    assert objects.sizes() == {"a/b": 4}
    assert objects.sweep() == 0


def create_at(root: Path, start: float, number: int) -> list[str]:
    """Create objects at the same time as other processes do; return those that were new."""
    objects = LocalObjects(root)
    time.sleep(max(0.0, start - time.time()))
    return [key for key in (f"keys/{i}" for i in range(100)) if objects.create(key, b"%d" % number * 1_000)]


@pytest.mark.process
def test_of_two_processes_that_create_at_once_one_does(tmp_path: Path) -> None:
    with PROCESSES.Pool(2) as pool:
        pool.starmap(create_at, [(tmp_path / "warm", 0.0, number) for number in range(2)])
        start = time.time() + 0.2
        first, second = pool.starmap(create_at, [(tmp_path / "run", start, number) for number in range(2)])
    assert sorted(first + second) == sorted(f"keys/{i}" for i in range(100))
    for number, keys in enumerate((first, second)):
        assert {LocalObjects(tmp_path / "run").read(key) for key in keys} <= {b"%d" % number * 1_000}


WRITE = """
import sys
from pathlib import Path
from novelty_dask.objects.local import LocalObjects

objects, number = LocalObjects(Path(sys.argv[1])), 0
print("started", flush=True)
while True:
    number += 1
    objects.write("a/b", bytes([number % 256]) * 300_000)
"""


@pytest.mark.process
def test_no_reader_ever_sees_a_cut_object_whenever_its_writer_is_killed(tmp_path: Path) -> None:
    objects, n_read, delays = LocalObjects(tmp_path), 0, (0.0, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15)
    objects.write("a/b", bytes(300_000))
    for delay in delays:
        command = [sys.executable, "-c", WRITE, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            end = time.monotonic() + delay
            while time.monotonic() < end:
                data = objects.read("a/b")
                assert len(data) == 300_000
                assert len(set(data)) == 1
                n_read += 1
            writer.send_signal(signal.SIGKILL)
        data = objects.read("a/b")
        assert (len(data), len(set(data))) == (300_000, 1)
        assert objects.sizes() == {"a/b": 300_000}
    assert n_read > len(delays)
    objects.sweep()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


FILL = """
import sys
from pathlib import Path
from novelty_dask.errors import StoreError, UnreachableError
from novelty_dask.objects.local import LocalObjects

objects = LocalObjects(Path(sys.argv[1]))
objects.write("old", b"old")
for key in ("old", "new"):
    for store in (objects.write, objects.create):
        try:
            store(key, bytes(3 * 2**20))
        except StoreError as error:
            print(error)
"""


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_told_and_leaves_everything_as_it_was(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this root may not mount a small disk")
    try:
        command = [sys.executable, "-c", FILL, str(disk)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        objects = LocalObjects(disk)
        assert objects.sizes() == {"old": 3}
        assert objects.sweep() == 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    messages = done.stdout.splitlines()
    assert len(messages) == 4
    for message in messages:
        assert message.startswith(f"The disk of '{disk}' is full: 3,145,728 bytes are needed and ")
        assert message.endswith("; free some space; finished work is kept.")


LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))\n" + FILL.replace(
    "StoreError as", "OSError as"
)


@pytest.mark.process
def test_a_write_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    assert hasattr(resource, "RLIMIT_FSIZE")
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 4
    assert LocalObjects(tmp_path).sizes() == {"old": 3}
    assert LocalObjects(tmp_path).sweep() == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable for root")
def test_an_unwritable_folder_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(
        StoreError, match=r"^Can't write in '.*': Permission denied; make it writable, or name"
    ):
        LocalObjects(tmp_path / "run").write("a", b"1")


def test_all_of_a_folder_is_removed_though_another_process_removes_some_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = os.unlink
    removed: list[Any] = []

    def unlink_late(path: Any, **options: Any) -> None:
        if not removed:
            removed.append(path)
            unlink(path, **options)
        unlink(path, **options)

    objects = LocalObjects(tmp_path / "run.zarr")
    for number in range(5):
        objects.write(f"a/{number}", b"1")
    monkeypatch.setattr(os, "unlink", unlink_late)
    objects.remove("a/")
    assert removed
    assert not (tmp_path / "run.zarr" / "a").exists()
