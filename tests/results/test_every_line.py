"""Exports of every line: those of the sources, each with its row, as a dictionary finds it."""

import bz2
import csv
import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.errors import InputError, SettingsError, StoreError
from novelty_dask.events import Event, StageFinished
from novelty_dask.kernels.choices import NormalForm
from novelty_dask.kernels.text.lines import Reason, decode_line
from novelty_dask.kernels.text.urls import normalize
from novelty_dask.results import buckets, every_line
from novelty_dask.results.export import export, open_results
from novelty_dask.results.results import Results
from novelty_dask.run import Run
from tests.support.files import write_lines

OF_ROWS = ["count", "spellings", "novelty", "nearest_url", "nearest_similarity", "uncovered", "lof"]
OF_LINES = ["position", "url", "source", "line", "reason"]
POOL = [
    *(
        f"https://{host}.example/{path}"
        for host in ("a", "b", "c")
        for path in ("", "x", "x/", "9?q=1", "77")
    ),
    *("http://www.a.example/x", "A.example/x?utm_source=1", "ftp://a.example/x", "https://b.example:444/x"),
    *("192.0.2.7/x", "https://日本.example/ü", "two words", "http://[", "=1+1"),
    *("", " ", "# comment", "#/route", "a.example/x\tb", "x" * 9_000),
]
LINES = st.lists(st.sampled_from([*(text.encode() for text in POOL), b"\xff", b"a\0b"]), max_size=12)
"""Lines among which many repeat others or are rejected."""


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand lines out, convert and sort them as those of a corpus too big for memory."""
    monkeypatch.setattr(every_line, "PASS_LINES", 7)
    monkeypatch.setattr(every_line, "PART_ROWS", 5)
    monkeypatch.setattr(buckets, "BUCKET_BYTES", 600)
    monkeypatch.setattr(buckets, "FAN_OUT", 3)


def rows_by_form(run: Run, form: NormalForm) -> dict[str | None, dict[str, Any]]:
    """The rows of a run by their normal forms."""
    results = open_results(run)
    rows = (row for block in range(results.n_blocks) for row in results.table(block).to_pylist())
    return {normalize(row["url"], form): row for row in rows}


def expected_lines(run: Run, files: dict[str, bytes], form: NormalForm) -> Iterator[dict[str, Any]]:
    """Every line with the row of its form."""
    rows, position = rows_by_form(run, form), 0
    for source, content in files.items():
        for number, raw in enumerate(content.removesuffix(b"\n").split(b"\n") if content else [], 1):
            text = decode_line(raw)
            reason = text if isinstance(text, Reason) else None
            if reason is None and normalize(text, form) is None:
                reason = Reason.NOT_A_URL
            row = dict.fromkeys(OF_ROWS) if reason else rows[normalize(text, form)]
            shown = {"position": position, "source": source, "line": number, "reason": reason}
            yield {**row, **shown, "url": None if reason else text}
            position += 1


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of Parquet."""
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def pick(rows: Any, columns: list[str]) -> list[list[Any]]:
    """Some columns of rows."""
    return [[row[name] for name in columns] for row in rows]


@pytest.mark.long
@pytest.mark.usefixtures("_small")
@settings(max_examples=12)
@given(st.lists(LINES, min_size=1, max_size=3), st.sampled_from(["raw", "web", "page", "template"]))
def test_every_line_has_the_row_that_a_dictionary_finds(parts: list[list[bytes]], form: NormalForm) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # One file is compressed, and one lacks its last newline.
        parts[0].append(b"https://a.example/x")
        paths = [str(Path(folder, f"{number}.txt")) for number in range(len(parts))]
        contents = [b"".join(line + b"\n" for line in part) for part in parts]
        contents[0] = contents[0][:-1]
        for number, (path, content) in enumerate(zip(paths, contents, strict=True)):
            Path(path).write_bytes(gzip.compress(content) if number == 1 else content)
        run = novelty_dask.score(
            paths, Path(folder, "run.zarr"), normal_form=form, block_rows=3, n_neighbors=2, workers=0
        )
        export(run, Path(folder, "rows.parquet"), every_line=True)
        found = read(Path(folder, "rows.parquet"))
        truth = [*expected_lines(run, dict(zip(paths, contents, strict=True)), form)]
        assert pick(found, OF_LINES + OF_ROWS) == pick(truth, OF_LINES + OF_ROWS)
        assert sorted(path.name for path in Path(folder).iterdir() if path.suffix != ".txt") == [
            "rows.parquet",
            "run.zarr",
        ]


RECORDS = [
    {"id": str(number), "key": f"k{number % 3}", "reason": 'two\n"lines"', "url": url}
    for number, url in enumerate(["https://a.example/x", "https://b.example/", "", "http://A.example/x/"] * 9)
]


