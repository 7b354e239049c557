"""Normal forms through whole runs: what is one row, what is shown of it, and what it is compared by."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import novelty_dask
from novelty_dask.cli import main
from novelty_dask.datasets import make_urls
from novelty_dask.kernels.choices import NormalForm
from novelty_dask.kernels.text.urls import normalize, sort_key, spelling_key
from novelty_dask.pipeline.maintenance import verify
from tests.support.arrays import listed

SPELLINGS = [
    "https://x.example/login",
    "http://www.x.example/login/",
    "http://x.example/login?utm_source=a",
    "https://x.example/login;jsessionid=0A",
    "https://x.example/%6Cogin",
]
PHISHING = [
    f"{scheme}{www}zq7-kontoverifikation.example/anmelden{slash}{query}"
    for scheme in ("http://", "https://")
    for www in ("", "www.")
    for slash in ("", "/")
    for query in ("", "?utm_campaign=x")
]
"""One new site, which hides itself by 16 spellings."""


def pages() -> list[str]:
    """Four hundred pages of one shop."""
    words = [f"{color}-{thing}" for color in ("red", "blue", "green", "white") for thing in range(10)]
    return [f"https://shop.example/{part}/{word}.html" for part in "abcdefghij" for word in words]


def score(folder: Path, lines: list[str], form: NormalForm, **settings: Any) -> novelty_dask.Run:
    """Score lines, each of two files holding half of them."""
    (folder / "1.txt").write_text("\n".join(lines[: len(lines) // 2]), encoding="utf-8")
    (folder / "2.txt").write_text("\n".join(lines[len(lines) // 2 :]), encoding="utf-8")
    return novelty_dask.score(
        [folder / "1.txt", folder / "2.txt"], folder / "run.zarr", normal_form=form, **settings
    )


def rows_of(run: novelty_dask.Run) -> list[tuple[str, int, int, int]]:
    """URL, count, position and number of spellings of each row."""
    arrays = (run.urls, run.counts, run.positions, run.spellings)
    return list(zip(*(listed(array[:]) for array in arrays), strict=True))


def expect(lines: list[str], form: NormalForm) -> list[tuple[str, int, int, int]]:
    """The same, by plain Python."""
    found: dict[str, list[int]] = {}
    for position, line in enumerate(lines):
        normal = normalize(line, form)
        if normal is not None:
            found.setdefault(normal, []).append(position)
    rows = []
    for normal in sorted(
        found, key=lambda normal: spelling_key(normal, "") if form != "raw" else sort_key(normal)
    ):
        places = found[normal]
        rows.append((lines[places[0]], len(places), places[0], len({lines[place] for place in places})))
    return rows


def test_spellings_of_a_page_are_one_row_that_shows_the_first(tmp_path: Path) -> None:
    run = score(tmp_path, [*SPELLINGS, SPELLINGS[1]], "page")
    assert rows_of(run) == [(SPELLINGS[0], 6, 0, 5)]


def test_a_new_site_does_not_hide_by_spellings(tmp_path: Path) -> None:
    assert len({*PHISHING}) == 16
    lines = [*pages(), *PHISHING]
    top = score(tmp_path, lines, "page").top(1).to_dict("records")
    assert [(row["url"], row["count"], row["spellings"]) for row in top] == [(PHISHING[0], 16, 16)]
    (tmp_path / "raw").mkdir()
    raw = score(tmp_path / "raw", lines, "raw", features="ngrams")
    assert not {*raw.top(300).url} & {*PHISHING}


ORDERS = [
    "/orders/34220a16-7aed-9c15-29f3-4d17cddcecfc/view",
    "/orders/3c0b828c-3855-8ef5-ae1f-eb9e421643f4/view",
    "/orders/77/view",
    "/debug/export-all.php",
]


def test_identifiers_and_numbers_are_one_template(tmp_path: Path) -> None:
    run = score(tmp_path, ORDERS, "template")
    assert sorted(rows_of(run)) == [(ORDERS[3], 1, 3, 1), (ORDERS[0], 2, 0, 2), (ORDERS[2], 1, 2, 1)]


@pytest.mark.sampled
@pytest.mark.parametrize("features", ["url", "ngrams"])
@pytest.mark.parametrize(
    ("lines", "form", "said", "counts"),
    [
        (SPELLINGS, "raw", "5 lines: 5 rows, 0 duplicates, 0 rejected", [1] * 5),
        (SPELLINGS, "web", "5 lines: 5 rows, 0 duplicates, 0 rejected", [1] * 5),
        (SPELLINGS, "page", "5 lines, 1 page: 4 duplicates, 0 rejected", [5]),
        (SPELLINGS, "template", "5 lines, 1 template: 4 duplicates, 0 rejected", [5]),
        (ORDERS, "raw", "4 lines: 4 rows, 0 duplicates, 0 rejected", [1] * 4),
        (ORDERS, "page", "4 lines, 4 pages: 0 duplicates, 0 rejected", [1] * 4),
        (ORDERS, "template", "4 lines, 3 templates: 1 duplicate, 0 rejected", [1, 1, 2]),
        ([*pages(), *PHISHING], "page", "416 lines, 401 pages: 15 duplicates, 0 rejected", [1] * 400 + [16]),
    ],
)
def test_the_command_makes_one_row_of_a_form(
    tmp_path: Path, lines: list[str], form: NormalForm, features: str, said: str, counts: list[int]
) -> None:
    (tmp_path / "urls.txt").write_text("\n".join(lines), encoding="utf-8")
    out = str(tmp_path / "run.zarr")
    command = ["score", str(tmp_path / "urls.txt"), "-o", out, "--normal-form", form, "--features", features]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert said in done.stderr
    run = novelty_dask.open(out)
    assert sorted(listed(run.counts[:])) == counts
    if len(lines) == 416:
        assert run.top(1).url[0] == PHISHING[0]


@pytest.mark.sampled
@pytest.mark.parametrize("form", ["raw", "web", "page", "template"])
def test_rows_are_those_of_plain_python_and_can_be_recomputed(tmp_path: Path, form: NormalForm) -> None:
    urls = make_urls(120)[0]
    sites = [url.replace("https://", "http://www.") for url in urls]
    changed = [f"{url}/?fbclid={number}" for number, url in enumerate(sites)]
    lines = [*urls, "http://ü.example/", *changed, *urls[:50], "no url", "http://xn--tda.example"]
    run = score(tmp_path, lines, form, block_rows=24)
    assert rows_of(run) == expect(lines, form)
    totals = run.manifest.totals
    assert totals
    assert totals.lines == totals.rows + totals.duplicates + totals.n_rejected
    verification = verify(run, recompute_blocks=100)
    assert verification.recomputed > 4
    assert not verification.damages


@pytest.mark.parametrize("form", ["page", "template"])
def test_rows_are_compared_by_their_form(tmp_path: Path, form: NormalForm) -> None:
    lines = [*SPELLINGS, *pages()[:30], "http://y.example/%7Eü/7?b=1&a=2"]
    run = score(tmp_path, lines, form)
    forms = [normalize(url, form) or "" for url in listed(run.urls[:])]
    (tmp_path / "forms").mkdir()
    again = score(tmp_path / "forms", forms, "raw")
    assert listed(again.urls[:]) == forms
    np.testing.assert_array_equal(run.novelty[:], again.novelty[:])
    np.testing.assert_array_equal(run.neighbors.ids[:], again.neighbors.ids[:])


def test_a_run_says_how_many_pages_its_lines_are(tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text("\n".join([*SPELLINGS, *pages()]), encoding="utf-8")
    out = str(tmp_path / "run.zarr")
    command = ["score", str(tmp_path / "urls.txt"), "-o", out, "--normal-form"]
    done = CliRunner().invoke(main, [*command, "page"])
    assert done.exit_code == 0, done.output
    assert "405 lines, 401 pages: 4 duplicates, 0 rejected" in done.stderr
    assert "405 lines, 401 pages: 4 duplicates" in CliRunner().invoke(main, ["status", out]).stdout
    refused = CliRunner().invoke(main, [*command, "template"])
    assert refused.exit_code == 2
    assert "normal_form is 'page' there and 'template' here" in refused.stderr
