"""Options that say which rows `top` and `export` give."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

import novelty_dask
from novelty_dask.kernels.text.pages import find_host
from novelty_dask.kernels.text.sites import site_of
from tests.support.fixtures import Novelty


def lines_of(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


def test_top_and_export_select_the_same_rows(run: Path, tmp_path: Path, novelty: Novelty) -> None:
    choice = ["--per-site", "2", "--per-template", "1", "--min-novelty", "0.2"]
    top = novelty("top", run, "-n", "1000", "--by", "novelty_kth", *choice)
    out = tmp_path / "rows.csv"
    exported = novelty("export", run, "-o", out, "--raw", "--order", "novelty_kth", *choice)
    assert (top.exit_code, exported.exit_code, exported.output) == (0, 0, "")
    rows = lines_of(top.stdout)
    assert [url for _, url, *_ in rows] == pd.read_csv(out).url.tolist()
    assert max(Counter(site_of(find_host(url)) for _, url, *_ in rows).values()) == 2
    values = [float(value) for value, *_ in rows]
    assert values == sorted(values, reverse=True)
    assert values[-1] >= 0.2


def test_the_least_novel_come_first(run: Path, novelty: Novelty) -> None:
    rows = lines_of(novelty("top", run, "--least", "-n", "5").stdout)
    assert [url for _, url, *_ in rows] == novelty_dask.open(run).top(5, least=True).url.tolist()


@pytest.mark.parametrize(
    ("command", "flags", "said"),
    [
        ("top", ["--per-site", "0"], "0 is not in the range x>=1.\n"),
        ("top", ["--min-novelty", "nan"], "Error: The least novelty can't be nan; give a number.\n"),
        ("export", ["--least"], "The order of the input has no least rows; choose a column (--order).\n"),
    ],
)
def test_what_is_no_selection_is_refused(
    run: Path, tmp_path: Path, novelty: Novelty, command: str, flags: list[str], said: str
) -> None:
    out = ["-o", tmp_path / "rows.csv"] if command == "export" else []
    refused = novelty(command, run, *out, *flags)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.endswith(said)
    assert not list(tmp_path.iterdir())


def test_a_selection_without_rows_says_so(run: Path, novelty: Novelty) -> None:
    top = novelty("top", run, "--min-novelty", "5")
    assert (top.exit_code, top.stdout) == (0, "")
    assert top.stderr == "No row is in this selection; leave out an option, or lower --min-novelty.\n"
