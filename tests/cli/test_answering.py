"""Answers line by line: as a process whose input comes slowly, and as what is refused."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from novelty_dask.cli.failures import ExitCode
from novelty_dask.datasets import make_urls
from tests.support.fixtures import Novelty
from tests.support.processes import COMMAND, started

BAD = ["", "\x00", "# comment"]


def lines_of(corpus: Path) -> list[str]:
    """Lines of which some are known, one has nothing in common with these, and some follow others."""
    known = corpus.read_text(encoding="utf-8").split("\n")[:10]
    return [*make_urls(30, seed=5)[0], *known, "gopher://\u4e2d\u6587/\u3042"]


def test_answers_have_the_values_of_a_run(corpus: Path, run: Path, tmp_path: Path, novelty: Novelty) -> None:
    lines = lines_of(corpus)
    file, out = tmp_path / "new.txt", tmp_path / "new.zarr"
    file.write_text("\n".join(lines), encoding="utf-8")
    assert novelty("score", file, "--against", run, "-o", out).exit_code == 0
    exported = novelty("export", out, "-o", "-", "--format", "jsonl").stdout.splitlines()
    rows = {row["url"]: row for row in map(json.loads, exported)}
    with started(
        *COMMAND, "score", "-", "--against", run, "--stream", "--json", stdin=subprocess.PIPE
    ) as process:
        said, _ = process.communicate("".join(f"{line}\n" for line in lines), timeout=200)
    answers = [json.loads(line) for line in said.splitlines()]
    assert [answer["url"] for answer in answers] == lines
    assert any(answer["known"] for answer in answers)
    assert process.returncode == 0
    compared = 0
    for answer in answers:
        # Of spellings of one page a run keeps the first.
        if row := rows.get(answer["url"]):
            for name in ("novelty", "novelty_nearest", "novelty_kth", "known"):
                assert answer[name] == row[name]
            assert [each["url"] for each in answer["neighbors"]] == row["neighbor_urls"]
            assert [each["similarity"] for each in answer["neighbors"]] == row["neighbor_similarities"]
            compared += 1
    assert compared > 30


def test_each_line_is_answered_before_the_next_comes(run: Path, corpus: Path) -> None:
    lines = lines_of(corpus)[:3]
    with started(*COMMAND, "score", "-", "--against", run, "--stream", stdin=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        for line in [lines[0], *BAD, *lines[1:]]:
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            first, second, *_ = process.stdout.readline().rstrip("\n").split("\t")
            if line in BAD:
                assert first == "rejected"
            else:
                assert second == line
                assert 0 <= float(first) <= 1
        # Half a line is no line: it is not answered.
        process.stdin.write("https://half.exam")
        process.stdin.flush()
        process.send_signal(signal.SIGTERM)
        assert process.wait(200) == 0
        assert not process.stdout.read()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["-", "--stream"], "--against"),
        (["new.txt", "--stream", "--against", "k.zarr"], "no source but -"),
        (["-", "--stream", "--against", "k.zarr", "-o", "out.zarr"], "--out"),
        (["-", "--stream", "--against", "k.zarr", "--column", "url"], "leave out --column"),
        (["-", "--stream", "--against", "k.zarr", "--ngram", "3,4"], "leave out --ngram."),
        (["-", "--stream", "--against", "k.zarr", "--against", "l.zarr"], "and 2 are named"),
        (["-", "--json", "--against", "k.zarr"], "store a run and export it"),
    ],
)
def test_what_is_no_stream_is_refused(options: list[str], named: str, novelty: Novelty) -> None:
    result = novelty("score", *options, stdin=b"")
    assert result.exit_code == ExitCode.REFUSED
    assert named in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_an_index_is_refused_where_it_takes_more_than_the_limit(run: Path) -> None:
    command = [*COMMAND, "score", "-", "--against", str(run), "--stream", "-q", "--memory-limit"]
    refused = subprocess.run([*command, "1 MB"], input="", capture_output=True, text=True, check=False)
    assert refused.returncode == ExitCode.REFUSED
    assert not refused.stdout
    [said] = refused.stderr.splitlines()
    needed = re.fullmatch(
        r"Error: The index of the reference '.*' is projected to need (\d+) MB, over .*", said
    )
    assert needed
    with started(*command, f"{needed[1]} MB", stdin=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("https://a.example/x\n")
        process.stdin.flush()
        assert process.stdout.readline().endswith("\thttps://a.example/x\n")
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        [peak] = re.findall(r"VmHWM:\s+(\d+) kB", status)
        assert int(peak) * 1024 <= int(needed[1]) * 10**6
        process.send_signal(signal.SIGTERM)
        assert process.wait(200) == 0
