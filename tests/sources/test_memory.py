"""URLs in memory as lines."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from novelty_dask.errors import InputError
from novelty_dask.kernels.text.lines import MAX_BYTES, Reason, decode_line, read_lines
from novelty_dask.readers.memory import MemoryReader
from novelty_dask.sources.memory import TextStream

TEXTS = ["https://a.example/1", "https://b.example/ü", "x"]


def read(texts: Any, size: int = 10_000) -> bytes:
    """All bytes of the stream of some texts."""
    stream = TextStream(texts)
    return b"".join(iter(lambda: stream.read(size), b""))


def lines(texts: Any, size: int = 10_000) -> list[tuple[str | Reason, str]]:
    """For each text, how it is read from its copy: the text, or reason and sample."""
    chunks = (read(texts)[start : start + size] for start in range(0, len(read(texts)), size))
    found: dict[int, tuple[str | Reason, str]] = {}
    start = 0
    for batch in MemoryReader().scan("", chunks, is_start=True):
        found |= {int(at): (text, "") for at, text in zip(batch.numbers, batch.texts, strict=True)}
        found |= {reject.number: (reject.reason, reject.sample) for reject in batch.rejected}
        start += batch.n_lines
    assert sorted(found) == [*range(start)]
    return [found[number] for number in range(start)]


@pytest.mark.parametrize(
    "texts",
    [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, object),
        np.array(TEXTS, np.dtypes.StringDType()),
        pd.Series(TEXTS),
        pd.Index(TEXTS),
        pa.array(TEXTS),
        pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
    ],
    ids=lambda texts: f"{type(texts).__name__} {getattr(texts, 'dtype', '')}",
)
def test_texts_come_from_any_column(texts: Any) -> None:
    assert read(texts) == "".join(f" {text}\n" for text in TEXTS).encode()


def test_texts_come_one_after_the_other() -> None:
    made = []

    def endless() -> Any:
        while True:
            made.append("https://a.example/")
            yield made[-1]

    assert len(TextStream(endless()).read(50)) == 50
    assert len(made) <= 10_000


@pytest.mark.parametrize("missing", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, pa.scalar(None)])
def test_a_missing_value_keeps_its_place(missing: object) -> None:
    assert lines(["a.example", missing, "b.example"]) == [
        ("a.example", ""),
        (Reason.MISSING, ""),
        ("b.example", ""),
    ]


@given(st.lists(st.text(st.characters(), max_size=20), max_size=20), st.integers(1, 30))
def test_each_text_is_read_as_a_line_of_a_list_is(texts: list[str], size: int) -> None:
    for text, (found, sample) in zip(texts, lines(texts, size), strict=True):
        raw = text.strip().encode("utf-8", "surrogatepass")
        if b"\n" in raw:
            assert found == Reason.MALFORMED
            assert sample == raw[:80].decode("latin-1").encode("unicode_escape").decode()
        else:
            assert found == decode_line(raw)


def test_a_text_of_any_length_takes_bounded_memory() -> None:
    assert len(read(["x" * 10**6])) == MAX_BYTES + 3
    assert lines(["x" * MAX_BYTES, "y" * (MAX_BYTES + 1)]) == [
        ("x" * MAX_BYTES, ""),
        (Reason.TOO_LONG, "y" * 80),
    ]
    assert [*read_lines([b""])] == []


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("https://a.example/", "urls takes several URLs, not str; pass a list of texts."),
        (b"x", "urls takes several URLs, not bytes; pass a list of texts."),
        (7, "urls takes several URLs, not int; pass a list of texts."),
        ({"a.example"}, r"A set has no order, which .*; pass urls=sorted\(...\)."),
        ({"a.example": 1}, "urls takes one column of texts, not dict; pass the column."),
        (pd.DataFrame({"url": TEXTS}), "urls takes one column of texts, not DataFrame; pass the column."),
        (pa.table({"url": TEXTS}), "urls takes one column of texts, not Table; pass the column."),
        (np.array([TEXTS]), "urls takes one column of texts, not ndarray; pass the column."),
        (["a.example", 7], r"urls takes texts, and number 1 \(from 0\) is int; convert it first."),
        ([b"a.example"], r"urls takes texts, and number 0 \(from 0\) is bytes; convert it first."),
        ([TEXTS], r"urls takes texts, and number 0 \(from 0\) is list; convert it first."),
    ],
)
def test_what_is_no_column_of_texts_is_refused(texts: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        read(texts)
