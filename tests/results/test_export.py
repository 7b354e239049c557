"""Exports hold the run, in either order, in bounded memory, and appear only when they are whole."""

import csv
import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.errors import DamageError, NoveltyError, SettingsError, StoreError
from novelty_dask.features.marks import find_marks
from novelty_dask.features.places import choose_places
from novelty_dask.kernels.choices import VIEWS
from novelty_dask.results import ordering
from novelty_dask.results.export import export, most_novel_first, open_results
from novelty_dask.results.marked import put_marks
from novelty_dask.run import Run
from tests.support.arrays import listed
from tests.support.damage import alter

HOSTILE = [
    "ab",
    "=cmd|' /C calc'!A0",
    '+http://a.example/"quoted",comma',
    "-1+1",
    "@SUM(1)",
    "\uff1dHYPERLINK(1)",
    "http://b.example/\u2028=x,\r;y",
    "xy",
    "qqqqqq",
    "zzzzzz",
    "https://日本.example/ü",
]
COLUMNS = ["position", "url", "count", "spellings", "novelty", "nearest_url", "nearest_similarity"]
LISTS = ["neighbor_urls", "neighbor_similarities"]
OTHER_VIEWS = ["novelty_nearest", "novelty_kth", "uncovered", "lof"]
PLACE = ["source", "line"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with undefined novelty, ties, duplicates and text that looks like formulas."""
    folder = tmp_path_factory.mktemp("export")
    lines = [*make_urls(500)[0], *HOSTILE, *HOSTILE[:2]]
    (folder / "urls.txt").write_text("\n".join(lines), encoding="utf-8", newline="")
    return novelty_dask.score(
        folder / "urls.txt", folder / "run.zarr", features="ngrams", n_neighbors=4, block_rows=64
    )


@pytest.fixture(params=["one bucket", "many buckets"])
def buckets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sort in memory, and as a corpus too big for memory is sorted."""
    if request.param == "many buckets":
        monkeypatch.setattr(ordering, "BUCKET_BYTES", 4_000)
        monkeypatch.setattr(ordering, "PART_ROWS", 40)
        monkeypatch.setattr(ordering, "SAMPLED_KEYS", 100)


def expected(run: Run, order: str, *, lists: bool = False) -> pd.DataFrame:
    """All rows, sorted by pandas."""
    results = open_results(run)
    tables = [results.table(block, lists=lists) for block in range(results.n_blocks)]
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    ascending = order == "input"
    key = "position" if ascending else order
    sorted_frame = frame.sort_values(key, ascending=ascending, kind="stable", na_position="last")
    return sorted_frame.reset_index(drop=True)


@pytest.mark.sampled
@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize("order", ["input", *VIEWS])
def test_csv(run: Run, tmp_path: Path, order: str) -> None:
    export(run, tmp_path / "rows.csv", order=order, raw=True)
    # Before version 3, pandas' parser misses the last bit of some numbers; Python's float never does.
    numbers = dict.fromkeys(["nearest_similarity", *VIEWS], lambda text: float(text or "nan"))
    frame = pd.read_csv(tmp_path / "rows.csv", keep_default_na=False, converters=numbers)
    truth = expected(run, order)
    assert list(frame) == COLUMNS + OTHER_VIEWS + PLACE
    assert list(frame.url) == list(truth.url)
    assert list(frame.nearest_url) == list(truth.nearest_url.fillna(""))
    assert (frame["count"].to_numpy() == truth["count"].to_numpy()).all()
    for name in VIEWS:
        np.testing.assert_array_equal(frame[name], truth[name])
    np.testing.assert_array_equal(frame.nearest_similarity.astype(np.float32), truth.nearest_similarity)


def test_csv_is_utf8_with_lf_and_rfc_4180_quotes(run: Run, tmp_path: Path) -> None:
    export(run, tmp_path / "rows.csv", raw=True)
    raw = (tmp_path / "rows.csv").read_bytes()
    names = ",".join(f'"{name}"' for name in COLUMNS + OTHER_VIEWS + PLACE)
    assert raw.startswith(f'{names}\n0,"'.encode())
    assert b'\n500,"ab",2,1,,,,,,,,"' in raw
    assert b'"+http://a.example/""quoted"",comma"' in raw
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        assert [row["url"] for row in csv.DictReader(file)] == list(expected(run, "input").url)


def test_csv_keeps_spreadsheets_from_running_text(run: Run, tmp_path: Path) -> None:
    export(run, tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.DictReader(file) for cell in (row["url"], row["nearest_url"])]
    guarded = {cell for cell in cells if cell.startswith("'")}
    assert guarded == {f"'{text}" for text in HOSTILE if text[0] in "=+-@\uff1d"}
    assert not any(cell.lstrip().startswith(tuple("=+-@\t\r\uff1d")) for cell in cells)


@pytest.mark.sampled
@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize("order", ["input", *VIEWS])
def test_parquet(run: Run, tmp_path: Path, order: str) -> None:
    export(run, tmp_path / "rows.parquet", order=order)
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table.column_names == COLUMNS + LISTS + OTHER_VIEWS + PLACE
    pd.testing.assert_frame_equal(table.to_pandas(), expected(run, order, lists=True))
    assert [table[name].null_count for name in VIEWS] == [2] * 5


@pytest.mark.sampled
@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize("order", ["input", *VIEWS])
def test_jsonl(run: Run, tmp_path: Path, order: str) -> None:
    export(run, tmp_path / "rows.jsonl", order=order)
    lines = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    rows = [json.loads(line) for line in lines]
    truth = expected(run, order, lists=True)
    assert list(rows[0]) == COLUMNS + LISTS + OTHER_VIEWS + PLACE
    for name in VIEWS:
        np.testing.assert_array_equal([row[name] for row in rows], truth[name].replace(np.nan, None))
    assert [row["url"] for row in rows] == list(truth.url)
    assert [row["neighbor_urls"] for row in rows] == [list(urls) for urls in truth.neighbor_urls]
    for row, similarities in zip(rows, truth.neighbor_similarities, strict=True):
        np.testing.assert_array_equal(np.array(row["neighbor_similarities"], np.float32), similarities)
    undefined = next(row for row in rows if row["url"] == "ab")
    assert (undefined["novelty"], undefined["nearest_url"], undefined["nearest_similarity"]) == (
        None,
        None,
        None,
    )


def test_jsonl_similarities_have_the_digits_of_single_precision(run: Run, tmp_path: Path) -> None:
    export(run, tmp_path / "rows.jsonl")
    lines = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    numbers = [number for line in lines for number in json.loads(line)["neighbor_similarities"]]
    assert max(len(repr(number)) for number in numbers if number > 0.01) <= 12


def test_npz(run: Run, tmp_path: Path) -> None:
    export(run, tmp_path / "rows.npz")
    with np.load(tmp_path / "rows.npz", allow_pickle=False) as arrays:
        urls, offsets = arrays["url_bytes"].tobytes(), arrays["url_offsets"]
        decoded = [urls[start:stop].decode() for start, stop in pairwise(offsets)]
        assert decoded == listed(run.urls[:])
        names: dict[str, Any] = {
            "position": run.positions,
            "count": run.counts,
            "spellings": run.spellings,
            "novelty": run.novelty,
            "neighbor_ids": run.neighbors.ids,
            "neighbor_similarities": run.neighbors.similarities,
            **{name: getattr(run, name) for name in VIEWS},
        }
        for name, stored in names.items():
            np.testing.assert_array_equal(arrays[name], stored[:])
            assert arrays[name].dtype == stored.dtype
        np.testing.assert_array_equal(arrays["line"], np.asarray(run.positions[:]) + 1)
        assert not arrays["source"].any()
        assert arrays["source_bytes"].tobytes().decode() == run.manifest.sources[0].path


def test_npz_has_its_arrays_in_their_order(run: Run, tmp_path: Path) -> None:
    export(run, tmp_path / "rows.npz")
    first = ["position", "count", "spellings", "novelty", "neighbor_ids", "neighbor_similarities"]
    places = ["source", "line", "source_offsets", "source_bytes"]
    with np.load(tmp_path / "rows.npz", allow_pickle=False) as arrays:
        assert arrays.files == [*first, *OTHER_VIEWS, *places, "url_offsets", "url_bytes"]


@pytest.mark.usefixtures("buckets")
def test_most_novel_first(run: Run) -> None:
    rows, truth = list(most_novel_first(run)), expected(run, "novelty")
    assert [url for _, url in rows] == list(truth.url)
    np.testing.assert_array_equal([novelty for novelty, _ in rows], truth.novelty)


def test_format_can_be_named(run: Run, tmp_path: Path) -> None:
    export(run.url, str(tmp_path / "rows.txt"), format="jsonl")
    assert json.loads((tmp_path / "rows.txt").read_text(encoding="utf-8").split("\n")[0])["position"] == 0


# Formats and columns.


def read_text(path: Path) -> str:
    """The text of a file, decompressed."""
    raw = path.read_bytes()
    names = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}
    if raw[:2] in names:
        raw = pa.CompressedInputStream(pa.BufferReader(raw), names[raw[:2]]).read()
    return raw.decode()


