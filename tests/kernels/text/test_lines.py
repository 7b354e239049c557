import lzma
import time
import tracemalloc
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.kernels.text.lines import (
    MAX_BYTES,
    LineBatch,
    Reason,
    Rejected,
    decode_line,
    read_lines,
    sample_of,
    split_lines,
)

STREAM_BYTES = st.lists(
    st.sampled_from(
        [b"a", b"\n", b"\r", b"\r\n", b" ", b"\0", b"\xef\xbb\xbf", b"\xff", "é".encode(), b"x" * 9]
    ),
    max_size=40,
).map(b"".join)


def cut(stream: bytes, sizes: list[int]) -> list[bytes]:
    """Cut a stream into chunks of the given sizes and a rest."""
    ends = np.cumsum([0, *sizes])
    return [stream[a:b] for a, b in zip(ends, [*ends[1:], len(stream)], strict=True)]


def joined(batches: list[LineBatch]) -> tuple[list[int], list[str], list[Rejected]]:
    """Put batches together."""
    numbers = [int(number) for batch in batches for number in batch.numbers]
    texts = [text for batch in batches for text in batch.texts]
    return numbers, texts, [reject for batch in batches for reject in batch.rejected]


def flat(chunks: list[bytes], max_bytes: int = MAX_BYTES, *, start: bool = True) -> list[bytes]:
    return [raw for raws in split_lines(chunks, max_bytes, first_chunk_is_start=start) for raw in raws]


@pytest.mark.parametrize(
    ("stream", "lines"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\n\nb", [b"a", b"", b"b"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\rb\n", [b"a\rb"]),
        (b"a\r", [b"a"]),
        (b"a\r\r\n", [b"a\r"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", [b"a", b"\xef\xbb\xbfb"]),
        (b"\xef\xbb\xbf\xef\xbb\xbfa", [b"\xef\xbb\xbfa"]),
        ("a\x0bb\x0cc\x85d\u2028e\n".encode(), ["a\x0bb\x0cc\x85d\u2028e".encode()]),
    ],
)
def test_split_lines(stream: bytes, lines: list[bytes]) -> None:
    assert flat([stream]) == lines
    assert flat([stream[i : i + 1] for i in range(len(stream))]) == lines


def test_split_lines_keeps_the_mark_inside_a_file() -> None:
    assert flat([b"\xef\xbb\xbfa\nb"], start=False) == [b"\xef\xbb\xbfa", b"b"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("length", range(96, 107))
def test_a_line_is_too_long_from_one_byte_over_the_limit(
    end: bytes, mark: bytes, size: int, length: int
) -> None:
    stream = mark + b"x" * length + end
    chunks = [stream[i : i + size] for i in range(0, len(stream), size)]
    [batch] = read_lines(chunks, max_bytes=100)
    assert batch.texts == (["x" * length] if length <= 100 else [])
    assert batch.rejected == ([Rejected(0, Reason.TOO_LONG, "x" * 80)] if length > 100 else [])


@settings(deadline=None, max_examples=300)
@given(
    stream=STREAM_BYTES,
    sizes=st.lists(st.integers(0, 8), max_size=20),
    max_bytes=st.integers(1, 30),
    start=st.booleans(),
)
def test_batches_do_not_depend_on_the_chunks(
    stream: bytes, sizes: list[int], max_bytes: int, start: bool
) -> None:
    whole = joined(list(read_lines([stream], max_bytes, first_chunk_is_start=start)))
    pieces = joined(list(read_lines(cut(stream, sizes), max_bytes, first_chunk_is_start=start)))
    assert pieces == whole


@settings(deadline=None, max_examples=200)
@given(STREAM_BYTES)
def test_every_line_is_accepted_or_rejected_once(stream: bytes) -> None:
    batches = list(read_lines([stream]))
    numbers, texts, rejected = joined(batches)
    n_lines = stream.count(b"\n") + (not stream.endswith(b"\n") and stream != b"")
    assert sum(batch.n_lines for batch in batches) == n_lines
    assert sorted(numbers + [reject.number for reject in rejected]) == list(range(n_lines))
    assert len(numbers) == len(texts)


def test_read_lines_numbers_go_on_from_chunk_to_chunk() -> None:
    numbers, texts, rejected = joined(
        list(read_lines([b"a.example\n\n", b"b.exa", b"mple\n\0\nc.exa", b"mple"]))
    )
    assert numbers == [0, 2, 4]
    assert texts == ["a.example", "b.example", "c.example"]
    assert rejected == [Rejected(1, Reason.BLANK, ""), Rejected(3, Reason.NUL, "\\x00")]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"https://example.org/", "https://example.org/"),
        (b" \t https://example.org/ \r\x0b\x0c", "https://example.org/"),
        ("https://例え.example/é".encode(), "https://例え.example/é"),
        (b"has a space", "has a space"),
        ("\u00a0x\u00a0y\u2028".encode(), "x\u00a0y"),
        ("\x1c\x85x\x1f".encode(), "x"),
        ("\ufeffx\u200b".encode(), "\ufeffx\u200b"),
        *((char.encode(), Reason.BLANK) for char in "\x85\u2028\x1c"),
        (b"", Reason.BLANK),
        (b" \t\r", Reason.BLANK),
        ("\u3000\u00a0\u2028".encode(), Reason.BLANK),
        (b"a\0b", Reason.NUL),
        (b"\0\xff", Reason.NUL),
        (b"\xff", Reason.INVALID_UTF8),
        (b"caf\xe9", Reason.INVALID_UTF8),
        (b"\xc0\xaf", Reason.INVALID_UTF8),
        (b"\xed\xa0\x80", Reason.INVALID_UTF8),
        (b"\xf4\x90\x80\x80", Reason.INVALID_UTF8),
        (b"x" * MAX_BYTES, "x" * MAX_BYTES),
        (b"x" * (MAX_BYTES + 1), Reason.TOO_LONG),
    ],
)
def test_decode_line(raw: bytes, expected: str | Reason) -> None:
    text = decode_line(raw)
    assert text == expected
    assert isinstance(text, Reason) == isinstance(expected, Reason)


