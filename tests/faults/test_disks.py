"""A disk that is full, and data on it that are not what was written."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.errors import DamageError, DiskFullError
from tests.support import spy
from tests.support.content import Content, content_and_exports
from tests.support.damage import flip_file, swap
from tests.support.forks import finish, fork, kill_at, watched_score
from tests.support.record import SETTINGS, WORK, Record, commits


@contextlib.contextmanager
def small_disk(folder: Path, n_bytes: int) -> Iterator[Callable[[int], None]]:
    """A disk of its own that holds so much; call to give it another size."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(folder)]
    try:
        subprocess.run(mounting, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small disk takes the rights of root")

    def resize(size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)

    try:
        yield resize
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def n_bytes(folder: Path) -> int:
    """Bytes that the files of a folder take on a disk of pages."""
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.rglob("*") if path.is_file())


@pytest.mark.sampled
@pytest.mark.parametrize("share", [0.2, 0.8])
def test_a_full_disk_is_told_and_costs_nothing(
    record: Record, corpus: Path, undisturbed: Content, tmp_path: Path, peak: int, share: float
) -> None:
    with small_disk(tmp_path / "disk", int(peak * share)) as resize:
        out = tmp_path / "disk" / "run.zarr"
        with pytest.raises(
            DiskFullError,
            match=r"^The disk of '.*/run\.zarr' is full: [1-9][\d,]* bytes are needed and [\d,]+ are free; "
            r"free some space; finished work is kept\.$",
        ):
            novelty_dask.score(corpus, out, workers=0, **SETTINGS, **WORK)
        assert novelty_dask.status(out).state == "stopped"
        done = commits(out)
        assert done
        resize(4 * peak)
        assert finish(fork(watched_score, record.folder, corpus, out)) == 0
        assert not done & set(record.attempts())
        assert content_and_exports(out) == undisturbed


@pytest.fixture
def peak(many_tasks: None) -> int:
    """Bytes that a run takes at most, about: measured."""
    return 2_000_000


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "flipped": lambda path, _other: flip_file(path),
    "cut": lambda path, _other: os.truncate(path, path.stat().st_size // 2),
    "zeroed": lambda path, _other: path.write_bytes(bytes(path.stat().st_size)),
    "emptied": lambda path, _other: os.truncate(path, 0),
    "deleted": lambda path, _other: path.unlink(),
    "swapped": swap,
}
READERS: dict[str, Callable[[Path], object]] = {
    "neighbors/ids": lambda out: novelty_dask.open(out).neighbors.ids[:],
    "neighbors/similarities": lambda out: novelty_dask.export(out, out.with_suffix(".csv")),
    "rows/url": lambda out: novelty_dask.export(out, out.with_suffix(".jsonl")),
    "rows/count": lambda out: novelty_dask.open(out).counts[:],
    "novelty": lambda out: novelty_dask.open(out).top(5),
}
"""Arrays of a complete run, and who reads them."""


def two_chunks(out: Path, name: str, *, last: bool = False) -> tuple[Path, Path]:
    """Two chunks of an array that are not the same, the first or the last."""
    chunks = (path for path in (out / name / "c").rglob("*") if path.is_file())
    one, two, *_ = sorted(chunks, reverse=last)
    return one, two


@pytest.fixture(scope="module")
def complete(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run, to be copied."""
    folder = tmp_path_factory.mktemp("complete")
    out = folder / "run.zarr"
    assert finish(fork(watched_score, Record(folder / "record").folder, corpus, out)) == 0
    return out


def watched_resume(record: Path, out: Path) -> None:
    """Go on in this process, every task written down."""
    os.environ[spy.FOLDER] = str(record)
    spy.install()
    novelty_dask.resume(out, workers=0)


@pytest.mark.sampled
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_chunk_is_found_by_all_and_mended(
    record: Record, complete: Path, undisturbed: Content, tmp_path: Path, damage: str
) -> None:
    """Each kind in each array; of the neighbors' the work that mends it, too."""
    out = tmp_path / "run.zarr"
    shutil.copytree(complete, out)
    for name, read in READERS.items():
        chunks = two_chunks(out, name)
        intact = [path.read_bytes() for path in chunks]
        DAMAGES[damage](*chunks)
        found = {str(error).split("'")[1] for error in novelty_dask.verify(out).damages}
        damaged = chunks if damage == "swapped" else chunks[:1]
        assert found == {str(path.relative_to(out)) for path in damaged}
        with pytest.raises(DamageError, match=r"; `novelty resume` computes it again\.$"):
            read(out)
        if name != "novelty":
            for path, data in zip(chunks, intact, strict=True):
                path.write_bytes(data)
    # What remains is the damage of novelty, of the first block or two.
    assert finish(fork(watched_resume, record.folder, out)) == 0
    affected = {0, 1} if damage == "swapped" else {0}
    assert set(record.attempts()) == {
        *(f"merge {block}" for block in affected),
        *(f"compare {block}-{group}" for block in affected for group in range(8)),
    }
    assert content_and_exports(out) == undisturbed


ON_THE_WAY = [
    ("columns", 1, "partial_frequency", "flipped"),
    ("compare", 20, "weights/data", "deleted"),
    ("compare", 25, "strips/ids", "swapped"),
    ("merge", 1, "strips/similarities", "zeroed"),
]
"""Stages in which a client is killed, after so many tasks, and what is damaged then."""


@pytest.mark.long
def test_damage_on_the_way_is_found_before_use(
    record: Record, corpus: Path, undisturbed: Content, tmp_path: Path
) -> None:
    """What is damaged after a stop never gets into a result."""
    out, damaged = tmp_path / "run.zarr", set[str]()
    for stage, number, name, damage in ON_THE_WAY:
        kill_at(record, corpus, out, stage, number)
        # A tile whose damage was just met has no commit, so nothing of it counts.
        chunks = two_chunks(out, name, last=stage == "merge")
        DAMAGES[damage](*chunks)
        found = {str(error).split("'")[1] for error in novelty_dask.verify(out).damages}
        new = {str(path.relative_to(out)) for path in chunks[: 1 + (damage == "swapped")]}
        # What was damaged before may not have been needed since.
        assert new <= found <= new | damaged
        damaged |= new
    assert finish(fork(watched_score, record.folder, corpus, out)) == 0
    assert content_and_exports(out) == undisturbed
    assert max(record.attempts("compare").values()) <= 4


def test_a_damaged_source_of_rows_is_read_again(
    record: Record, complete: Path, undisturbed: Content, tmp_path: Path
) -> None:
    """The rows of a block come from the sources, which are there still."""
    out = tmp_path / "run.zarr"
    shutil.copytree(complete, out)
    flip_file(two_chunks(out, "rows/url")[0])
    assert finish(fork(watched_resume, record.folder, out)) == 0
    assert content_and_exports(out) == undisturbed
    assert record.attempts("vectorize") == {"vectorize 0": 1}
    assert record.attempts("compare").total() == 0
