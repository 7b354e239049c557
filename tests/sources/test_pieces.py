import gzip
import io
import os
import zlib
from base64 import b64encode
from itertools import pairwise
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from novelty_dask.errors import InputError
from novelty_dask.kernels.text.lines import read_lines
from novelty_dask.sources.decompress import FREE_BYTES
from novelty_dask.sources.find import Source, find_sources
from novelty_dask.sources.pieces import CHUNK_BYTES, MAXIMUM_PIECES, Piece, read_chunks
from novelty_dask.sources.ranges import read_lines_between
from novelty_dask.sources.signatures import check_text
from tests.support.files import COMPRESSORS, TEXT, read_whole, write
from tests.support.pieces import cut_lines


def lines(source: Source, piece: Piece, chunk_bytes: int) -> tuple[int, list[str], list[tuple[str, str]]]:
    """Lines of a piece: how many, those accepted, and reason and sample of the others."""
    chunks = read_chunks(source, piece, chunk_bytes)
    batches = list(read_lines(chunks, first_chunk_is_start=piece.start == 0))
    rejected = [(str(each.reason), each.sample) for batch in batches for each in batch.rejected]
    return sum(batch.n_lines for batch in batches), [t for batch in batches for t in batch.texts], rejected


# Pieces.


@settings(deadline=None, max_examples=50)
@given(
    sizes=st.lists(st.integers(0, 200), max_size=5),
    compressed=st.booleans(),
    piece_bytes=st.integers(1, 300),
)
def test_pieces_follow_one_another_to_the_end(sizes: list[int], compressed: bool, piece_bytes: int) -> None:
    compression = "gzip" if compressed else None
    pieces = cut_lines(
        [Source(f"memory://{i}", size, compression) for i, size in enumerate(sizes)], piece_bytes
    )
    for number, size in enumerate(sizes):
        own = [piece for piece in pieces if piece.source == number]
        assert own[0].start == 0
        assert own[-1].stop is None
        assert all(before.stop == after.start for before, after in pairwise(own))
        assert all(0 < piece.stop - piece.start <= piece_bytes for piece in own if piece.stop is not None)
        assert len(own) == (1 if compressed else max(1, -(-size // piece_bytes)))
    assert [piece.source for piece in pieces] == sorted(piece.source for piece in pieces)


def test_pieces_of_large_sources_are_few() -> None:
    pieces = cut_lines([Source("memory://a", 10**15, None), Source("memory://b", 10**15, None)])
    assert len(pieces) <= MAXIMUM_PIECES + 2


PARTS = [
    "a",
    "\n",
    "\r\n",
    "\r",
    "\n\n",
    " ",
    "é",
    "例え",
    "\U0001f600",
    "\0",
    "\ufeff",
    "x" * 30,
    "https://",
]
CONTENT = st.one_of(
    st.lists(st.sampled_from(PARTS), max_size=40).map(lambda parts: "".join(parts).encode()),
    st.lists(st.sampled_from([b"\xff", b"\n", b"\xe4\xbe", b"a", b"\r"]), max_size=40).map(b"".join),
    st.binary(max_size=60),
)


def is_refused(content: bytes) -> bool:
    """Whether a file is refused by how it begins."""
    try:
        check_text("a.txt", content)
    except InputError:
        return True
    return False


@settings(deadline=None, max_examples=300)
@given(content=CONTENT, piece_bytes=st.integers(1, 70), chunk_bytes=st.integers(1, 70))
@example(content=b"a\nb\n", piece_bytes=2, chunk_bytes=1)
@example(content=b"a\r\nb", piece_bytes=2, chunk_bytes=70)
@example(content=b"\n\n\n", piece_bytes=1, chunk_bytes=1)
@example(content="例え\n例え".encode(), piece_bytes=1, chunk_bytes=5)
@example(content=b"a" * 600 + b"\r\n\xff\n", piece_bytes=7, chunk_bytes=3)
def test_every_line_is_in_one_piece(content: bytes, piece_bytes: int, chunk_bytes: int) -> None:
    assume(not is_refused(content))
    fsspec.filesystem("memory").pipe("/cut/a.txt", content)
    source = Source("memory:///cut/a.txt", len(content), None)
    n_lines, texts, rejected = lines(source, Piece(0, 0, None), 2**20)
    pieces = [lines(source, piece, chunk_bytes) for piece in cut_lines([source], piece_bytes)]
    assert sum(piece[0] for piece in pieces) == n_lines
    assert [text for piece in pieces for text in piece[1]] == texts
    assert [reject for piece in pieces for reject in piece[2]] == rejected
    raw = [b"".join(read_chunks(source, piece, chunk_bytes)) for piece in cut_lines([source], piece_bytes)]
    assert b"".join(raw) == content


@pytest.mark.parametrize("piece_bytes", [101, 997, 65_537])
def test_every_line_of_a_file_on_disk_is_in_one_piece(tmp_path: Path, piece_bytes: int) -> None:
    [source] = find_sources([str(write(tmp_path / "a.txt", TEXT[: 100 * piece_bytes].rstrip()))])
    texts = [text for piece in cut_lines([source], piece_bytes) for text in lines(source, piece, 4_096)[1]]
    assert texts == read_whole(source).decode().split("\n")


# Reading.


@pytest.mark.parametrize("chunk_bytes", [1_000, 2**20])
@pytest.mark.parametrize("suffix", COMPRESSORS)
@pytest.mark.parametrize("n_members", [1, 3])
def test_compressed_files_are_read_whole(
    tmp_path: Path, suffix: str, n_members: int, chunk_bytes: int
) -> None:
    size = -(-len(TEXT) // n_members)
    members = [COMPRESSORS[suffix](TEXT[start : start + size]) for start in range(0, len(TEXT), size)]
    [source] = find_sources([str(write(tmp_path / f"a.txt.{suffix}", b"".join(members)))])
    assert cut_lines([source], 1_000) == [Piece(0, 0, None)]
    assert read_whole(source, chunk_bytes) == TEXT


@pytest.mark.parametrize("suffix", COMPRESSORS)
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.999])
def test_cut_compressed_files_are_named(tmp_path: Path, suffix: str, keep: float) -> None:
    content = COMPRESSORS[suffix](TEXT)
    [source] = find_sources([str(write(tmp_path / f"a.{suffix}", content[: int(keep * len(content))]))])
    with pytest.raises(InputError, match=rf"^Can't read '/.*/a\.{suffix}' to its end: .*\w\.$"):
        read_whole(source)


@pytest.mark.parametrize("suffix", COMPRESSORS)
@pytest.mark.parametrize("content", [b"https://a.example/\n" * 10, b"\0" * 100])
def test_files_that_are_not_compressed_as_named_are_named(
    tmp_path: Path, suffix: str, content: bytes
) -> None:
    [source] = find_sources([str(write(tmp_path / f"a.{suffix}", content))])
    with pytest.raises(InputError, match=rf"a\.{suffix}' to its end: "):
        read_whole(source)


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_a_flipped_bit_in_a_compressed_file_is_found(tmp_path: Path, suffix: str) -> None:
    content = bytearray(COMPRESSORS[suffix](TEXT))
    content[len(content) // 2] ^= 8
    [source] = find_sources([str(write(tmp_path / f"a.{suffix}", bytes(content)))])
    with pytest.raises(InputError, match=rf"a\.{suffix}' to its end: "):
        read_whole(source)


def test_garbage_behind_a_gzip_member_is_found(tmp_path: Path) -> None:
    [source] = find_sources([str(write(tmp_path / "a.gz", gzip.compress(TEXT) + b"garbage"))])
    with pytest.raises(InputError, match=r"a\.gz' to its end: "):
        read_whole(source)


def test_a_bomb_is_read_in_bounded_chunks(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, wbits=31)
    n_chunks = FREE_BYTES // CHUNK_BYTES
    bomb = b"".join(packer.compress(b"x" * CHUNK_BYTES) for _ in range(n_chunks)) + packer.flush()
    [source] = find_sources([str(write(tmp_path / "a.gz", bomb))])
    assert len(bomb) < 10_000
    assert {len(chunk) for chunk in read_chunks(source, Piece(0, 0, None))} == {CHUNK_BYTES}


@pytest.mark.parametrize("suffix", [None, *COMPRESSORS])
def test_empty_files_have_no_bytes(tmp_path: Path, suffix: str | None) -> None:
    content = COMPRESSORS[suffix](b"") if suffix else b""
    [source] = find_sources([str(write(tmp_path / f"a.{suffix or 'txt'}", content))])
    [piece] = cut_lines([source])
    assert list(read_chunks(source, piece)) == []


def test_a_file_removed_since_it_was_found_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt")
    [source] = find_sources([str(path)])
    path.unlink()
    with pytest.raises(InputError, match=r"a\.txt' to its end: No such file or directory\.$"):
        read_whole(source)


@pytest.mark.parametrize("content", [TEXT[:500], TEXT + b"x"], ids=["shorter", "longer"])
def test_a_file_changed_since_it_was_found_is_named(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "a.txt", TEXT)
    [source] = find_sources([str(path)])
    assert read_whole(source) == TEXT
    write(path, content)
    with pytest.raises(InputError, match=r"a\.txt' changed while it was being read; "):
        read_whole(source)


@pytest.mark.parametrize("suffix", ["txt", "gz"])
@pytest.mark.parametrize("change", ["longer", "shorter", "other bytes"])
def test_a_file_changed_while_it_is_read_is_named(tmp_path: Path, suffix: str, change: str) -> None:
    content = COMPRESSORS["gz"](b64encode(os.urandom(400_000))) if suffix == "gz" else TEXT
    path = write(tmp_path / f"a.{suffix}", content)
    os.utime(path, (1, 1))
    [source] = find_sources([str(path)])
    chunks = read_chunks(source, Piece(0, 0, None), 10_000)
    next(chunks)
    write(path, {"longer": content + b"x\n", "shorter": content[:-100], "other bytes": content}[change])
    with pytest.raises(InputError, match=rf"a\.{suffix}' (to its end: |changed while it was being read; )"):
        list(chunks)


@pytest.mark.parametrize("suffix", ["txt", "gz"])
def test_a_file_that_grows_as_fast_as_it_is_read_is_named(tmp_path: Path, suffix: str) -> None:
    content = COMPRESSORS["gz"](b64encode(os.urandom(80_000))) if suffix == "gz" else TEXT
    path = write(tmp_path / f"a.{suffix}", content)
    [source] = find_sources([str(path)])

    def read_and_grow() -> None:
        with path.open("ab", buffering=0) as file:
            for n_read, _ in enumerate(read_chunks(source, Piece(0, 0, None), 10_000)):
                assert n_read < 1_000
                file.write(content)

    with pytest.raises(InputError, match="changed while it was being read; "):
        read_and_grow()


def test_a_file_whose_size_is_not_known_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.txt", TEXT)
    info = LocalFileSystem.info
    monkeypatch.setattr(LocalFileSystem, "info", lambda fs, path, **_: {**info(fs, path), "size": None})
    [source] = find_sources([str(path)])
    assert source.n_bytes == 0
    assert b"".join(read_chunks(source, Piece(0, 0, None), 10_000)) == TEXT


class Counted(io.BytesIO):
    """Knows how many of its bytes were read."""

    n_read = 0

    def read_whole(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.n_read += len(content)
        return content


@pytest.mark.parametrize(
    "content", [b"x" * 10**6, b"a\n" + b"x" * 10**6 + b"\nb\n", b"x" * 10**6 + b"\n" * 100]
)
def test_a_line_across_all_pieces_is_read_a_few_times_only(content: bytes) -> None:
    source, file = Source("memory://a", len(content), None), Counted(content)
    pieces = cut_lines([source], 10_000)
    assert len(pieces) >= 100
    read = [b"".join(read_lines_between(file, piece.start, piece.stop, 1_000)) for piece in pieces]
    assert b"".join(read) == content
    assert file.n_read < 3 * len(content)