@pytest.mark.sampled
@pytest.mark.parametrize("ending", ["gz", "zst"])
@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
def test_text_is_compressed_by_the_ending(run: Run, tmp_path: Path, form: str, ending: str) -> None:
    names = [f"rows.{form}", f"rows.{form}.{ending}", f"again.{form}.{ending}", f"named.{ending}"]
    for name in names:
        export(run, tmp_path / name, format=form if name.startswith("named") else None)
    texts = [read_text(tmp_path / name) for name in names]
    assert texts == [texts[0]] * 4
    first, second = ((tmp_path / name).read_bytes() for name in names[1:3])
    assert first == second
    assert len(first) < len(texts[0]) / 2


def test_tsv_is_csv_with_tabs(run: Run, tmp_path: Path) -> None:
    for form in ("csv", "tsv"):
        export(run, tmp_path / f"rows.{form}", order="novelty")
    rows = []
    for form, delimiter in (("csv", ","), ("tsv", "\t")):
        with (tmp_path / f"rows.{form}").open(encoding="utf-8", newline="") as file:
            rows.append(list(csv.reader(file, delimiter=delimiter)))
    assert rows[0] == rows[1]


@pytest.mark.sampled
@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize("name", ["rows.arrow", "rows.feather", "rows.FEATHER"])
def test_arrow(run: Run, tmp_path: Path, name: str) -> None:
    export(run, tmp_path / name, order="novelty")
    pd.testing.assert_frame_equal(
        pd.read_feather(tmp_path / name), expected(run, "novelty", lists=True), check_dtype=False
    )


