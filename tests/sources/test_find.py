import bz2
import gzip
import io
import lzma
import os
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from novelty_dask.errors import InputError
from novelty_dask.kernels.text.lines import read_lines
from novelty_dask.sources import find as sources
from novelty_dask.sources.decompress import FREE_BYTES
from novelty_dask.sources.find import (
    Piece,
    Source,
    check_unchanged,
    cut,
    expand,
    find_sources,
    read_chunks,
)
from novelty_dask.sources.ranges import read_lines_between
from novelty_dask.sources.signatures import check_text

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b"".join(b"https://a.example/%d\n" % i for i in range(20_000))
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
}


def write(path: Path, content: bytes = b"https://a.example/\n") -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(content)
    return path


def names(found: list[Source]) -> list[str]:
    return [Path(source.url).name for source in found]


def read(source: Source, chunk_bytes: int = 2**20) -> bytes:
    return b"".join(read_chunks(source, Piece(0, 0, None), chunk_bytes))


def lines(source: Source, piece: Piece, chunk_bytes: int) -> tuple[int, list[str], list[tuple[str, str]]]:
    """Lines of a piece: how many, those accepted, and reason and sample of the others."""
    chunks = read_chunks(source, piece, chunk_bytes)
    batches = list(read_lines(chunks, first_chunk_is_start=piece.start == 0))
    rejected = [(str(each.reason), each.sample) for batch in batches for each in batch.rejected]
    return sum(batch.n_lines for batch in batches), [t for batch in batches for t in batch.texts], rejected


# What a name stands for.


def test_a_file_is_described(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"12345")
    [source] = find_sources([str(path)])
    assert source == Source(f"file://{path}", 5, None, source.version)
    assert source.version


@pytest.mark.parametrize(
    "name", ["a b.txt", "a[1].txt", "a*.txt", "a?b.txt", "a{b}.txt", "a#b.txt", "é%20.txt"]
)
def test_a_file_of_any_name_is_that_file(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, b"right\n")
    write(tmp_path / "a1.txt", b"wrong\n")
    [source] = find_sources([str(path)])
    assert read(source) == b"right\n"


