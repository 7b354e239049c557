"""Runs of vectors: the bytes of the function in memory, whatever the source, the blocks and the workers."""

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import zarr
from distributed import Client
from sklearn.neighbors import LocalOutlierFactor

import novelty_dask
from novelty_dask.errors import BudgetError, InputError, NoveltyError, SettingsError, StoreError
from novelty_dask.kernels.choices import Metric
from novelty_dask.pipeline import limits
from tests.support import spy
from tests.support.arrays import listed
from tests.support.damage import flip_file

COSINE: Metric = "cosine"
METRICS: list[Metric] = [COSINE, "euclidean", "inner_product"]
ROWS, COLUMNS = 500, 7


def make_vectors(dtype: str = "float32") -> Any:
    """Return rows with equal ones, and one of zeros."""
    X = np.random.default_rng(3).normal(size=(ROWS, COLUMNS)) * 3
    X[40:50], X[123] = X[300:310], 0
    return X.astype(dtype)


def write_npy(path: Path, X: Any) -> Path:
    """Write a file of NumPy."""
    np.save(path / "x.npy", X)
    return path / "x.npy"


def write_archive(path: Path, X: Any) -> Path:
    """Write an archive of one array."""
    np.savez_compressed(path / "x.npz", x=X)
    return path / "x.npz"


def write_zarr(path: Path, X: Any) -> Path:
    """Write an array of Zarr."""
    array = zarr.create_array(path / "x.zarr", shape=X.shape, dtype=X.dtype, chunks=(90, 4))
    array[:] = X
    return path / "x.zarr"


def write_parquet(path: Path, X: Any) -> Path:
    """Write a column of lists, in groups of rows that are no blocks."""
    table = pa.table({"id": np.arange(len(X)), "embedding": [*X]})
    pq.write_table(table, path / "x.parquet", row_group_size=130)
    return path / "x.parquet"


WRITERS: dict[str, tuple[Callable[[Path, Any], Path], str]] = {
    "npy": (write_npy, "float32"),
    "npy of integers": (write_npy, "int16"),
    "npy in double precision": (write_npy, "float64"),
    "npz": (write_archive, "float32"),
    "zarr": (write_zarr, "float32"),
    "parquet": (write_parquet, "float64"),
}


def check_same(run: novelty_dask.VectorRun, path: Path, **keywords: Any) -> None:
    """Hold the neighbors of a run to the bytes of those in memory."""
    with np.errstate(all="ignore"):
        expected = novelty_dask.neighbors(path, **keywords)
    for stored, computed in zip(run.neighbors, expected, strict=True):
        assert stored[:].dtype == computed.dtype
        assert stored[:].tobytes() == computed.tobytes()


@pytest.mark.filterwarnings("ignore:Rows of zeros")
@pytest.mark.parametrize("source", WRITERS)
def test_a_run_has_the_bytes_of_the_function_in_memory(source: str, tmp_path: Path) -> None:
    write, dtype = WRITERS[source]
    path = write(tmp_path, make_vectors(dtype))
    run = novelty_dask.score_vectors(path, tmp_path / "run.zarr", block_rows=150, n_neighbors=6)
    check_same(run, path, n_neighbors=6)


