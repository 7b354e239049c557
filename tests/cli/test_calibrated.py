"""Options that choose rows by their p-values, as from a shell: in runs with a reference and without one."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from tests.support.fixtures import Novelty

NOTE = (
    "--fdr is for runs that were scored with --against: within one run p-values are ranks, and no row "
    "is chosen at a rate below 1.\n"
)


@pytest.fixture(scope="module")
def against(tmp_path_factory: pytest.TempPathFactory, novelty: Novelty) -> Path:
    """A run of usual URLs and some of another kind, against a reference that is gone by now."""
    folder = tmp_path_factory.mktemp("new")
    urls, _ = make_urls(400, n_planted=0)
    odd = [f"https://odd{number}.example/{number * 7}?exec=rm{number}" for number in range(20)]
    for name, lines in (("known.txt", urls[:300]), ("new.txt", [*urls[300:], *odd])):
        (folder / name).write_text("\n".join(lines), encoding="utf-8")
    known, out = folder / "known.zarr", folder / "new.zarr"
    assert novelty("score", folder / "known.txt", "-o", known).exit_code == 0
    assert novelty("score", folder / "new.txt", "--against", known, "-o", out).exit_code == 0
    shutil.rmtree(known)
    return out


@pytest.fixture(params=["run", "against"])
def either(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


def test_rows_up_to_a_p_value_are_printed_and_written(either: Path, tmp_path: Path, novelty: Novelty) -> None:
    flags = ["--max-p", "0.1"]
    top = novelty("top", either, "-n", "1000", "--by", "lof", *flags)
    out = tmp_path / "rows.csv"
    exported = novelty("export", either, "-o", out, "--raw", "--order", "lof", *flags)
    assert (top.exit_code, top.stderr, exported.exit_code, exported.output) == (0, "", 0, "")
    rows, table = [line.split("\t") for line in top.stdout.splitlines()], pd.read_csv(out)
    assert [row[2] for row in rows] == table.url.tolist()
    assert [float(row[1]) for row in rows] == pytest.approx(table.p_value.tolist(), abs=1e-3)
    assert 0 < table.p_value.max() <= 0.1
    every = novelty_dask.open(either).top(1000, by="lof", calibrate=True)
    assert len(every) > len(rows) == (every.p_value <= 0.1).sum()


def test_the_column_that_is_named_leaves_no_row_out(either: Path, tmp_path: Path, novelty: Novelty) -> None:
    out, columns = tmp_path / "rows.csv", ["--columns", "url,p_value"]
    assert novelty("export", either, "-o", out, "--raw", "--order", "novelty", *columns).exit_code == 0
    table = pd.read_csv(out).dropna()
    top = novelty("top", either, "-n", "1000", *columns)
    assert [line.split("\t")[0] for line in top.stdout.splitlines()] == table.url.tolist()
    rows = json.loads(novelty("top", either, "-n", "1000", *columns, "--json").stdout)["rows"]
    # Older versions of pandas read the last digit otherwise.
    assert [row["p_value"] for row in rows] == pytest.approx(table.p_value.tolist(), rel=1e-12)
    assert table.p_value.max() > 0.5


def test_a_false_discovery_rate_chooses_rows_against_a_reference(
    against: Path, tmp_path: Path, novelty: Novelty
) -> None:
    by = ["novelty_nearest", "--fdr", "0.2"]
    top = novelty("top", against, "-n", "1000", "--by", *by)
    exported = novelty("export", against, "-o", tmp_path / "rows.csv", "--raw", "--order", *by)
    assert (top.exit_code, top.stderr, exported.exit_code, exported.output) == (0, "", 0, "")
    urls = [line.split("\t")[2] for line in top.stdout.splitlines()]
    assert urls == pd.read_csv(tmp_path / "rows.csv").url.tolist()
    assert sum(url.startswith("https://odd") for url in urls) >= 15
    assert len(urls) < 40


def test_within_one_run_it_chooses_nothing_and_says_so(run: Path, tmp_path: Path, novelty: Novelty) -> None:
    top = novelty("top", run, "--fdr", "0.2")
    assert (top.exit_code, top.stdout) == (0, "")
    assert top.stderr.endswith(NOTE)
    exported = novelty("export", run, "-o", tmp_path / "rows.csv", "--fdr", "0.2")
    assert (exported.exit_code, exported.stdout, exported.stderr) == (0, "", NOTE)
    assert len(pd.read_csv(tmp_path / "rows.csv")) == 0


@pytest.mark.parametrize("flag", ["--max-p", "--fdr"])
@pytest.mark.parametrize("share", ["0", "1.5", "nan"])
def test_what_is_no_share_is_refused(
    run: Path, tmp_path: Path, novelty: Novelty, flag: str, share: str
) -> None:
    for words in (["top", run], ["export", run, "-o", tmp_path / "rows.csv"]):
        refused = novelty(*words, flag, share)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert refused.stderr.endswith("give a number above 0, and at most 1.\n")
        assert f"({flag})" in refused.stderr
    assert not list(tmp_path.iterdir())


def test_an_npz_file_takes_none(run: Path, tmp_path: Path, novelty: Novelty) -> None:
    refused = novelty("export", run, "-o", tmp_path / "rows.npz", "--columns", "p_value")
    assert (refused.exit_code, refused.stderr) == (
        2,
        "Error: An npz file has no p-values; choose another format.\n",
    )
