from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.errors import DamageError
from novelty_dask.objects.address import open_objects
from novelty_dask.objects.commits import Commit, Commits, Draft
from novelty_dask.planning.stages import INGEST
from novelty_dask.storage import tables
from novelty_dask.storage.tables import (
    SortedTable,
    Table,
    read_slice,
    read_table,
    read_uncommitted,
    write_table,
)

URLS = [f"https://例え.example/{i}" for i in range(100)]
TASK = INGEST.task("7")
KEY = "work/lines/a.parquet"


def table(n_rows: int) -> pa.Table:
    return pa.table(
        {"url": pa.array(URLS[:n_rows], pa.string()), "position": pa.array(range(n_rows), pa.int64())}
    )


def store(url: str, content: pa.Table, text: Sequence[str] = ("url",)) -> tuple[Commits, Table]:
    """Write a table as a task of its own, and commit it."""
    commits = Commits(open_objects(url), "fingerprint")
    draft = Draft(TASK, commits.objects)
    made = write_table(draft, KEY, content, text)
    commits.forget(TASK)
    commits.add(TASK, Commit("fingerprint", 1, draft.digests, {}))
    return commits, made


@pytest.mark.parametrize("form", ["{}/run.zarr", "file://{}/run.zarr", "memory://{}/run.zarr"])
@pytest.mark.parametrize("n_rows", [0, 1, 100])
def test_a_table_comes_back(tmp_path: Path, form: str, n_rows: int) -> None:
    commits, made = store(form.format(tmp_path), table(n_rows))
    assert made == Table("7", KEY, n_rows, sum(len(url.encode()) for url in URLS[:n_rows]))
    assert read_table(commits, INGEST, made).equals(table(n_rows))


def test_a_table_can_be_read_before_it_is_committed(tmp_path: Path) -> None:
    objects = open_objects(str(tmp_path))
    draft = Draft(TASK, objects)
    written = SortedTable(*write_table(draft, KEY, table(100)), *draft.digests[KEY])
    assert read_uncommitted(objects, INGEST, written).equals(table(100))
    objects.write(KEY, b"x")
    with pytest.raises(DamageError, match=r"^'work/lines/a\.parquet' has 1 bytes instead of "):
        read_uncommitted(objects, INGEST, written)


def test_the_text_that_is_counted_may_be_another(tmp_path: Path) -> None:
    _, made = store(str(tmp_path), pa.table({"sample": ["ab", "", "c"]}), text=["sample"])
    assert made == Table("7", KEY, 3, 3)


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
        commits, made = store("memory://slices", table(n_rows))
        found = read_slice(commits, INGEST, made, start, stop)
    assert found.equals(table(n_rows).slice(start, stop - start))


def test_a_table_is_read_as_it_was_committed_or_not_at_all(tmp_path: Path) -> None:
    commits, made = store(str(tmp_path), table(100))
    path = tmp_path / KEY
    whole = path.read_bytes()
    middle = len(whole) // 2
    for content in (b"", whole[:-1], whole + b"x", whole[:middle] + b"?" + whole[middle + 1 :], bytes(9)):
        path.write_bytes(content)
        for read in (read_table, partial(read_slice, start=3, stop=5)):
            with pytest.raises(DamageError) as damage:
                read(commits, INGEST, made)
            assert (damage.value.stage, damage.value.item) == TASK
    path.unlink()
    with pytest.raises(DamageError, match=r"^'work/lines/a\.parquet' is missing; "):
        read_table(commits, INGEST, made)
    path.write_bytes(whole)
    assert read_table(commits, INGEST, made).num_rows == 100
    commits.forget(TASK)
    with pytest.raises(DamageError, match=r"is not committed"):
        read_table(commits, INGEST, made)