def test_a_glob_is_sorted_and_skips_folders(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c.csv", "d.txt/e.txt"):
        write(tmp_path / name)
    assert names(find_sources([f"{tmp_path}/*.txt"])) == ["a.txt", "b.txt"]
    assert names(find_sources([f"{tmp_path}/**/*.txt"])) == ["a.txt", "b.txt", "e.txt"]


def test_a_folder_is_searched_without_what_is_hidden(tmp_path: Path) -> None:
    shown, hidden = ["2.txt", "1/a.txt", "1/2/b.gz"], [".x.txt", "_SUCCESS", ".git/c.txt", "1/_tmp/d.txt"]
    for name in [*shown, *hidden]:
        write(tmp_path / ".hidden" / "_folder" / name)
    for name in (f"{tmp_path}/.hidden/_folder", f"{tmp_path}/.hidden/_folder/"):
        assert names(find_sources([name])) == ["b.gz", "a.txt", "2.txt"]


def test_urls_of_file_systems_are_sources(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt")
    assert find_sources([f"file://{path}"]) == find_sources([str(path)])
    fsspec.filesystem("memory").pipe("/sources/a.txt.gz", gzip.compress(TEXT))
    for name in ("memory://sources/a.txt.gz", "memory://sources/*.gz", "memory://sources"):
        [source] = find_sources([name])
        assert source.compression == "gzip"
        assert read(source) == TEXT


def test_order_is_as_named_and_each_file_comes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        write(tmp_path / name)
    named = [f"{tmp_path}/c", f"{tmp_path}/*", f"file://{tmp_path}/b", "./c", "c"]
    assert names(find_sources(named)) == ["c", "a", "b"]


def test_standard_input_is_a_source_beside_others(tmp_path: Path) -> None:
    found = find_sources(["-", str(write(tmp_path / "a"))])
    assert found[0] == Source("-", 0, None)
    assert names(found) == ["-", "a"]


@pytest.mark.parametrize(
    ("name", "compression"),
    [
        ("a.gz", "gzip"),
        ("a.GZ", "gzip"),
        ("a.bz2", "bz2"),
        ("a.xz", "xz"),
        ("a.zst", "zstd"),
        ("a.gz.txt", None),
    ],
)
def test_compression_shows_in_the_name(tmp_path: Path, name: str, compression: str | None) -> None:
    assert find_sources([str(write(tmp_path / name))])[0].compression == compression


# What is refused, by name.


@pytest.mark.parametrize(
    "name", ["missing.txt", "missing/*.txt", "*.csv", "empty", "a\0b", "loop", "dangling"]
)
def test_what_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nothing")
    with pytest.raises(InputError) as refusal:
        find_sources([str(tmp_path / name)])
    assert str(refusal.value) == f"Nothing matches {str(tmp_path / name)!r}; check the path."


def test_no_name_at_all_is_refused() -> None:
    with pytest.raises(InputError, match=r"^No source is named; "):
        find_sources([])
    with pytest.raises(InputError, match=r"^Nothing matches ''; "):
        find_sources([""])


def test_unknown_schemes_are_refused() -> None:
    with pytest.raises(InputError, match=r"^Can't read 'nonsense://a': Protocol not known: nonsense\.$"):
        find_sources(["nonsense://a"])


@pytest.mark.parametrize(
    "name", ["a.zip", "a.tar", "a.tar.gz", "A.TAR.XZ", "a.tgz", "a.tbz2", "a.txz", "a.7z", "a.rar"]
)
def test_archives_are_refused_by_name(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    with pytest.raises(InputError) as refusal:
        find_sources([str(path)])
    assert str(refusal.value) == f"{str(path)!r} is an archive; unpack it and name its files."


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"a.txt".ljust(257, b"\0") + b"ustar\x0000"])
def test_archives_are_refused_by_what_they_hold(tmp_path: Path, head: bytes) -> None:
    with pytest.raises(InputError, match=r"is an archive; "):
        find_sources([str(write(tmp_path / "a.txt", head))])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_utf16_is_refused_by_name(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "a.txt", "https://a.example/\n".encode(encoding))
    with pytest.raises(InputError, match=r"a\.txt' is UTF-16 text; convert it to UTF-8\.$"):
        find_sources([str(path)])


@pytest.mark.parametrize("name", ["fifo", "link", "folder", "folder/*"])
def test_special_files_are_refused_and_not_opened(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    write(tmp_path / "folder" / "a.txt")
    (tmp_path / "folder" / "link").symlink_to("../fifo")
    with pytest.raises(InputError, match=r"is no regular file; pipe it in and name - as the source\.$"):
        find_sources([str(tmp_path / name)])


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no /dev/zero")
def test_devices_are_refused() -> None:
    with pytest.raises(InputError, match=r"^'/dev/zero' is no regular file; "):
        find_sources(["/dev/zero"])


@pytest.mark.parametrize("name", ["", "*"])
def test_a_dangling_link_is_not_left_out_silently(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.txt")
    (tmp_path / "dangling").symlink_to("nothing")
    with pytest.raises(InputError, match=r"dangling': No such file or directory\.$"):
        find_sources([str(tmp_path / name)])


def test_expand_says_which_name_matches_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.txt")
    assert len(expand(f"{tmp_path}/*.txt")) == 1
    with pytest.raises(InputError, match=r"\*\.csv"):
        find_sources([f"{tmp_path}/*.txt", f"{tmp_path}/*.csv"])


# Pieces.


@settings(deadline=None, max_examples=50)
@given(
    sizes=st.lists(st.integers(0, 200), max_size=5),
    compressed=st.booleans(),
    piece_bytes=st.integers(1, 300),
)
def test_pieces_follow_one_another_to_the_end(sizes: list[int], compressed: bool, piece_bytes: int) -> None:
    compression = "gzip" if compressed else None
    pieces = cut([Source(f"memory://{i}", size, compression) for i, size in enumerate(sizes)], piece_bytes)
    for number, size in enumerate(sizes):
        own = [piece for piece in pieces if piece.source == number]
        assert own[0].start == 0
        assert own[-1].stop is None
        assert all(before.stop == after.start for before, after in pairwise(own))
        assert all(0 < piece.stop - piece.start <= piece_bytes for piece in own if piece.stop is not None)
        assert len(own) == (1 if compressed else max(1, -(-size // piece_bytes)))
    assert [piece.source for piece in pieces] == sorted(piece.source for piece in pieces)


def test_pieces_of_large_sources_are_few() -> None:
    pieces = cut([Source("memory://a", 10**15, None), Source("memory://b", 10**15, None)])
    assert len(pieces) <= sources.MAXIMUM_PIECES + 2


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
    pieces = [lines(source, piece, chunk_bytes) for piece in cut([source], piece_bytes)]
    assert sum(piece[0] for piece in pieces) == n_lines
    assert [text for piece in pieces for text in piece[1]] == texts
    assert [reject for piece in pieces for reject in piece[2]] == rejected
    raw = [b"".join(read_chunks(source, piece, chunk_bytes)) for piece in cut([source], piece_bytes)]
    assert b"".join(raw) == content


@pytest.mark.parametrize("piece_bytes", [101, 997, 65_537])
def test_every_line_of_a_file_on_disk_is_in_one_piece(tmp_path: Path, piece_bytes: int) -> None:
    [source] = find_sources([str(write(tmp_path / "a.txt", TEXT[: 100 * piece_bytes].rstrip()))])
    texts = [text for piece in cut([source], piece_bytes) for text in lines(source, piece, 4_096)[1]]
    assert texts == read(source).decode().split("\n")


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
    assert cut([source], 1_000) == [Piece(0, 0, None)]
    assert read(source, chunk_bytes) == TEXT


@pytest.mark.parametrize("suffix", COMPRESSORS)
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.999])
def test_cut_compressed_files_are_named(tmp_path: Path, suffix: str, keep: float) -> None:
    content = COMPRESSORS[suffix](TEXT)
    [source] = find_sources([str(write(tmp_path / f"a.{suffix}", content[: int(keep * len(content))]))])
    with pytest.raises(InputError, match=rf"^Can't read 'file://.*/a\.{suffix}' to its end: .*\w\.$"):
        read(source)


@pytest.mark.parametrize("suffix", COMPRESSORS)
@pytest.mark.parametrize("content", [b"https://a.example/\n" * 10, b"\0" * 100])
def test_files_that_are_not_compressed_as_named_are_named(
    tmp_path: Path, suffix: str, content: bytes
) -> None:
    [source] = find_sources([str(write(tmp_path / f"a.{suffix}", content))])
    with pytest.raises(InputError, match=rf"a\.{suffix}' to its end: "):
        read(source)


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_a_flipped_bit_in_a_compressed_file_is_found(tmp_path: Path, suffix: str) -> None:
    content = bytearray(COMPRESSORS[suffix](TEXT))
    content[len(content) // 2] ^= 8
    [source] = find_sources([str(write(tmp_path / f"a.{suffix}", bytes(content)))])
    with pytest.raises(InputError, match=rf"a\.{suffix}' to its end: "):
        read(source)


def test_garbage_behind_a_gzip_member_is_found(tmp_path: Path) -> None:
    [source] = find_sources([str(write(tmp_path / "a.gz", gzip.compress(TEXT) + b"garbage"))])
    with pytest.raises(InputError, match=r"a\.gz' to its end: "):
        read(source)


def test_a_bomb_is_read_in_bounded_chunks(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, wbits=31)
    n_chunks = FREE_BYTES // sources.CHUNK_BYTES
    bomb = b"".join(packer.compress(bytes(sources.CHUNK_BYTES)) for _ in range(n_chunks)) + packer.flush()
    [source] = find_sources([str(write(tmp_path / "a.gz", bomb))])
    assert len(bomb) < 10_000
    assert {len(chunk) for chunk in read_chunks(source, Piece(0, 0, None))} == {sources.CHUNK_BYTES}


@pytest.mark.parametrize("suffix", [None, *COMPRESSORS])
def test_empty_files_have_no_bytes(tmp_path: Path, suffix: str | None) -> None:
    content = COMPRESSORS[suffix](b"") if suffix else b""
    [source] = find_sources([str(write(tmp_path / f"a.{suffix or 'txt'}", content))])
    assert list(read_chunks(source, *cut([source]))) == []


def test_a_file_removed_since_it_was_found_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt")
    [source] = find_sources([str(path)])
    path.unlink()
    with pytest.raises(InputError, match=r"a\.txt' to its end: No such file or directory\.$"):
        read(source)


@pytest.mark.parametrize("content", [TEXT[:500], TEXT + b"x"], ids=["shorter", "longer"])
def test_a_file_changed_since_it_was_found_is_named(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "a.txt", TEXT)
    [source] = find_sources([str(path)])
    assert read(source) == TEXT
    write(path, content)
    with pytest.raises(InputError, match=r"a\.txt' has changed since it was found; "):
        read(source)


@pytest.mark.parametrize("suffix", ["txt", "gz"])
@pytest.mark.parametrize("change", ["longer", "shorter", "other bytes"])
def test_a_file_changed_while_it_is_read_is_named(tmp_path: Path, suffix: str, change: str) -> None:
    content = COMPRESSORS["gz"](os.urandom(500_000)) if suffix == "gz" else TEXT
    path = write(tmp_path / f"a.{suffix}", content)
    os.utime(path, (1, 1))
    [source] = find_sources([str(path)])
    chunks = read_chunks(source, Piece(0, 0, None), 10_000)
    next(chunks)
    write(path, {"longer": content + b"x\n", "shorter": content[:-100], "other bytes": content}[change])
    with pytest.raises(InputError, match=rf"a\.{suffix}' (to its end: |has changed since it was found; )"):
        list(chunks)


class Counted(io.BytesIO):
    """Knows how many of its bytes were read."""

    n_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.n_read += len(content)
        return content


@pytest.mark.parametrize(
    "content", [b"x" * 10**6, b"a\n" + b"x" * 10**6 + b"\nb\n", b"x" * 10**6 + b"\n" * 100]
)
def test_a_line_across_all_pieces_is_read_a_few_times_only(content: bytes) -> None:
    source, file = Source("memory://a", len(content), None), Counted(content)
    pieces = cut([source], 10_000)
    assert len(pieces) >= 100
    read = [b"".join(read_lines_between(file, piece.start, piece.stop, 1_000)) for piece in pieces]
    assert b"".join(read) == content
    assert file.n_read < 3 * len(content)


def test_the_version_of_a_file_changes_with_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"1")
    os.utime(path, (1, 1))
    [before] = find_sources([str(path)])
    assert find_sources([str(path)]) == [before]
    write(path, b"2")
    [after] = find_sources([str(path)])
    assert after == before._replace(version=after.version) != before


def test_a_source_that_rests_is_unchanged(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"1")
    os.utime(path, (1, 1))
    [source] = find_sources([str(path)])
    check_unchanged(source)
    check_unchanged(source._replace(version=""))
    os.utime(path, (2, 2))
    check_unchanged(source._replace(version=""))
    with pytest.raises(InputError, match=r"a\.txt' has changed since its run was begun; "):
        check_unchanged(source)
    write(path, b"12")
    with pytest.raises(InputError, match=r"a\.txt' has changed since its run was begun; "):
        check_unchanged(source._replace(version=""))
    path.unlink()
    with pytest.raises(InputError, match=r"^Nothing matches 'file://.*/a\.txt'; "):
        check_unchanged(source)


# The web.


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A folder on a server of this machine that calls everything a page, and what it was asked for."""
    pytest.importorskip("aiohttp", reason="reading http needs aiohttp")
    asked: list[str] = []

    class Pages(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path))

        def guess_type(self, path: Any) -> str:
            return "text/html"

        def log_message(self, *_: Any) -> None:
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", asked
        listening.shutdown()
        thread.join()


def test_no_url_of_a_list_on_the_web_is_visited(tmp_path: Path, server: tuple[str, list[str]]) -> None:
    url, asked = server
    text = f"{url}/other.txt\n{url}/urls.txt/inside\n<a href='urls.txt/link'>\n".encode()
    write(tmp_path / "urls.txt", text)
    write(tmp_path / "other.txt")
    [source] = find_sources([f"{url}/urls.txt"])
    assert read(source) == text
    assert set(asked) == {"/urls.txt"}


def test_what_is_not_on_the_web_is_named(server: tuple[str, list[str]]) -> None:
    url, asked = server
    for name in ("missing.txt", "*.txt"):
        with pytest.raises(InputError, match=r"^Can't read 'http://127\.0\.0\.1:"):
            find_sources([f"{url}/{name}"])
    assert {path.strip("/") for path in asked} <= {"missing.txt", "*.txt"}