@pytest.mark.sampled
@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_records_have_their_own_fields(tmp_path: Path, form: str) -> None:
    if form == "csv":
        with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*RECORDS[0]])
            writer.writeheader()
            writer.writerows(RECORDS)
    elif form == "jsonl":
        write_lines(tmp_path / "a.jsonl", map(json.dumps, RECORDS))
    else:
        pq.write_table(pa.Table.from_pylist(RECORDS), tmp_path / "a.parquet", row_group_size=10)
    run = novelty_dask.score(
        tmp_path / f"a.{form}", column="url", keep=["id", "reason", "key"], workers=0, block_rows=2
    )
    export(run, tmp_path / "rows.parquet", every_line=True)
    found = read(tmp_path / "rows.parquet")
    # In CSV a record begins on each second line, behind the header.
    first, step = (2, 2) if form == "csv" else (1, 1)
    assert [row["line"] for row in found] == [first + step * number for number in range(len(RECORDS))]
    assert [row["url"] for row in found] == [record["url"] or None for record in RECORDS]
    counts = {"https://a.example/x": 18, "http://A.example/x/": 18, "https://b.example/": 9, None: None}
    assert [row["count"] for row in found] == [counts[row["url"]] for row in found]
    for row, record in zip(found, RECORDS, strict=True):
        if record["url"]:
            assert (row["id"], row["key"], row["record.reason"]) == (
                *[*record.values()][:2],
                record["reason"],
            )
        assert row["reason"] == (None if record["url"] else "blank")
    # Of the same columns as those of rows, and one more.
    export(run, tmp_path / "rows.arrow", columns=["key", "id"])
    assert pd.read_feather(tmp_path / "rows.arrow").columns.tolist() == ["key", "id"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with duplicates, rejected lines, secrets, and text that looks like formulas."""
    folder = tmp_path_factory.mktemp("lines")
    lines = [*make_urls(200)[0], "", "=a|b", "https://user:pw@a.example/?token=abc", "# feed"] * 2
    (folder / "urls.bz2").write_bytes(bz2.compress("\n".join(lines).encode()))
    return novelty_dask.score(folder / "urls.bz2", folder / "run.zarr", block_rows=64, n_neighbors=3)


@pytest.mark.sampled
@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv.gz", "rows.jsonl.zst", "rows.arrow", "rows.parquet"])
def test_formats_hold_the_same_lines(run: Run, tmp_path: Path, name: str) -> None:
    columns = ["line", "url", "marked_url", "novelty", "nearest_url", "reason"]
    export(run, tmp_path / name, every_line=True, columns=columns, mark=("[", "]"), raw=True)
    readers: dict[str, Any] = {
        "csv": pd.read_csv,
        "tsv": lambda path: pd.read_csv(path, sep="\t"),
        "jsonl": lambda path: pd.read_json(pa.CompressedInputStream(str(path), "zstd"), lines=True),
        "arrow": pd.read_feather,
        "parquet": pd.read_parquet,
    }
    found = readers[name.split(".")[1]](tmp_path / name)
    assert list(found) == columns
    assert found.line.tolist() == list(range(1, len(found) + 1))
    half = len(found) // 2
    pd.testing.assert_frame_equal(
        found[columns[1:]][:half], found[columns[1:]][half:].reset_index(drop=True), check_dtype=False
    )
    assert found.reason[found.reason.notna()].tolist() == ["blank", "comment"] * 2
    unmarked = found.marked_url.str.replace("[", "", regex=False).str.replace("]", "", regex=False)
    assert (unmarked[found.url.notna()] == found.url[found.url.notna()]).all()
    assert found.novelty.isna().sum() == 4


def test_secrets_and_formulas_are_hidden_in_every_line(run: Run, tmp_path: Path) -> None:
    export(run, tmp_path / "rows.csv", every_line=True, redact=True)
    text = (tmp_path / "rows.csv").read_text(encoding="utf-8")
    assert "pw@" not in text
    assert "token=abc" not in text
    assert text.count('"\'=a|b"') >= 2


def test_the_bytes_are_the_same_however_lines_are_divided(
    run: Run, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    export(run, tmp_path / "a.csv", every_line=True)
    request.getfixturevalue("_small")
    export(run, tmp_path / "b.csv", every_line=True)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_listeners_hear_how_far_it_is(run: Run, tmp_path: Path) -> None:
    events: list[Event] = []
    export(run, tmp_path / "rows.csv", every_line=True, listener=events.append)
    assert [event.stage for event in events if isinstance(event, StageFinished)] == ["read", "match"]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("rows.csv", {"order": "novelty"}, r"^Every line is written in the order of the input; leave out "),
        ("rows.csv", {"min_novelty": 0.5}, r"^Every line is written in the order of the input; leave out "),
        ("rows.csv", {"per_site": 1}, r"^Every line is written in the order of the input; leave out "),
        ("rows.csv", {"least": True}, r"^The order of the input has no least rows; "),
        ("rows.csv", {"columns": ["urls"]}, r"^There is no column 'urls'; choose some of .* and reason\.$"),
        ("rows.npz", {}, r"^An npz file has rows and no lines; "),
    ],
)
def test_what_every_line_can_not_have(
    run: Run, tmp_path: Path, name: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        export(run, tmp_path / name, every_line=True, **options)
    assert not list(tmp_path.iterdir())


def test_sources_must_be_as_they_were(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.txt", ["https://a.example/", "https://b.example/"])
    run = novelty_dask.score(path, tmp_path / "run.zarr", workers=0)
    write_lines(path, ["https://a.example/", "https://b.example/", "https://c.example/"])
    with pytest.raises(InputError, match=r"a\.txt' has changed since the run was begun; it had 38 bytes and"):
        export(run, tmp_path / "rows.csv", every_line=True)
    path.unlink()
    with pytest.raises(InputError, match=r"^Nothing matches '.*a\.txt'; check the path\.$"):
        export(run, tmp_path / "rows.csv", every_line=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run.zarr"]


def test_a_source_that_changes_meanwhile_leaves_no_file(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.txt", ["https://a.example/", "https://b.example/"])
    run = novelty_dask.score(path, tmp_path / "run.zarr", workers=0)

    def replace(event: Event) -> None:
        if isinstance(event, StageFinished):
            other = write_lines(tmp_path / "b.txt", ["https://b.example/", "https://c.example/"])
            other.replace(path)

    with pytest.raises(
        InputError, match=r"a\.txt' has changed since the run was begun; it has the same size"
    ):
        export(run, tmp_path / "rows.csv", every_line=True, listener=replace)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "run.zarr"]


def test_lines_that_the_run_does_not_have_are_no_rows(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if another version of this package had read them otherwise.
    whole = Results.read
    monkeypatch.setattr(Results, "read", lambda self, name, block: whole(self, name, block)[:9])
    with pytest.raises(InputError, match=r"^The sources have lines that the run does not have; score them "):
        export(run, tmp_path / "rows.csv", every_line=True)
    assert not list(tmp_path.iterdir())


def test_what_could_be_read_but_once_is_named(tmp_path: Path) -> None:
    run = novelty_dask.score(urls=["https://a.example/", "https://b.example/"], workers=0)
    with pytest.raises(InputError, match=r"^What was in memory was kept only until .* write them to a file "):
        export(run, tmp_path / "rows.csv", every_line=True)
    assert not list(tmp_path.iterdir())


def test_existing_files_are_kept(run: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("old")
    with pytest.raises(StoreError, match=r"exists; nothing was written"):
        export(run, tmp_path / "rows.csv", every_line=True)
    export(run, tmp_path / "rows.csv", every_line=True, overwrite=True)
    assert (tmp_path / "rows.csv").read_text(encoding="utf-8").startswith('"position","url"')
    assert len(list(tmp_path.iterdir())) == 1


EXPORT = """
import resource, sys
import novelty_dask
from novelty_dask.results import buckets, every_line

buckets.BUCKET_BYTES, every_line.PASS_LINES, every_line.PART_ROWS = 2**20, 4_096, 1_024
novelty_dask.export(sys.argv[1], sys.argv[2], every_line=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_bytes(folder: Path, n_lines: int) -> int:
    """Most memory of a process that exports so many lines of 2,000 rows, in bytes."""
    urls = make_urls(2_000)[0]
    path = write_lines(folder / f"{n_lines}.txt", (urls[number % 2_000] for number in range(n_lines)))
    run = novelty_dask.score(path, folder / f"{n_lines}.zarr", block_rows=500, n_neighbors=3, workers=0)
    command = [sys.executable, "-c", EXPORT, run.url, str(folder / f"{n_lines}.jsonl")]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    with (folder / f"{n_lines}.jsonl").open(encoding="utf-8") as file:
        assert sum(1 for _ in file) == n_lines
    return int(done.stdout) * 1_024


@pytest.mark.long
@pytest.mark.process
def test_memory_does_not_grow_with_the_lines(tmp_path: Path) -> None:
    few, many = peak_bytes(tmp_path, 10_000), peak_bytes(tmp_path, 100_000)
    size = (tmp_path / "100000.jsonl").stat().st_size
    assert size > 50 * 2**20
    # Of all rows in memory, it would grow by twice as much and more; allocators keep some of what they freed.
    assert many - few < 48 * 2**20
