"""A chunk that would be decoded to more than its array has is refused by its head."""

import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from numcodecs import Blosc, Zstd
from numcodecs.vlen import VLenUTF8

import novelty_dask
from novelty_dask.errors import DamageError
from novelty_dask.kernels.text.lines import MAX_BYTES
from novelty_dask.objects.commits import Commit, digest
from novelty_dask.planning.shapes import RunShape
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.storage.chunks import size_error
from novelty_dask.storage.layout import CODECS, Layout
from novelty_dask.storage.runs import open_stored
from tests.support.arrays import listed
from tests.support.files import zstd

URLS = novelty_dask.datasets.make_urls(200, seed=8)[0]
BLOSC = Blosc("lz4", clevel=5, shuffle=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "urls.txt").write_text("\n".join([*URLS, "a\0b"]))
    novelty_dask.score(folder / "urls.txt", folder / "run.zarr", block_rows=64, n_features=2**12)
    return folder / "run.zarr"


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "run.zarr")


def checked(data: bytes) -> bytes:
    """With the checksum that Zarr appends."""
    return data + struct.pack("<I", google_crc32c.value(data))


def many_numbers(n_bytes: int) -> bytes:
    return bytes(BLOSC.encode(np.zeros(n_bytes, np.uint8)))


def zeros(n_megabytes: int) -> Iterator[bytes]:
    return (bytes(2**20) for _ in range(n_megabytes))


def one_frame(n_megabytes: int) -> bytes:
    """Zeros, in a frame that says how many."""
    packer = zstd.ZstdCompressor()
    packer.set_pledged_input_size(n_megabytes * 2**20)
    return b"".join(map(packer.compress, zeros(n_megabytes))) + packer.flush()


def unsaid(n_megabytes: int) -> bytes:
    """Zeros, in a frame that does not say how many."""
    packer = zstd.ZstdCompressor()
    return b"".join(map(packer.compress, zeros(n_megabytes))) + packer.flush()


def texts(*strings: str) -> bytes:
    return bytes(VLenUTF8().encode(np.array(strings, object)))


def pretended(n_texts: int) -> bytes:
    """As long as 64 texts may be, with room for so many more."""
    return zstd.compress(struct.pack("<I", n_texts) + bytes(1_000))


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "numbers": ("novelty", lambda: checked(many_numbers(2**29))),
    "ids": ("neighbors/ids", lambda: checked(many_numbers(2**29))),
    "columns": ("columns/idf", lambda: many_numbers(2**29)),
    "text": ("rows/url", lambda: checked(one_frame(1_024))),
    "text of unknown size": ("rows/url", lambda: checked(unsaid(1_024))),
    "a second text": ("rows/url", lambda: checked(zstd.compress(texts(*"abcd" * 16)) + one_frame(1_024))),
    "behind what is skipped": (
        "rows/url",
        lambda: checked(b"\x50\x2a\x4d\x18\x05\0\0\0hello" + one_frame(1_024)),
    ),
    "room for texts": ("rows/url", lambda: checked(pretended(10**8))),
    "reasons": ("rejected/reason", lambda: checked(one_frame(1_024))),
}


def plant(run: Path, name: str, data: bytes) -> str:
    """Put a chunk in the place of the first, with a commit that agrees with it."""
    stored = open_stored(str(run))
    key = f"{name}/c/0/0" if name == "neighbors/ids" else f"{name}/c/0"
    task = stored.layout.writer(key)
    assert task is not None
    commit = stored.commits.find(task)
    assert commit is not None
    assert key in commit.objects
    stored.objects.write(key, data)
    stored.commits.forget(task)
    stored.commits.add(task, Commit(*commit[:2], {**commit.objects, key: digest(data)}, commit.metrics))
    return key


READ = """
import sys
import novelty_dask
from novelty_dask.execution.usage import forget_peak, usage
from novelty_dask.storage.runs import open_stored

open_stored(sys.argv[1]).arrays()["rows/count"][:]
before = forget_peak()
try:
    open_stored(sys.argv[1]).arrays()[sys.argv[2]][:1]
    found = "nothing"
except Exception as error:
    found = f"{type(error).__name__}: {error}"
print(usage().peak_bytes - before.peak_bytes, found, sep="|")
"""


