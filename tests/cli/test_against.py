"""Scoring against a reference, as from a shell: its options, what is printed, and how it ends."""

import json
from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest

import novelty_dask
from novelty_dask.cli.failures import ExitCode
from novelty_dask.datasets import make_urls
from tests.support.fixtures import Novelty


@pytest.fixture(scope="module")
def new(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of which 40 lines are known."""
    lines = [*make_urls(60, seed=5)[0], *corpus.read_text(encoding="utf-8").split("\n")[:40]]
    path = tmp_path_factory.mktemp("new") / "new.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def against(new: Path, run: Path, novelty: Novelty) -> Path:
    """A run of the list against that of the corpus."""
    path = new.with_name("today.zarr")
    result = novelty("score", new, "--against", run, "-o", path)
    assert result.exit_code == 0, result.output
    assert "locate: done" in result.stderr
    return path


def test_rows_that_are_known_say_so(against: Path, novelty: Novelty) -> None:
    opened = novelty_dask.open(against)
    assert opened.known is not None
    n_known = int(np.asarray(opened.known[:]).sum())
    lines = novelty("top", against, "-n", "200", "--by", "novelty_nearest").stdout.splitlines()
    flags = [line.split("\t")[4] for line in lines]
    assert flags.count("known") == n_known > 30
    assert set(flags) == {"known", ""}
    # Known rows come last.
    assert flags[-n_known:] == ["known"] * n_known


def test_documents_and_exports_have_the_column(against: Path, tmp_path: Path, novelty: Novelty) -> None:
    rows = json.loads(novelty("top", against, "--json", "-n", "200").stdout)["rows"]
    assert {row["known"] for row in rows} == {True, False}
    for ending in ("csv", "npz"):
        assert novelty("export", against, "-o", tmp_path / f"rows.{ending}").exit_code == 0
    table = pyarrow.csv.read_csv(tmp_path / "rows.csv")
    with np.load(tmp_path / "rows.npz") as arrays:
        n_known = int(arrays["known"].sum())
    assert sum(table["known"].to_pylist()) == n_known == sum(row["known"] for row in rows)


def test_status_names_the_reference(against: Path, run: Path, novelty: Novelty) -> None:
    result = novelty("status", against)
    assert f"against  {run}, which holds " in result.stdout
    assert "locate     1 done of 1" in result.stdout
    document = json.loads(novelty("status", against, "--json").stdout)
    assert (document["reference"], document["known"] > 30) == (str(run), True)
    alone = json.loads(novelty("status", run, "--json").stdout)
    assert (alone["reference"], alone["known"]) == (None, None)
    assert "against" not in novelty("status", run).stdout


def test_a_plan_has_the_stages(new: Path, run: Path, novelty: Novelty) -> None:
    result = novelty("plan", new, "--against", run)
    assert result.exit_code == 0
    assert "1 locate, " in result.stdout
    assert "1 cite, " in result.stdout
    assert "locate" not in novelty("plan", new).stdout


def test_all_rows_are_printed_without_a_path(new: Path, run: Path, novelty: Novelty) -> None:
    result = novelty("score", new, "--against", run, "-q")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) > 90


@pytest.mark.parametrize("name", ["", "-", "nothing.zarr"])
def test_what_is_no_reference_ends_with_a_sentence(
    new: Path, tmp_path: Path, novelty: Novelty, name: str
) -> None:
    out = tmp_path / "today.zarr"
    result = novelty("score", new, "--against", name and tmp_path / name if name != "-" else name, "-o", out)
    assert result.exit_code == ExitCode.REFUSED
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.strip().splitlines()) == 1
    assert not out.exists()


def test_other_features_end_with_a_sentence(new: Path, run: Path, novelty: Novelty) -> None:
    result = novelty("score", new, "--against", run, "--features", "ngrams")
    assert result.exit_code == ExitCode.REFUSED
    assert f"The reference {str(run)!r} was scored with features='url'" in result.stderr


def test_a_list_without_features_says_so(run: Path, tmp_path: Path, novelty: Novelty) -> None:
    (tmp_path / "urls.txt").write_text("http://a.example/x\nhttp://b.example/y\n")
    known = tmp_path / "known.zarr"
    assert novelty("score", tmp_path / "urls.txt", "-o", known, "--features", "ngrams").exit_code == 0
    (tmp_path / "new.txt").write_text("ab\n")
    result = novelty("score", tmp_path / "new.txt", "--against", known)
    assert result.stdout == "nan\tab\n"
    assert "No row has a novelty: that takes lines of at least 3 characters." in result.stderr


def test_several_references_are_named_and_shown(
    new: Path, run: Path, against: Path, tmp_path: Path, novelty: Novelty
) -> None:
    (tmp_path / "urls.txt").write_text("https://a.example/one\nhttps://a.example/two\n")
    other, out = tmp_path / "other.zarr", tmp_path / "today.zarr"
    assert novelty("score", tmp_path / "urls.txt", "-o", other).exit_code == 0
    named = ("--against", run, "--against", other)
    assert novelty("plan", new, *named).exit_code == 0
    result = novelty("score", new, *named, "-o", out)
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("First the rows of the references are joined")
    [line] = [line for line in novelty("status", out).stdout.splitlines() if line.startswith("against")]
    assert str(run) in line
    assert str(other) in line
    rows = json.loads(novelty("top", out, "--json", "-n", "200").stdout)["rows"]
    assert str(run) in {row["nearest_reference"] for row in rows} <= {str(run), str(other)}
    for options, words in (
        (("--by", "lof"), "compared with 2 references have no local outlier factor"),
        (("--max-p", "0.1"), "compared with 2 references has no p-value"),
    ):
        refused = novelty("top", out, *options)
        assert refused.exit_code == ExitCode.REFUSED
        assert words in refused.stderr
    assert novelty("top", against, "--by", "lof").exit_code == 0


def test_what_is_for_one_reference_ends_with_a_sentence(new: Path, run: Path, novelty: Novelty) -> None:
    named = ("--against", run, "--against", run)
    result = novelty("score", new, *named, "--since", "2026-01-01")
    assert result.exit_code == ExitCode.REFUSED
    assert "A time since which rows are known is for one reference" in result.stderr