@pytest.mark.sampled
@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet", "arrow"])
def test_columns_are_written_in_their_order(run: Run, tmp_path: Path, form: str) -> None:
    columns = ["lof", "url", "marked_url", *(LISTS[1:] if form in ("jsonl", "parquet", "arrow") else [])]
    export(run, tmp_path / f"rows.{form}", columns=columns, mark=("[", "]"), raw=True)
    export(run, tmp_path / f"all.{form}", mark=("[", "]"), raw=True)
    readers: dict[str, Any] = {
        "csv": pd.read_csv,
        "tsv": lambda path: pd.read_csv(path, sep="\t"),
        "jsonl": lambda path: pd.read_json(path, lines=True),
        "parquet": pd.read_parquet,
        "arrow": pd.read_feather,
    }
    rows, whole = (readers[form](tmp_path / f"{name}.{form}") for name in ("rows", "all"))
    assert list(rows) == columns
    pd.testing.assert_frame_equal(rows, whole[columns])


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("rows.csv", {"columns": ["url", "host"]}, r"^There is no column 'host'; choose some of position, "),
        ("rows.csv", {"columns": ["neighbor_urls"]}, r"^There is no column 'neighbor_urls'; .* and line\.$"),
        ("rows.csv", {"columns": "url"}, r"^There is no column 'url'; "),
        ("rows.csv", {"columns": []}, r"^Name each column once, and one at least \(columns\)\.$"),
        ("rows.csv", {"columns": ["url", "url"]}, r"^Name each column once, "),
        ("rows.npz", {"columns": ["url"]}, r"^An npz file has all arrays; "),
        ("rows.parquet.gz", {}, r"^A file of parquet is compressed in itself; leave out \.gz\.$"),
        ("rows.zst", {}, r"^Can't tell the format of 'rows\.zst'; end it in \.csv, .* or give --format\.$"),
    ],
)
def test_columns_and_formats_that_are_not_there(
    run: Run, tmp_path: Path, name: str, options: Any, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        export(run, tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_existing_file_is_kept_unless_told(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    out.write_text("old")
    with pytest.raises(StoreError, match=r"overwrite=True"):
        export(run, out)
    assert out.read_text() == "old"
    export(run, out, overwrite=True)
    assert out.read_text(encoding="utf-8").startswith('"position"')
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("rows.xlsx", {}, SettingsError),
        ("rows.csv", {"format": "xlsx"}, SettingsError),
        ("rows.csv", {"order": "url"}, SettingsError),
        ("rows.npz", {"order": "novelty"}, SettingsError),
        ("missing/rows.csv", {}, StoreError),
        ("", {"format": "csv", "overwrite": True}, StoreError),
    ],
)
def test_what_can_not_be_written(
    run: Run, tmp_path: Path, name: str, options: dict[str, str], error: type[NoveltyError]
) -> None:
    with pytest.raises(error):
        export(run, tmp_path / name, **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_failed_export_leaves_the_old_file(run: Run, tmp_path: Path) -> None:
    damaged, out = tmp_path / "run.zarr", tmp_path / "rows.parquet"
    shutil.copytree(run.url, damaged)
    chunk = damaged / "neighbors" / "ids" / "c" / "3" / "0"
    chunk.write_bytes(chunk.read_bytes()[::-1])
    out.write_text("old")
    with pytest.raises(DamageError, match=r"^'neighbors/ids/c/3/0' does not match its checksum"):
        export(damaged, out, overwrite=True)
    assert out.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == [out, damaged]


def test_an_incomplete_run_is_refused(run: Run, tmp_path: Path) -> None:
    unfinished = tmp_path / "run.zarr"
    shutil.copytree(run.url, unfinished)
    alter(unfinished, lambda said: said["stages"].pop("lof"))
    with pytest.raises(StoreError, match="not complete"):
        export(unfinished, tmp_path / "rows.csv")
    assert not (tmp_path / "rows.csv").exists()


# Marks.


def test_marks_are_around_what_no_neighbor_has(run: Run, tmp_path: Path) -> None:
    export(run, tmp_path / "rows.jsonl", mark=("\x01", "\x02"))
    with (tmp_path / "rows.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    find_places = choose_places(run.manifest.settings)
    assert list(rows[0]) == [*COLUMNS, *LISTS, *OTHER_VIEWS, *PLACE, "marked_url"]
    for row in rows:
        assert row["marked_url"].translate({1: None, 2: None}) == row["url"]
        assert ("\x01" in row["marked_url"]) == bool(row["uncovered"])
        parts = find_marks(find_places, row["url"], row["neighbor_urls"])
        assert row["marked_url"] == put_marks(row["url"], parts, ("\x01", "\x02"))
    assert any("\x01" in row["marked_url"] for row in rows)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_marks_are_one_more_column(run: Run, tmp_path: Path, form: str) -> None:
    for name, mark in (("without", None), ("marked", ("[", "]"))):
        export(run, tmp_path / f"{name}.{form}", mark=mark, order="uncovered", raw=True)
    read = pd.read_csv if form == "csv" else pd.read_parquet
    without, marked = (read(tmp_path / f"{name}.{form}") for name in ("without", "marked"))
    assert list(marked) == [*without, "marked_url"]
    pd.testing.assert_frame_equal(marked[list(without)], without)
    assert marked.marked_url.str.contains("[", regex=False).any()


@pytest.mark.parametrize("mark", ["ab", ("a",), ("a", 1), ["a", "b", "c"]])
def test_what_is_no_mark_is_refused(run: Run, tmp_path: Path, mark: Any) -> None:
    with pytest.raises(SettingsError, match=r"^A mark is what stands before and behind, as in "):
        export(run, tmp_path / "rows.csv", mark=mark)
    assert not (tmp_path / "rows.csv").exists()


def test_arrays_have_no_marks(run: Run, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^An npz file has no text to mark; "):
        export(run, tmp_path / "rows.npz", mark=("a", "b"))
