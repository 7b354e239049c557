from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.storage import tables
from novelty_dask.storage.tables import (
    Table,
    create_folder,
    read_slice,
    read_table,
    remove_tables,
    write_table,
)

URLS = [f"https://例え.example/{i}" for i in range(100)]


def table(n_rows: int) -> pa.Table:
    return pa.table(
        {"url": pa.array(URLS[:n_rows], pa.string()), "position": pa.array(range(n_rows), pa.int64())}
    )


@pytest.mark.parametrize(
    "form", ["{}/lines/1.parquet", "file://{}/lines/1.parquet", "memory://{}/lines/1.parquet"]
)
@pytest.mark.parametrize("n_rows", [0, 1, 100])
def test_a_table_comes_back(tmp_path: Path, form: str, n_rows: int) -> None:
    url = form.format(tmp_path)
    create_folder(url.rpartition("/")[0])
    n_bytes = sum(len(url.encode()) for url in URLS[:n_rows])
    assert write_table(url, table(n_rows)) == Table(url, n_rows, n_bytes)
    assert read_table(url).equals(table(n_rows))


def test_the_text_that_is_counted_may_be_another(tmp_path: Path) -> None:
    url = f"{tmp_path}/a.parquet"
    assert write_table(url, pa.table({"sample": ["ab", "", "c"]}), text="sample") == Table(url, 3, 3)


@settings(deadline=None, max_examples=100)
@given(
    n_rows=st.integers(0, 30),
    group_rows=st.integers(1, 10),
    bounds=st.tuples(st.integers(0, 30), st.integers(0, 30)),
)
def test_slices_are_those_of_the_whole(n_rows: int, group_rows: int, bounds: tuple[int, int]) -> None:
    start, stop = sorted(min(bound, n_rows) for bound in bounds)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "ROW_GROUP_ROWS", group_rows)
        write_table("memory://slices/a.parquet", table(n_rows))
        found = read_slice("memory://slices/a.parquet", start, stop)
    assert found.equals(table(n_rows).slice(start, stop - start))


def test_a_table_does_not_bring_back_a_removed_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_table(f"{tmp_path}/work/rows/1.parquet", table(3))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_tables_is_removed_if_there(tmp_path: Path) -> None:
    create_folder(f"{tmp_path}/work/rows")
    write_table(f"{tmp_path}/work/rows/1.parquet", table(3))
    for _ in range(2):
        remove_tables(f"{tmp_path}/work")
    assert list(tmp_path.iterdir()) == []
