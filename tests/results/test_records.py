"""Places of rows in the files that they were read from."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import novelty_dask
from novelty_dask.results.records import Places
from novelty_dask.sources.find import Source
from novelty_dask.storage.totals import Totals
from tests.support.runs import make_manifest


def places(lines: list[int]) -> Places:
    """Places in sources of so many lines."""
    manifest = make_manifest([Source(f"file:///{number}.txt", 0, None) for number in range(len(lines))])
    totals = Totals(lines=sum(lines), rows=0, duplicates=0, rejected={}, source_lines=lines)
    return Places(manifest.model_copy(update={"totals": totals}))


@given(st.lists(st.integers(0, 5), max_size=8))
def test_every_line_is_in_its_source(lines: list[int]) -> None:
    sources, numbers = places(lines).find(np.arange(sum(lines)))
    expected = [(source, line) for source, n in enumerate(lines) for line in range(1, n + 1)]
    assert list(zip(sources.tolist(), numbers.tolist(), strict=True)) == expected


def test_a_name_that_is_no_text_is_shown_by_its_bytes() -> None:
    assert [*Places(make_manifest([Source("file:///caf\udce9.txt", 0, None)])).names] == ["/caf\\xe9.txt"]


@pytest.mark.long
@pytest.mark.process
def test_a_row_is_where_an_editor_shows_it(tmp_path: Path) -> None:
    """In a file that is cut into pieces, behind one that is empty, and in one that is compressed."""
    lines = [f"https://a.example/{number:05}/{'x' * 3_000}" for number in range(6_000)]
    (tmp_path / "a.txt").write_text("\n".join(lines[:5_800]))
    (tmp_path / "b.txt").write_text("")
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress("\n".join(["", *lines[5_800:]]).encode()))
    run = novelty_dask.score(tmp_path, tmp_path / "run.zarr", normal_form="raw", n_neighbors=1)
    frame = run.to_dataframe().compute()
    for row in frame.iloc[[0, 1, 5_700, 5_799, 5_800, 5_999]].itertuples():
        path = Path(row.source)
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert text.decode().split("\n")[row.line - 1] == row.url
    assert set(frame.source.map(lambda name: Path(name).name)) == {"a.txt", "c.txt.gz"}
