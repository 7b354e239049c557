import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from novelty_dask.errors import InputError
from novelty_dask.objects.local import LocalObjects
from novelty_dask.sources import streams
from novelty_dask.sources.find import Source
from novelty_dask.sources.pieces import CHUNK_BYTES, read_chunks
from novelty_dask.sources.streams import copy_stream, identify
from tests.support.files import COMPRESSORS
from tests.support.pieces import cut_lines

KEY = "work/stdin"
TEXT = b"".join(b"https://a.example/%d\n" % i for i in range(20_000))


@pytest.mark.parametrize(
    "content", [b"", b"a", TEXT, b"x" * CHUNK_BYTES], ids=["empty", "a", "many", "chunk"]
)
def test_a_stream_is_copied_to_a_file_and_known_by_its_bytes(tmp_path: Path, content: bytes) -> None:
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    source = copy_stream(io.BytesIO(content), LocalObjects(tmp_path), KEY)
    assert source == identify(io.BytesIO(content)) == Source("-", len(content), None, digest)
    copy = source._replace(url=f"{tmp_path}/{KEY}")
    assert b"".join(b"".join(read_chunks(copy, piece)) for piece in cut_lines([copy], 10_000)) == content


@pytest.mark.parametrize("content", [b"", b"a", b"PK.example\n", TEXT], ids=["empty", "a", "mark", "many"])
@pytest.mark.parametrize("pack", COMPRESSORS.values(), ids=COMPRESSORS)
def test_a_compressed_stream_is_copied_as_text(
    tmp_path: Path, content: bytes, pack: Callable[[bytes], bytes]
) -> None:
    stream = io.BytesIO(pack(content) + pack(b"\n"))
    source = copy_stream(stream, LocalObjects(tmp_path), KEY)
    assert source == identify(io.BytesIO(content + b"\n"))
    assert (tmp_path / KEY).read_bytes() == content + b"\n"


@pytest.mark.parametrize("pack", COMPRESSORS.values(), ids=COMPRESSORS)
def test_a_compressed_stream_that_is_cut_is_refused(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    stream = io.BytesIO(pack(TEXT)[:-9])
    with pytest.raises(InputError, match=r"^Can't read standard input: it ends in the middle of "):
        copy_stream(stream, LocalObjects(tmp_path), KEY)
    assert not (tmp_path / KEY).exists()


def test_streams_that_differ_in_a_byte_are_not_the_same() -> None:
    assert identify(io.BytesIO(b"http://a.example/")) != identify(io.BytesIO(b"http://b.example/"))


def test_a_stream_without_newlines_is_not_copied_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LONGEST_LINE_BYTES", CHUNK_BYTES)
    lines = (b"x" * (CHUNK_BYTES - 1) + b"\n") * 5
    assert copy_stream(io.BytesIO(lines), LocalObjects(tmp_path), KEY).n_bytes == len(lines)
    endless = lines + b"x" * (CHUNK_BYTES + 1)
    with pytest.raises(InputError, match=r"^Can't read standard input: a line of it has more than "):
        copy_stream(io.BytesIO(endless), LocalObjects(tmp_path), KEY)
    with pytest.raises(InputError, match=r"^Can't read standard input: a line of it has more than "):
        identify(io.BytesIO(endless))


def test_a_stream_that_can_not_be_stored_is_no_input_error(tmp_path: Path) -> None:
    (tmp_path / "work").write_bytes(TEXT)
    with pytest.raises(FileExistsError):
        copy_stream(io.BytesIO(TEXT), LocalObjects(tmp_path), KEY)
