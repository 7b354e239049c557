"""The command `export`, as a shell uses it: pipes, devices, links, full disks."""

import json
import shlex
import stat
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from tests.support.files import write_lines
from tests.support.fixtures import Novelty
from tests.support.processes import COMMAND, terminal_output

NOVELTY = " ".join(COMMAND)
STREAMS = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]


def shell(line: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a line of shell in a folder; ``novelty`` is the command."""
    function = f'novelty() {{ {NOVELTY} "$@"; }}\n'
    return subprocess.run(
        ["bash", "-c", function + line], capture_output=True, cwd=folder, check=False, text=True
    )


@pytest.fixture(scope="module")
def csv(run: Path, tmp_path_factory: pytest.TempPathFactory, novelty: Novelty) -> str:
    """The rows of the run as CSV."""
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    assert novelty("export", run, "-o", path).exit_code == 0
    return path.read_text(encoding="utf-8")


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("out", "target"),
    [
        *((out, "| cat") for out in STREAMS),
        *((out, "> rows.csv; cat rows.csv") for out in STREAMS[:2]),
        (STREAMS[1], "--force | cat"),
        *(pytest.param(out, "> rows.csv; cat rows.csv", marks=pytest.mark.long) for out in STREAMS[2:]),
        *(pytest.param(out, "--force | cat", marks=pytest.mark.long) for out in STREAMS if out != STREAMS[1]),
    ],
)
def test_standard_output_takes_rows(run: Path, tmp_path: Path, csv: str, out: str, target: str) -> None:
    before = Path("/dev/stdout").lstat()
    done = shell(f"novelty export {run} -o {out} {target}; exit ${{PIPESTATUS[0]}}", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, csv, "")
    assert Path("/dev/stdout").lstat().st_ino == before.st_ino


def test_every_format_streams(run: Path, tmp_path: Path) -> None:
    for name in ("jsonl", "parquet", "npz", "tsv", "arrow"):
        assert shell(f"novelty export {run} -o - --format {name} >> rows.{name}", tmp_path).stderr == ""
    lines = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    urls = pq.read_table(tmp_path / "rows.parquet")["url"].to_pylist()
    assert pa.feather.read_table(tmp_path / "rows.arrow")["url"].to_pylist() == urls
    assert (tmp_path / "rows.tsv").read_text(encoding="utf-8").count("\n") == 296
    assert [json.loads(line)["url"] for line in lines] == urls
    with np.load(tmp_path / "rows.npz") as arrays:
        assert len(arrays["novelty"]) == len(urls) == 295


def test_columns_are_named_between_commas(run: Path, novelty: Novelty) -> None:
    done = novelty("export", run, "-o", "-", "--columns", "novelty, url")
    assert done.stdout.startswith('"novelty","url"\n')
    refused = novelty("export", run, "-o", "-", "--columns", "novelty,")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.startswith("Error: There is no column ''; choose some of position, url, ")


def test_a_disk_that_is_full_and_a_reader_that_has_gone_are_told_through_a_compression(
    run: Path, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv.gz").symlink_to("/dev/full")
    done = shell(f"novelty export {run} -o rows.csv.gz", tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.endswith("'rows.csv.gz': No space left on device; free some space, then repeat it.\n")
    done = shell(f"mkfifo f.jsonl.zst; true < f.jsonl.zst & novelty export {run} -o f.jsonl.zst", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_in_process_standard_output_takes_rows_too(run: Path, csv: str, novelty: Novelty) -> None:
    done = novelty("export", run, "-o", "-")
    assert (done.exit_code, done.stdout, done.stderr) == (0, csv, "")


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("format_", "out"),
    [
        ("csv", "-"),
        ("jsonl", "/dev/stderr"),
        pytest.param("csv", "/dev/stderr", marks=pytest.mark.long),
        pytest.param("jsonl", "-", marks=pytest.mark.long),
    ],
)
def test_no_url_commands_a_terminal_and_a_pipe_gets_it_as_it_is(
    tmp_path: Path, novelty: Novelty, format_: str, out: str
) -> None:
    url = "http://a.example/\x1b[31mred\x1b]8;;http://x\x07\x7f\x9b2J\u202e\u2028é例😀"
    lines = [f"{url}{number}" for number in range(9)]
    (tmp_path / "urls.txt").write_text("\n".join(lines), encoding="utf-8")
    assert novelty("score", tmp_path / "urls.txt", "-o", tmp_path / "run.zarr", "-q").exit_code == 0
    words = ["export", str(tmp_path / "run.zarr"), "-o", out, "--format", format_]
    shown = terminal_output(*words).replace("\r\n", "\n")
    assert all(char.isprintable() for char in shown.replace("\n", ""))
    assert len(shown.splitlines()) == 9 + (format_ == "csv")
    assert "é例😀8" in shown
    assert r"\x9b2J\u202e\u2028" in shown
    # With --raw there are no apostrophes either.
    piped = shell(f"novelty {shlex.join(words[:2])} -o - --format {format_} --raw", tmp_path).stdout
    assert all(line in piped for line in lines) == (format_ == "csv")


@pytest.mark.sampled
@pytest.mark.parametrize("format_", ["csv", "jsonl", "parquet", "npz"])
def test_a_reader_that_has_gone_is_the_end_of_it(run: Path, tmp_path: Path, format_: str) -> None:
    """The rows are more than a pipe holds."""
    line = f"novelty export {run} -o - --format {format_} | true; exit ${{PIPESTATUS[0]}}"
    done = shell(line, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_standard_output_that_is_closed(run: Path, tmp_path: Path) -> None:
    done = shell(f"novelty export {run} -o - >&-", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "Error: Standard output is closed, or takes no bytes; name a file.\n"


def test_a_fifo_is_written_to(run: Path, tmp_path: Path, csv: str) -> None:
    done = shell(
        f"mkfifo f; cat f & novelty export {run} -o f --format csv --force; wait; test -p f", tmp_path
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, csv, "")


def test_a_substituted_process_is_written_to(run: Path, tmp_path: Path, csv: str) -> None:
    line = f"novelty export {run} -o >(cat > out) --format csv && sleep 0.3; wait; cat out"
    done = shell(line, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, csv, "")


def test_a_link_to_standard_output_is_followed(run: Path, tmp_path: Path, csv: str) -> None:
    """Containers make such links of log files."""
    (tmp_path / "rows.csv").symlink_to("/dev/stdout")
    line = f"novelty export {run} -o rows.csv --force > file; test -L rows.csv && cat file"
    done = shell(line, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, csv, "")


def test_the_null_device_stays_one(run: Path, tmp_path: Path) -> None:
    done = shell(f"novelty export {run} -o /dev/null --format csv --force", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_mode_and_target_of_a_link_stay(run: Path, tmp_path: Path, csv: str) -> None:
    line = "umask 022; touch rows.csv; chmod 600 rows.csv; ln -s rows.csv link.csv"
    assert shell(f"{line}; novelty export {run} -o link.csv --force", tmp_path).returncode == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "rows.csv").read_text(encoding="utf-8") == csv
    assert stat.S_IMODE((tmp_path / "rows.csv").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("out", "said"),
    [
        (".", "Error: '.' is a folder; name a file in it.\n"),
        (
            "{source}",
            "Error: '{source}' is a source of the run, which is not overwritten; name another file.\n",
        ),
        ("{run}/zarr.json", "Error: '{run}/zarr.json' is inside the run '{run}'; name a file elsewhere.\n"),
        (
            "s3://bucket/a.csv",
            "Error: Can't write 's3://bucket/a.csv': exports are local files; name one, and copy it there.\n",
        ),
    ],
)
def test_what_is_refused(run: Path, corpus: Path, novelty: Novelty, out: str, said: str) -> None:
    names = {"run": run.resolve(), "source": corpus}
    done = novelty("export", run, "-o", out.format(**names), "--format", "csv", "--force")
    assert (done.exit_code, done.stderr) == (2, said.format(**names))


def test_an_existing_file_is_kept_and_the_option_is_named(
    run: Path, tmp_path: Path, novelty: Novelty
) -> None:
    (tmp_path / "rows.csv").write_text("old")
    done = novelty("export", run, "-o", tmp_path / "rows.csv")
    assert done.exit_code == 2
    assert done.stderr.endswith("exists; nothing was written: name another file, or replace it (--force).\n")
    assert (tmp_path / "rows.csv").read_text() == "old"


@pytest.mark.sampled
@pytest.mark.parametrize("out", ["/dev/full", "limited.csv"])
def test_a_full_disk_has_one_exit_code(run: Path, tmp_path: Path, out: str) -> None:
    limit = "" if out.startswith("/dev") else "trap '' XFSZ; ulimit -f 4; "
    done = shell(f"{limit}novelty export {run} -o {out} --format csv", tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"Error: Can't write '{out}': ")
    assert done.stderr.endswith("; free some space, then repeat it.\n")
    assert not list(tmp_path.iterdir())


def test_every_line_goes_back_to_its_record(tmp_path: Path, novelty: Novelty) -> None:
    rows = ["id,url", "7,https://a.example/x", "8,", "9,http://A.example/x/", "10,https://b.example/y"]
    write_lines(tmp_path / "feed.csv", rows)
    run = tmp_path / "run.zarr"
    assert (
        novelty("score", tmp_path / "feed.csv", "--column", "url", "--keep", "id", "-o", run).exit_code == 0
    )
    done = novelty("export", run, "-o", "-", "--every-line", "--columns", "line,id,url,count,reason")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.split("\n") == [
        '"line","id","url","count","reason"',
        '2,"7","https://a.example/x",2,',
        '3,,,,"blank"',
        '4,"9","http://A.example/x/",2,',
        '5,"10","https://b.example/y",1,',
        "",
    ]
    refused = novelty("export", run, "-o", tmp_path / "a.csv", "--every-line", "--per-site", "2")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.startswith(
        "Error: Every line is written in the order of the input; leave out --every-l"
    )
    assert refused.stderr.count("\n") == 1
    write_lines(tmp_path / "feed.csv", rows[:-1])
    changed = novelty("export", run, "-o", tmp_path / "a.csv", "--every-line")
    assert (changed.exit_code, changed.stdout) == (2, "")
    assert "feed.csv' has changed since the run was begun; it had " in changed.stderr
    assert not (tmp_path / "a.csv").exists()


def test_every_line_of_standard_input_is_refused_with_a_remedy(tmp_path: Path, novelty: Novelty) -> None:
    run = tmp_path / "run.zarr"
    assert novelty("score", "-", "-q", "-o", run, stdin=b"a.example/x\nb.example/y\n").exit_code == 0
    refused = novelty("export", run, "-o", tmp_path / "a.csv", "--every-line")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == (
        "Error: Standard input was kept only until the run was complete, so that its lines can't be read "
        "again; write them to a file and score that, or leave out --every-line.\n"
    )