def test_reasons_are_stable_words() -> None:
    assert [str(reason) for reason in Reason] == [
        *["blank", "too-long", "nul", "invalid-utf8", "not-a-url"],
        *["malformed", "missing", "comment", "no-time", "bad-time"],
    ]


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_samples_are_printable_ascii(raw: bytes) -> None:
    sample = sample_of(raw)
    assert sample.isascii()
    assert sample.isprintable()
    assert sample.encode().decode("unicode_escape").encode("latin-1") == raw[:80]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_never_accepted(encoding: str) -> None:
    stream = "\ufeffhttps://example.org/\nhttps://example.org/x\n".encode(encoding)
    assert joined(list(read_lines([stream])))[1] == []


def test_an_endless_line_costs_bounded_memory() -> None:
    n_bytes = 2**20
    tracemalloc.start()
    [batch] = read_lines(b"x" * n for n in repeat(n_bytes, 200))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert batch.rejected == [Rejected(0, Reason.TOO_LONG, "x" * 80)]
    # One chunk is being read and the next one is made.
    assert peak < 2.5 * n_bytes


@pytest.mark.corpus
def test_real_urls_are_read_in_little_time(corpora: Path) -> None:
    with lzma.open(corpora / "urls_1m.txt.xz") as stream:
        content = stream.read(2**23)
    chunks = [content[i : i + 2**20] for i in range(0, len(content), 2**20)]
    start = time.process_time()
    batches = list(read_lines(chunks))
    seconds = time.process_time() - start
    n_lines = sum(batch.n_lines for batch in batches)
    assert sum(len(batch.rejected) for batch in batches) == 0
    assert n_lines > 100_000
    assert seconds / n_lines < 3e-6