@pytest.mark.filterwarnings("ignore:Rows of zeros")
@pytest.mark.parametrize("metric", METRICS)
def test_neither_blocks_nor_tiles_change_a_byte(
    metric: Metric, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_npy(tmp_path, make_vectors())
    check_same(novelty_dask.score_vectors(path, tmp_path / "one.zarr", metric=metric), path, metric=metric)
    # Later tiles start from what the first of their spans has found.
    monkeypatch.setattr(limits, "fit", spy.fit_finely)
    run = novelty_dask.score_vectors(path, tmp_path / "many.zarr", metric=metric, block_rows=90)
    assert run.manifest.stages["compare"]["tasks"] == 36
    check_same(run, path, metric=metric)
    assert not novelty_dask.verify(run, recompute_blocks=2).damages


@pytest.mark.filterwarnings("ignore:Rows of zeros")
def test_columns_and_workers(tmp_path: Path, client: Client) -> None:
    path = write_npy(tmp_path, make_vectors())
    # Fewer candidates than there is room for.
    for metric in METRICS[:2]:
        out = tmp_path / f"{metric}.zarr"
        run = novelty_dask.score_vectors(path, out, axis=1, block_rows=2, client=client, metric=metric)
        check_same(run, path, axis=1, metric=metric)


def test_novelty_is_the_distance_of_neighbors(tmp_path: Path) -> None:
    X: Any = np.delete(make_vectors("float64"), [*range(40, 50)], axis=0)
    path = write_npy(tmp_path, X)
    run = novelty_dask.score_vectors(path, tmp_path / "e.zarr", metric="euclidean", n_neighbors=4)
    distances = np.sort(np.linalg.norm(X[:, None] - X, axis=2), axis=1)[:, 1:5]
    for name, expected in {
        "novelty": distances.mean(axis=1),
        "novelty_nearest": distances[:, 0],
        "novelty_kth": distances[:, 3],
        "lof": -LocalOutlierFactor(n_neighbors=4).fit(X).negative_outlier_factor_,
    }.items():
        np.testing.assert_allclose(getattr(run, name)[:], expected)
    top, lof = run.top(3, by="lof"), np.asarray(run.lof)
    assert top.row.tolist() == np.argsort(-lof, kind="stable")[:3].tolist()
    cosines = novelty_dask.score_vectors(path, tmp_path / "c.zarr", n_neighbors=4)
    novelty = np.asarray(cosines.novelty)
    # A row of zeros has no direction.
    assert np.flatnonzero(np.isnan(novelty)).tolist() == [113]
    expected = 1 - np.asarray(cosines.neighbors.similarities).mean(axis=1)
    np.testing.assert_allclose(np.delete(novelty, 113), np.delete(expected, 113))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of vectors."""
    return write_npy(tmp_path, np.delete(make_vectors(), 123, axis=0))


def test_damage_is_found_and_mended(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    before = np.asarray(novelty_dask.score_vectors(path, out, block_rows=100).neighbors.ids)
    for array in ("neighbors/ids", "vectors"):
        flip_file(next(found for found in (out / array / "c").rglob("*") if found.is_file()))
        [damage] = novelty_dask.verify(out).damages
        assert damage.stage == {"vectors": "import", "neighbors/ids": "merge"}[array]
        assert np.array_equal(novelty_dask.resume(out, workers=0).neighbors.ids, before)
    path.unlink()
    # What follows from the vectors needs the source no more.
    flip_file(out / "neighbors/ids/c/1/0")
    assert np.array_equal(novelty_dask.resume(out, workers=0).neighbors.ids, before)
    flip_file(out / "vectors/c/1/0")
    with pytest.raises(InputError, match="no file"):
        novelty_dask.resume(out, workers=0)


def test_the_first_row_that_cannot_be_compared_is_named(path: Path, tmp_path: Path) -> None:
    X, out = np.load(path), tmp_path / "run.zarr"
    X[271], X[333, 2] = np.inf, np.nan
    np.save(path, X)
    with pytest.raises(InputError, match=r"Row 271 of .*x\.npy' has NaN or an infinite value"):
        novelty_dask.score_vectors(path, out, block_rows=50)
    # Nothing is left there, so that the mended file finds its path free.
    assert not out.exists()
    np.save(path, np.nan_to_num(X))
    assert len(novelty_dask.score_vectors(path, out)) == len(X)


def write_labels(folder: Path, labels: Any) -> Path:
    """Write vectors with a column of labels."""
    table = pa.table({"embedding": [*make_vectors()[: len(labels)]], "name": labels})
    pq.write_table(table, folder / "named.parquet", row_group_size=130)
    return folder / "named.parquet"


LABELS = {
    "text": [f"row {row} \x1b]0;\u202e<b>é" * (row % 3) for row in range(400)],
    "integers": [(row - 7) * 10**15 for row in range(400)],
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_stand_beside_the_numbers_of_rows(kind: str, tmp_path: Path) -> None:
    labels, out = LABELS[kind], tmp_path / "run.zarr"
    path = write_labels(tmp_path, labels)
    run = novelty_dask.score_vectors(
        path, out, label_column="name", metric="euclidean", block_rows=150, n_neighbors=3
    )
    check_same(run, path, metric="euclidean", n_neighbors=3)
    assert listed(run.labels) == labels
    novelty_dask.export(run, tmp_path / "o.parquet", order="lof")
    table = pq.read_table(tmp_path / "o.parquet").to_pydict()
    named = dict(enumerate(labels))
    assert table["label"] == [named[row] for row in table["row"]]
    assert table["nearest_label"] == [named[row] for row in table["nearest_row"]]
    assert table["neighbor_labels"] == [[named[row] for row in rows] for rows in table["neighbor_rows"]]
    novelty_dask.export(run, tmp_path / "o.npz")
    with np.load(tmp_path / "o.npz") as arrays:
        if kind == "integers":
            assert arrays["label"].tolist() == labels
        else:
            ends, text = arrays["label_offsets"].tolist(), arrays["label_bytes"].tobytes()
            assert [text[a:b].decode() for a, b in pairwise(ends)] == labels
    # They are checked as all data of a run are, and imported again from the same file alone.
    flip_file(out / "rows/label/c/2")
    [damage] = novelty_dask.verify(out).damages
    assert (damage.stage, damage.item) == ("import", "2")
    resumed = novelty_dask.resume(out, workers=0)
    assert isinstance(resumed, novelty_dask.VectorRun)
    assert listed(resumed.labels) == labels


def test_labels_of_another_file(path: Path, tmp_path: Path) -> None:
    out, names = tmp_path / "run.zarr", tmp_path / "names.npy"
    np.save(names, np.array([f"word {row}" for row in range(ROWS - 1)]))
    run = novelty_dask.score_vectors(path, out, labels=names, block_rows=200)
    assert run.top(3).label.tolist() == [f"word {row}" for row in run.top(3).row]
    np.save(names, np.array([f"Word {row}" for row in range(ROWS - 1)]))
    with pytest.raises(StoreError, match="sources differ"):
        novelty_dask.score_vectors(path, out, labels=names)
    with pytest.raises(StoreError, match="label_type is 'str' there and '' here"):
        novelty_dask.score_vectors(path, out)
    flip_file(out / "rows/label/c/1")
    with pytest.raises(InputError, match=r"names\.npy' has changed since the run was begun"):
        novelty_dask.resume(out, workers=0)


def test_other_choices_and_a_changed_source_are_refused(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    novelty_dask.score_vectors(path, out)
    with pytest.raises(StoreError, match="metric is 'cosine' there and 'euclidean' here"):
        novelty_dask.score_vectors(path, out, metric="euclidean")
    with pytest.raises(StoreError, match="it is of vectors"):
        novelty_dask.score(urls=["https://a.example/"], out=out)
    path.write_bytes(path.read_bytes())
    os.utime(path, (1, 1))
    with pytest.raises(StoreError, match="another modification time"):
        novelty_dask.score_vectors(path, out)


def write_sparse(path: Path) -> Path:
    """Write a sparse matrix."""
    sp.save_npz(path / "s.npz", sp.eye(3, format="csr"))
    return path / "s.npz"


def write_objects(path: Path) -> Path:
    """Write an array whose loading could run anything."""
    np.save(path / "o.npy", np.array([[1, "a"]], object), allow_pickle=True)
    return path / "o.npy"


def labelled(labels: Any) -> Callable[[Path], Path]:
    """Return what writes vectors with labels."""
    return lambda folder: write_labels(folder, labels)


NAMED = {"label_column": "name"}
REFUSED: list[tuple[Callable[[Path], Path], dict[str, Any], type[NoveltyError], str]] = [
    (write_sparse, {}, InputError, "novelty_dask.neighbors, which compares sparse rows in memory"),
    (lambda path: write_npy(path, np.ones(3)), {}, InputError, "1 dimensions"),
    (lambda path: write_npy(path, np.ones((0, 3))), {}, InputError, "0 rows of 3 columns"),
    (lambda path: path / "none.npy", {}, InputError, "no file"),
    (
        lambda path: write_archive(path, np.ones(3)).rename(path / "x.bin"),
        {},
        InputError,
        r"pass one, or an \.npy, \.npz, Parquet or Arrow file",
    ),
    (write_objects, {}, InputError, "holds Python objects, which are never loaded"),
    (labelled([1.5, 2]), NAMED, InputError, "no column 'name' of text or integers; it has none"),
    (labelled(["a", "b"]), {"label_column": "nam"}, InputError, "no column 'nam' .*; it has 'name'"),
    (labelled(["a", None, "b"]), NAMED, InputError, "Row 1 of .* has no label"),
    (labelled(["", "x" * 9_000]), NAMED, InputError, "row 1 in .* has 9,000 bytes"),
    (labelled(pa.array([2**63], pa.uint64())), NAMED, InputError, "from row 0 on: .* not in range"),
    (labelled(["a"] * 3), {**NAMED, "axis": 1}, InputError, "3 labels, and the source 7 vectors"),
    (lambda path: write_npy(path, np.ones((9, 3))), NAMED, SettingsError, "pass a Parquet or Arrow file"),
    (lambda path: write_npy(path, np.ones((9, 3))), {"labels": [1]}, SettingsError, "labels is list; store"),
    (lambda path: write_npy(path, np.ones((9, 3))), {"metric": "l1"}, SettingsError, "no metric 'l1'"),
    (lambda path: write_npy(path, np.ones((9, 3))), {"axis": 2}, SettingsError, "axis is 2"),
    (lambda path: write_npy(path, np.ones((9, 3))), {"column": "a"}, SettingsError, "no columns"),
    (
        lambda path: write_npy(path, np.ones((9, 3))),
        {"memory_limit": "500 MB"},
        BudgetError,
        "over the limit",
    ),
]


@pytest.mark.parametrize(("write", "choices", "error", "says"), REFUSED)
def test_what_cannot_be_compared_is_refused(
    write: Callable[[Path], Path],
    choices: dict[str, Any],
    error: type[NoveltyError],
    says: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=says):
        novelty_dask.score_vectors(write(tmp_path), tmp_path / "run.zarr", **choices)
    assert not (tmp_path / "run.zarr").exists()


def test_a_million_rows_fit_in_two_workers_of_two_gigabytes(tmp_path: Path) -> None:
    # A file with a hole, of which the head alone is read.
    np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (1_000_000, 100)).flush()
    plan = novelty_dask.plan_vectors(tmp_path / "x.npy", workers=2, memory_limit="2 GB")
    assert (plan.n_rows, plan.workers) == (1_000_000, 2)
    assert plan.worker_bytes < 1.2 * 10**9
    with pytest.raises(BudgetError, match="over the limit of 500 MB"):
        novelty_dask.plan_vectors(tmp_path / "x.npy", workers=2, memory_limit="500 MB")


MEASURE = """
import sys, novelty_dask
run = novelty_dask.score_vectors(sys.argv[1], sys.argv[2], workers=0, block_rows=16_384, metric=sys.argv[3])
for name, stage in run.manifest.stages.items():
    assert stage["peak_bytes"] <= stage["projected_bytes"], (name, stage)
"""


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_no_stage_takes_more_memory_than_projected(metric: str, tmp_path: Path) -> None:
    path = write_npy(tmp_path, np.random.default_rng(0).normal(size=(17_000, 128)).astype("float32"))
    subprocess.run([sys.executable, "-c", MEASURE, path, tmp_path / "run.zarr", metric], check=True)


def test_exports_of_vectors(path: Path, tmp_path: Path) -> None:
    run = novelty_dask.score_vectors(path, tmp_path / "run.zarr", n_neighbors=3, block_rows=200)
    ids, values, novelty = (np.asarray(array) for array in (*run.neighbors, run.novelty))
    novelty_dask.export(run, tmp_path / "o.parquet")
    table = pq.read_table(tmp_path / "o.parquet")
    assert table["row"].to_pylist() == [*range(len(ids))]
    assert table["neighbor_rows"].to_pylist() == ids.tolist()
    assert table["neighbor_similarities"].to_pylist() == values.tolist()
    novelty_dask.export(run, tmp_path / "o.npz")
    with np.load(tmp_path / "o.npz") as arrays:
        assert {*arrays} == {
            *("novelty", "novelty_nearest", "novelty_kth", "lof"),
            *("neighbor_ids", "neighbor_similarities"),
        }
        assert arrays["neighbor_ids"].tobytes() == ids.tobytes()
    novelty_dask.export(run, tmp_path / "o.csv", order="novelty")
    rows = np.loadtxt(tmp_path / "o.csv", delimiter=",", skiprows=1, usecols=0)
    assert rows.tolist() == np.argsort(-novelty, kind="stable").tolist()
    assert run.to_dataframe().compute().novelty.to_numpy().tobytes() == novelty.tobytes()
    products = novelty_dask.score_vectors(path, tmp_path / "p.zarr", metric="inner_product")
    with pytest.raises(SettingsError, match="no novelty"):
        products.top()
    novelty_dask.export(products, tmp_path / "p.csv")
    header = (tmp_path / "p.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == '"row","nearest_row","nearest_similarity"'
