"""Whole runs of tables: the rows of a list of the same URLs, whatever the format, and stopped or not."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import novelty_dask
from novelty_dask.cli import main
from novelty_dask.datasets import make_urls
from novelty_dask.errors import InputError, SettingsError, StoreError
from novelty_dask.sources.find import Source
from tests.support.arrays import listed
from tests.support.content import content
from tests.support.files import write_lines
from tests.support.formats import WRITERS
from tests.support.listeners import at_start, interrupt

URLS = [url for url in make_urls(600, seed=3)[0] if "\t" not in url]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list, and tables of the same URLs in the same order."""
    folder = tmp_path_factory.mktemp("formats")
    write_lines(folder / "a.txt", URLS)
    rows = [{"id": number, "url": url, "note": 'two\n"lines"'} for number, url in enumerate(URLS)]
    for name, dialect in {"a.csv": "excel", "a.tsv": "excel-tab"}.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["id", "url", "note"], dialect=dialect)
            writer.writeheader()
            writer.writerows(rows)
    (folder / "b.csv.gz").write_bytes(gzip.compress((folder / "a.csv").read_bytes()))
    lines = [json.dumps({"at": {"url": row["url"]}, "id": row["id"]}) for row in rows]
    write_lines(folder / "a.jsonl", lines)
    pq.write_table(pa.Table.from_pylist(rows), folder / "a.parquet", row_group_size=100)
    feather.write_feather(pa.Table.from_pylist(rows), str(folder / "a.arrow"), chunksize=100)
    return folder


@pytest.fixture(scope="module")
def expected(folder: Path) -> novelty_dask.Run:
    return novelty_dask.score(folder / "a.txt", workers=0)


FILES = {
    "a.csv": "url",
    "b.csv.gz": "2",
    "a.tsv": "url",
    "a.jsonl": "at.url",
    "a.parquet": "url",
    "a.arrow": "url",
}


@pytest.mark.parametrize(("name", "column"), FILES.items())
def test_a_table_is_scored_like_the_list_of_its_column(
    folder: Path, expected: novelty_dask.Run, name: str, column: str
) -> None:
    run = novelty_dask.score(folder / name, column=column, workers=0)
    for array in ("urls", "counts", "novelty", "uncovered"):
        assert (getattr(run, array)[:] == getattr(expected, array)[:]).all()
    assert run.manifest.settings.input_format == name.split(".")[1]
    totals = run.manifest.totals
    assert totals
    assert totals.lines == totals.rows + totals.duplicates + totals.skipped
    assert (totals.rows, totals.duplicates) == (len(expected), len(URLS) - len(expected))
    # Of a record of two lines the second holds none, nor does the header.
    assert totals.skipped == (1 + len(URLS) if name.endswith((".csv", ".tsv", ".gz")) else 0)


@pytest.mark.sampled
@pytest.mark.parametrize("form", WRITERS)
def test_a_format_is_scored_like_the_list_of_its_urls(
    folder: Path, expected: novelty_dask.Run, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(WRITERS[form](URLS)))
    with pytest.raises(InputError, match=f"read it with --input-format {form}, or "):
        novelty_dask.score(path, workers=0)
    with pytest.raises(InputError, match=f"read it with --input-format {form}, or "):
        novelty_dask.score(path, column="url", workers=0)
    run = novelty_dask.score(path, input_format=form, workers=0)
    for array in ("urls", "counts", "novelty", "uncovered"):
        assert (getattr(run, array)[:] == getattr(expected, array)[:]).all()
    assert run.manifest.totals
    assert run.manifest.totals.rejected == {}


def test_the_paths_of_a_log_are_those_of_its_host(folder: Path, tmp_path: Path) -> None:
    urls = [url for url in URLS if url.startswith("https://") and url.count("/") > 2]
    write_lines(tmp_path / "a.txt", ["https://a.example/" + url.split("/", 3)[3] for url in urls])
    (tmp_path / "a.log").write_bytes(WRITERS["log"](["/" + url.split("/", 3)[3] for url in urls]))
    listed_run = novelty_dask.score(tmp_path / "a.txt", workers=0)
    run = novelty_dask.score(tmp_path / "a.log", input_format="log", host="https://a.example", workers=0)
    assert listed(run.urls[:]) == listed(listed_run.urls[:])
    with pytest.raises(SettingsError, match="host='a': is for input_format='log'"):
        novelty_dask.score(tmp_path / "a.txt", host="a")


def test_hosts_are_scored_like_the_list_of_them(tmp_path: Path) -> None:
    hosts = [f"{name}.example" for name in ("a", "b", "login", "b", "cdn7.c")]
    write_lines(tmp_path / "a.txt", hosts)
    write_lines(tmp_path / "hosts", ["127.0.0.1 localhost", *(f"0.0.0.0 {host}" for host in hosts)])
    with pytest.raises(InputError, match=r"looks like a hosts file .*--input-format hosts, or"):
        novelty_dask.score(tmp_path / "hosts", workers=0)
    run = novelty_dask.score(tmp_path / "hosts", input_format="hosts", workers=0)
    assert listed(run.urls[:]) == listed(novelty_dask.score(tmp_path / "a.txt", workers=0).urls[:])


