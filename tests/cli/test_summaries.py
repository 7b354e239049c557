"""The commands `sites` and `templates`."""

import json
from pathlib import Path

import pandas as pd
import pytest

import novelty_dask
from novelty_dask.kernels.text.templates import DIGITS
from tests.support.files import write_lines
from tests.support.fixtures import Novelty


def lines_of(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


@pytest.mark.parametrize(("command", "by"), [("sites", "mean_novelty"), ("templates", "count")])
def test_lines_files_documents_and_python_say_the_same(
    run: Path, tmp_path: Path, novelty: Novelty, command: str, by: str
) -> None:
    flags = ["--by", by, "--above", "0.3"]
    frame = getattr(novelty_dask.open(run), command)(by=by, above=0.3)
    printed = novelty(command, run, *flags)
    assert (printed.exit_code, printed.stderr) == (0, "")
    rows = lines_of(printed.stdout)
    assert len(rows) == min(20, len(frame))
    assert [row[0] for row in rows] == frame.iloc[:20, 0].tolist()
    assert [row[3] for row in rows] == [f"{value:.6f}" for value in frame.mean_novelty[:20]]
    document = json.loads(novelty(command, run, *flags, "--json", "-n", "3").stdout)
    assert (document["by"], document["above"]) == (by, 0.3)
    assert document["rows"] == frame[:3].to_dict("records")
    assert novelty(command, run, *flags, "-o", tmp_path / "all.csv").output == ""
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "all.csv"), frame, check_dtype=False)
    assert frame.rows.sum() == 295
    assert frame["count"].sum() == 300


def test_files_are_written_as_exports_are(run: Path, tmp_path: Path, novelty: Novelty) -> None:
    out = tmp_path / "sites.parquet"
    assert novelty("sites", run, "-o", out, "-n", "2").exit_code == 0
    assert len(pd.read_parquet(out)) == 2
    refused = novelty("sites", run, "-o", out)
    assert refused.exit_code == 2
    assert refused.stderr.endswith("name another file, or replace it (--force).\n")
    assert novelty("templates", run, "-o", out, "--force").exit_code == 0
    assert novelty("sites", run, "-o", "-").stdout.startswith('"site","rows","count",')
    arrays = novelty("sites", run, "-o", tmp_path / "sites.npz")
    assert (arrays.exit_code, arrays.stderr) == (
        2,
        "Error: An npz file has the arrays of rows; choose another format.\n",
    )


def test_templates_can_be_read_and_dismissed(tmp_path: Path, novelty: Novelty) -> None:
    lines = [f"https://me:c4n4rY@a.example/orders/{n}?token=c4n4rY{n}" for n in range(9)]
    source = write_lines(tmp_path / "urls.txt", [*lines, "https://b.example/"])
    run = tmp_path / "run.zarr"
    assert novelty("score", source, "-o", run, "-q", "--workers", "0").exit_code == 0
    rows = lines_of(novelty("templates", run).stdout)
    assert DIGITS not in rows[0][0]
    assert rows[0][:2] == ["me:c4n4rY@a.example/orders/{digits}?token=c{digits}n{digits}rY{digits}", "9"]
    known = write_lines(tmp_path / "known.txt", [rows[0][0]])
    left = novelty("top", run, "--ignore", known)
    assert left.stderr == "9 rows left out, as --ignore lists them.\n"
    for flags in ([], ["--json"], ["-o", "-"]):
        hidden = novelty("templates", run, "--redact", *flags)
        assert hidden.exit_code == 0
        assert "c4n" not in hidden.stdout
    assert "b[.]example" in novelty("templates", run, "--defang").stdout


def test_what_changes_the_print_alone_is_refused_for_a_file(
    run: Path, tmp_path: Path, novelty: Novelty
) -> None:
    alike = ("groups", run, "--at-least", "0.5")
    for command in (("sites", run), ("templates", run), alike):
        for flags in (["--defang"], ["--json"], ["--defang", "--json"]):
            for out in ("-", tmp_path / "rows.csv"):
                refused = novelty(*command, *flags, "-o", out)
                assert (refused.exit_code, refused.stdout) == (2, "")
                assert refused.stderr.startswith(
                    f"Error: {' and '.join(flags)} can't be combined with --out, "
                )
    assert not (tmp_path / "rows.csv").exists()


def test_errors_print_nothing(run: Path, tmp_path: Path, novelty: Novelty) -> None:
    for command in (["sites", tmp_path / "missing"], ["templates", run, "--above", "nan"]):
        refused = novelty(*command)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert refused.stderr.startswith("Error: ")
