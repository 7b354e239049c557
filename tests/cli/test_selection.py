"""Options that say which rows `top` and `export` give."""

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

import novelty_dask
from novelty_dask.kernels.text.pages import find_host
from novelty_dask.kernels.text.sites import site_of
from tests.support.files import write_lines
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


@pytest.fixture
def known(run: Path, tmp_path: Path) -> tuple[Path, list[str]]:
    """A file that dismisses a site and a page, and the URLs of its rows."""
    urls = novelty_dask.open(run).top(1_000).url.tolist()
    site = site_of(find_host(urls[3]))
    path = write_lines(tmp_path / "known.txt", ["# known", site, urls[0]])
    return path, [urls[0], *(url for url in urls[1:] if site_of(find_host(url)) == site)]


def test_what_is_dismissed_is_left_out_and_counted(
    run: Path, tmp_path: Path, novelty: Novelty, known: tuple[Path, list[str]]
) -> None:
    path, dismissed = known
    said = f"{len(dismissed)} rows left out, as --ignore lists them.\n"
    out = tmp_path / "rows.csv"
    commands = (["top", run, "-n", "1000"], ["export", run, "-o", out, "--raw"])
    top, exported = (novelty(*command, "--ignore", path) for command in commands)
    assert (top.exit_code, top.stderr) == (exported.exit_code, exported.stderr) == (0, said)
    whole = {url for _, url, *_ in lines_of(novelty("top", run, "-n", "1000").stdout)}
    assert {url for _, url, *_ in lines_of(top.stdout)} == whole - set(dismissed)
    assert set(pd.read_csv(out).url) == whole - set(dismissed)
    document = novelty("top", run, "-n", "1000", "--ignore", path, "--json")
    assert [row["url"] for row in json.loads(document.stdout)["rows"]] == [
        url for _, url, *_ in lines_of(top.stdout)
    ]
    assert document.stderr == said


def test_a_file_that_can_not_be_read_ends_a_command(run: Path, tmp_path: Path, novelty: Novelty) -> None:
    for command in (["top", run], ["export", run, "-o", tmp_path / "rows.csv"]):
        refused = novelty(*command, "--ignore", tmp_path / "missing.txt")
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert refused.stderr.startswith("Error: Can't read '")
    assert not list(tmp_path.iterdir())


def test_secrets_are_hidden_wherever_urls_are_printed(
    tmp_path: Path, novelty: Novelty, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"https://me:c4n4rY@a.example/{word}?token=c4n4rY{word}" for word in ("x", "orders", "about")]
    source = write_lines(tmp_path / "urls.txt", [*lines, "https://b.example/"])
    assert novelty("score", source, "-o", tmp_path / "run.zarr", "-q", "--workers", "0").exit_code == 0
    command = ["top", tmp_path / "run.zarr"]
    assert "c4n4rY" in novelty(*command).stdout
    for flags in ([], ["--defang"], ["--json"], ["--json", "--defang"]):
        hidden = novelty(*command, "--redact", *flags)
        assert hidden.exit_code == 0
        assert "c4n4rY" not in hidden.stdout
        assert ("…" in hidden.stdout) != ("--json" in flags)
    # As for a terminal, with marks.
    for module in ("commands", "terminal"):
        monkeypatch.setattr(f"novelty_dask.cli.{module}.is_terminal", lambda: True)
    assert "c4n4rY" not in novelty(*command, "--redact").stdout


def test_top_shows_the_columns_that_are_chosen(run: Path, novelty: Novelty) -> None:
    done = novelty("top", run, "-n", "3", "--columns", "line,url,nearest_url,source,count", "--defang")
    rows = novelty_dask.open(run).top(3).to_dict("records")
    texts = [[row[name].replace(".", "[.]") for name in ("url", "nearest_url")] for row in rows]
    defanged = [[str(row["line"]), *pair, row["source"], "1"] for row, pair in zip(rows, texts, strict=True)]
    found = [[cell.replace("[://]", "://") for cell in line] for line in lines_of(done.stdout)]
    assert found == defanged
    in_json = json.loads(novelty("top", run, "-n", "1", "--json", "--columns", "lof,neighbor_urls").stdout)
    assert list(in_json["rows"][0]) == ["lof", "neighbor_urls"]
    for flags in ([], ["--json"]):
        refused = novelty("top", run, "--columns", "url,lof,url", *flags)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert refused.stderr.startswith("Error: Name each column once")
        refused = novelty("top", run, "--columns", "url,host", *flags)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert refused.stderr.startswith("Error: There is no column 'host'; choose some of position, url, ")
