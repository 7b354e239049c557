"""Compressed files are read to their last byte, or refused; none exhausts its reader."""

import bz2
import gzip
import io
import lzma
import os
import random
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.sources import decompress as module
from novelty_dask.sources.decompress import COMPRESSIONS, DAMAGED, decompress
from tests.support.files import zstd

TEXT = b"".join(b"https://%d.example/\n" % (i * i) for i in range(3_000))
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda text: zstd.compress(text, options={zstd.CompressionParameter.checksum_flag: 1}),
}
REFUSALS = (OSError, *DAMAGED)
each_format = pytest.mark.parametrize("name", COMPRESSORS)


def read(stored: bytes, name: str, chunk_bytes: int = 10_000) -> bytes:
    return b"".join(decompress(io.BytesIO(stored), name, chunk_bytes))


def test_the_formats_are_those_that_are_tested() -> None:
    assert COMPRESSIONS.keys() == COMPRESSORS.keys()


@pytest.mark.sampled
@each_format
@settings(deadline=None, max_examples=40)
@given(
    texts=st.lists(st.binary(max_size=300) | st.just(TEXT), min_size=1, max_size=4),
    chunk_bytes=st.integers(1, 500) | st.just(2**18),
    read_bytes=st.integers(1, 90) | st.just(2**16),
)
def test_members_are_joined_however_they_are_cut(
    name: str, texts: list[bytes], chunk_bytes: int, read_bytes: int
) -> None:
    stored = b"".join(map(COMPRESSORS[name], texts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "READ_BYTES", read_bytes)
        chunks = list(decompress(io.BytesIO(stored), name, chunk_bytes))
    assert b"".join(chunks) == b"".join(texts)
    assert all(0 < len(chunk) <= chunk_bytes for chunk in chunks)


@each_format
@pytest.mark.parametrize("keep", [0, 1, 5, 0.2, 0.5, 0.9, -1])
@pytest.mark.parametrize("n_members", [1, 2])
def test_no_part_is_taken_for_the_whole(name: str, keep: float, n_members: int) -> None:
    member = COMPRESSORS[name](TEXT)
    stored = member * (n_members - 1) + member[: int(keep * len(member)) if 0 < keep < 1 else int(keep)]
    if stored == member * (n_members - 1) != b"":
        assert read(stored, name) == TEXT
    else:
        with pytest.raises(REFUSALS):
            read(stored, name)


@each_format
@pytest.mark.parametrize("garbage", [b"garbage", b"x", b"\1" * 100_000, b"\0\0\0\0garbage"])
def test_what_follows_is_no_end(name: str, garbage: bytes) -> None:
    with pytest.raises(REFUSALS):
        read(COMPRESSORS[name](TEXT) + garbage, name)


@each_format
def test_a_damaged_second_member_is_no_end(name: str) -> None:
    member = COMPRESSORS[name](TEXT)
    for position in (0, 1, 2):
        damaged = bytearray(member)
        damaged[position] ^= 0x55
        with pytest.raises(REFUSALS):
            read(member + bytes(damaged) + member, name)


@each_format
@settings(deadline=None, max_examples=60)
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_changes_the_text_silently(name: str, position: float, bit: int) -> None:
    damaged = bytearray(COMPRESSORS[name](TEXT))
    damaged[int(position * len(damaged))] ^= 1 << bit
    with suppress(*REFUSALS):
        assert read(bytes(damaged), name) == TEXT  # A header has bits that mean nothing for the text.


@pytest.mark.parametrize("name", ["gzip", "xz"])
@pytest.mark.parametrize("n_bytes", [4, 512, 200_000])
def test_zeros_that_fill_a_block_are_no_fault(name: str, n_bytes: int) -> None:
    member = COMPRESSORS[name](TEXT)
    assert read(member + bytes(n_bytes) + member + bytes(n_bytes), name) == TEXT + TEXT


def test_frames_of_zstd_without_text_are_skipped() -> None:
    skipped = b"\x50\x2a\x4d\x18\x05\0\0\0hello"
    assert read(skipped + zstd.compress(TEXT) + skipped, "zstd") == TEXT


@each_format
@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(name: str, stored: bytes) -> None:
    for content in (stored, *(mark + stored for mark in COMPRESSIONS[name].marks[:2])):
        with suppress(*REFUSALS):
            read(content, name)


def zeros(n_megabytes: int) -> Iterator[bytes]:
    return (bytes(2**20) for _ in range(n_megabytes))


def bombs() -> Iterator[tuple[str, bytes]]:
    """96 MiB of zeros, well packed."""
    packers: dict[str, Any] = {
        "gzip": zlib.compressobj(9, wbits=31),
        "bz2": bz2.BZ2Compressor(),
        "xz": lzma.LZMACompressor(preset=0),
        "zstd": zstd.ZstdCompressor(),
    }
    for name, packer in packers.items():
        yield name, b"".join(map(packer.compress, zeros(96))) + packer.flush()


MEASURE = """
import sys
from novelty_dask.execution.usage import forget_peak, usage
from novelty_dask.sources.decompress import decompress

before, n_text, fault = forget_peak(), 0, "none"
with open(sys.argv[1], "rb") as file:
    try:
        for chunk in decompress(file, sys.argv[2], 2**18):
            n_text += len(chunk)
    except Exception as error:
        fault = str(error)
print(usage().peak_bytes - before.peak_bytes, n_text, fault, sep="|")
"""


def measure(path: Path, name: str) -> tuple[int, int, str]:
    """By how much a process grows that reads a file, how much text it gets, and what stops it."""
    command = [sys.executable, "-c", MEASURE, str(path), name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    growth, n_text, fault = done.stdout.strip().split("|")
    return int(growth), int(n_text), fault


@pytest.mark.process
def test_bombs_are_stopped_in_little_memory(tmp_path: Path) -> None:
    for name, bomb in bombs():
        (tmp_path / name).write_bytes(bomb)
        growth, n_text, fault = measure(tmp_path / name, name)
        assert growth < 24 * 2**20, name
        assert n_text <= module.FREE_BYTES
        assert fault.startswith("it expands to more than 200 times its size; ")


@pytest.mark.process
def test_a_dictionary_that_takes_gigabytes_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**30}]
    (tmp_path / "large.xz").write_bytes(lzma.compress(TEXT, filters=filters))
    growth, n_text, fault = measure(tmp_path / "large.xz", "xz")
    assert growth < 8 * 2**20
    assert n_text == 0
    assert fault == "it takes more than 128 MiB to decompress it; decompress it yourself"


def test_a_window_that_takes_gigabytes_is_refused() -> None:
    for log in (28, 30):
        packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: log})
        with pytest.raises(ValueError, match=r"^it takes more than 128 MiB to decompress it; decompress it "):
            read(packer.compress(TEXT) + packer.flush(), "zstd")
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    assert read(packer.compress(TEXT) + packer.flush(), "zstd") == TEXT


@pytest.mark.parametrize("ratio", [3, 20, 150])
def test_well_packed_text_is_no_bomb(monkeypatch: pytest.MonkeyPatch, ratio: int) -> None:
    monkeypatch.setattr(module, "FREE_BYTES", 2**16)
    words = [random.Random(seed).randbytes(1_000) for seed in range(2_000 // ratio)]
    text = b"".join(word * ratio for word in words)
    assert read(gzip.compress(text), "gzip") == text
    assert len(text) > 10 * module.FREE_BYTES


def test_the_best_preset_is_within_bounds() -> None:
    assert read(lzma.compress(TEXT, preset=9 | lzma.PRESET_EXTREME), "xz") == TEXT
    assert read(zstd.compress(os.urandom(1_000) + TEXT, level=22), "zstd")[1_000:] == TEXT