@pytest.mark.process
@pytest.mark.parametrize(("name", "bomb"), BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_in_little_memory(run: Path, name: str, bomb: Callable[[], bytes]) -> None:
    key = plant(run, name, bomb())
    command = [sys.executable, "-c", READ, str(run), name]
    growth, found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("|")
    assert found.startswith(f"DamageError: '{key}' ")
    assert found.endswith("; `novelty resume` computes it again.\n")
    assert found.count("\n") == 1
    # Of the chunk as it is stored there may be a few copies.
    assert int(growth) < 32 * 2**20


def test_a_bomb_is_found_by_verifying_and_resumed_away(run: Path, made: Path) -> None:
    key = plant(run, "novelty", checked(many_numbers(2**20)))
    [damage] = novelty_dask.verify(run).damages
    assert str(damage).startswith(f"'{key}' would be 1,048,576 bytes large instead of 512; ")
    novelty_dask.resume(run)
    assert novelty_dask.verify(run).damages == []
    assert (run / key).read_bytes() == (made / key).read_bytes()


def test_weights_are_as_large_as_they_are_stored(run: Path) -> None:
    stored = open_stored(str(run))
    key = next(key for key in stored.objects.sizes("weights/data/") if "/c/0/0" in key)
    data = stored.objects.read(key)
    task = stored.layout.writer(key)
    assert task is not None
    commit = stored.commits.find(task)
    assert commit is not None
    stored.objects.write(key, data * 2)
    stored.commits.forget(task)
    stored.commits.add(task, Commit(*commit[:2], {**commit.objects, key: digest(data * 2)}, commit.metrics))
    with pytest.raises(DamageError, match=rf" would be {2 * len(data):,} bytes large instead of "):
        stored.arrays()["weights/data"][0, :1]


# What an honest task writes.


def test_texts_may_be_as_long_as_lines_may_be(tmp_path: Path) -> None:
    longest = [f"http://a.example/{number}/".ljust(MAX_BYTES, "x") for number in range(3)]
    (tmp_path / "urls.txt").write_text("\n".join(longest))
    run = novelty_dask.score(tmp_path / "urls.txt", tmp_path / "run.zarr")
    assert sorted(listed(run.urls[:])) == sorted(longest)
    assert novelty_dask.verify(tmp_path / "run.zarr").damages == []


def test_a_url_that_is_too_long_in_its_web_form_is_rejected(tmp_path: Path) -> None:
    """Each of its letters takes 6 bytes in it, and 2 before."""
    lines = [f"http://a.example/{'é' * length}" for length in (1_000, 1_362, 1_363, 4_000)]
    (tmp_path / "urls.txt").write_text("\n".join(lines), encoding="utf-8")
    run = novelty_dask.score(tmp_path / "urls.txt", tmp_path / "run.zarr", normal_form="web")
    assert sorted(map(len, listed(run.urls[:]))) == [1_017, 1_379]
    assert run.manifest.totals
    assert run.manifest.totals.rejected == {"too-long": 2}


def test_every_codec_says_how_large_its_chunks_are() -> None:
    layout = Layout(RunShape(2**12, 3, n_rejected=9, plan=TilePlan(200, 64, 1, 4), widest_block=9))
    assert {spec.codecs for spec in layout.specs.values()} == CODECS.keys()
    for spec in layout.specs.values():
        for data in (b"", b"\0", bytes(20), bytes(1_000)):
            assert size_error(spec, data), spec.name


@pytest.mark.parametrize("length", [MAX_BYTES, MAX_BYTES + 1])
def test_texts_are_held_to_the_longest_line(length: int) -> None:
    plan = TilePlan(n_rows=2, block_rows=2, span_blocks=1, group_blocks=1)
    spec = Layout(RunShape(8, 1, plan=plan)).specs["rows/url"]
    data = checked(bytes(Zstd(level=1).encode(texts("x" * length, "y" * length))))
    assert (size_error(spec, data) is None) == (length <= MAX_BYTES)