def test_formats_without_columns_take_none(folder: Path) -> None:
    for form in WRITERS:
        with pytest.raises(SettingsError, match=f"the format '{form}' has no columns; leave it out"):
            novelty_dask.score(folder / "a.csv", input_format=form, column="url")


@pytest.mark.sampled
@pytest.mark.process
@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.log"])
def test_a_stopped_run_goes_on_to_the_same_bytes(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / "a.log").write_bytes(WRITERS["log"](URLS))
    how: Any = {"input_format": "log", "host": "a.example"} if name == "a.log" else {"column": "url"}
    whole = novelty_dask.score(folder / name, workers=0, **how)
    out = tmp_path / "run.zarr"
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(folder / name, out, listener=at_start("vectorize", interrupt), **how)
    resumed = novelty_dask.resume(out, workers=2)
    assert content(resumed) == content(whole)
    assert not novelty_dask.verify(out, recompute_blocks=9).damages


def test_a_run_of_another_column_is_refused(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    novelty_dask.score(folder / "a.csv", out, column="url")
    novelty_dask.score(folder / "a.csv", out, column="url")
    with pytest.raises(StoreError, match="column is 'url' there and 'note' here"):
        novelty_dask.score(folder / "a.csv", out, column="note")


def test_a_table_is_planned(folder: Path) -> None:
    plan = novelty_dask.plan(folder / "a.parquet", column="url")
    assert plan.tiles.n_rows == len(URLS)
    with pytest.raises(InputError, match="has no column 'link'"):
        novelty_dask.plan(folder / "a.parquet", column="link")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.arrow"])
def test_without_a_column_nothing_is_made(folder: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "run.zarr"
    done = CliRunner().invoke(main, ["score", str(folder / name), "-o", str(out)])
    assert done.exit_code == 2
    assert "--column" in done.stderr
    assert not out.exists()


@pytest.mark.sampled
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.arrow"])
def test_rows_keep_other_columns_of_their_records(folder: Path, tmp_path: Path, name: str) -> None:
    keep = ["id", "note"] if name != "a.jsonl" else ["id", "at.url"]
    run = novelty_dask.score(folder / name, column=FILES[name], keep=keep, workers=0, block_rows=100)
    frame = run.to_dataframe().compute()
    assert list(frame)[-2:] == keep
    number: dict[str, str] = {}
    for place, url in enumerate(URLS):
        number.setdefault(url, str(place))
    assert frame["id"].tolist() == [number[url] for url in frame.url]
    assert (frame[keep[1]] == (frame.url if name == "a.jsonl" else 'two\n"lines"')).all()
    novelty_dask.export(run, tmp_path / "rows.csv", raw=True)
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == sorted(frame["id"], key=int)
    with pytest.raises(StoreError, match="holds another run"):
        novelty_dask.score(folder / name, run.url, column=FILES[name])


def test_a_row_keeps_what_came_with_its_first_spelling(tmp_path: Path) -> None:
    lines = ["url,seen,count", "http://a.example/,2,x", "http://b.example/,3", "https://www.a.example,1,y"]
    write_lines(tmp_path / "a.csv", lines)
    run = novelty_dask.score(tmp_path / "a.csv", column="url", keep=["seen", "count"])
    frame = run.to_dataframe().compute().set_index("url")
    assert frame.seen.to_dict() == {"http://a.example/": "2", "http://b.example/": "3"}
    # A column of the result has this name.
    assert frame["record.count"].fillna("").tolist() == ["x", ""]
    with pytest.raises(InputError, match=r"has no column 'nope'; .* \(it has: url, seen, count\)"):
        novelty_dask.score(tmp_path / "a.csv", column="url", keep=["nope"])


def test_no_column_that_is_kept_takes_the_place_of_another(tmp_path: Path) -> None:
    fields = ["record.url", "url", "marked_url", "record.record.url"]
    write_lines(tmp_path / "a.csv", [",".join(fields), "one,http://a.example/,two,three"])
    run = novelty_dask.score(tmp_path / "a.csv", column="url", keep=fields)
    novelty_dask.export(run, tmp_path / "rows.jsonl", mark=("[", "]"))
    row = json.loads((tmp_path / "rows.jsonl").read_text(encoding="utf-8"))
    assert row["record.url"] == "one"
    assert row["record.record.url"] == "three"
    assert row["record.record.record.url"] == row["url"] == "http://a.example/"
    assert row["record.marked_url"] == "two"
    assert row["marked_url"] != "two"


def test_lines_of_a_table_can_be_scored_as_they_are(folder: Path) -> None:
    run = novelty_dask.score(folder / "a.jsonl", input_format="lines", features="ngrams")
    assert len(run) == len(URLS)
    assert listed(run.urls[:1])[0].startswith("{")


def test_the_copy_of_standard_input_goes_by_its_name() -> None:
    assert Source("file:///x/run.zarr/work/stdin", 1, None).shown == "standard input"


def test_a_table_is_read_from_standard_input(folder: Path, expected: novelty_dask.Run) -> None:
    runner = CliRunner()
    for name, column in FILES.items():
        if name.startswith("a.") and name not in ("a.parquet", "a.arrow"):
            done = runner.invoke(
                main, ["score", "-", "--column", column, "-q"], input=(folder / name).read_bytes()
            )
            assert done.exit_code == 0, done.output
            assert len(done.stdout.splitlines()) == len(expected)
