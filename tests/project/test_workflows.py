"""The scripts of workflows/, run as a user runs them, and the notebook, cell by cell."""

import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.kernels.text.pages import find_host
from novelty_dask.kernels.text.sites import site_of
from tests.support.arrays import listed

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / "workflows").glob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def run_workflow(name: str, *arguments: str, folder: Path) -> str:
    command = [sys.executable, str(ROOT / "workflows" / name), *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=300).stdout


def test_score_corpus_finds_what_is_unlike_its_site(tmp_path: Path) -> None:
    # Sites of the made corpus, each with an odd page of its own, and a site of one page.
    urls, planted = make_urls(2_000, n_planted=1, seed=5)
    lone = "https://qxzj-wvk.test/~zzqq"
    found_hosts = {find_host(url) for i, url in enumerate(urls) if i not in planted}
    # One of each site, but for those that have half of all hosts.
    by_site = {site_of(host): host for host in sorted(found_hosts) if ".example." not in host}
    hosts = list(by_site.values())[:10]
    odd = [f"https://{host}/~{chr(0x3041 + i) * 9}/{i:x}{'ZQXJ'[i % 4] * 3}" for i, host in enumerate(hosts)]
    (tmp_path / "crawl.txt").write_text("".join(f"{url}\n" for url in [*urls, *odd, lone]), encoding="utf-8")
    arguments = ["crawl.txt", "--per-site", "2", "--min-pages", "4", "--json", "unusual.jsonl"]
    printed = run_workflow("score_corpus.py", *arguments, folder=tmp_path)
    pages = [json.loads(line) for line in (tmp_path / "unusual.jsonl").read_text("utf-8").splitlines()]
    found = {page["url"] for page in pages}
    large = {page["site"] for page in pages}
    assert found >= {url for url, host in zip(odd, hosts, strict=True) if site_of(host) in large}
    assert large & set(map(site_of, hosts))
    assert lone not in found
    assert all(site_of(find_host(page["url"])) == page["site"] for page in pages)
    assert max(sum(page["site"] == site for page in pages) for site in large) == 2
    first_of_sites = [page["novelty"] for page in pages[::2]]
    assert first_of_sites == sorted(first_of_sites, reverse=True)
    assert repr(pages[0]["url"]) in printed


def test_crawl_frontier_gives_each_site_and_template_few_places(tmp_path: Path) -> None:
    urls, planted = make_urls(500, n_planted=3, seed=5)
    flood = [f"https://calendar.flood.test/{n:04}/{n % 12:02}/day" for n in range(300)]
    (tmp_path / "found.txt").write_text("".join(f"{url}\n" for url in [*urls, *flood]), encoding="utf-8")
    known = urlsplit(urls[planted[0]]).netloc
    (tmp_path / "known.txt").write_text(f"# crawled\n{known}\n", encoding="utf-8")
    arguments = ["found.txt", "--per-site", "2", "--per-template", "1", "--min-novelty", "0"]
    files = ["--known", "known.txt", "--out", "next.csv", "--traps", "traps.csv"]
    printed = run_workflow("crawl_frontier.py", *arguments, *files, folder=tmp_path)
    rows = pd.read_csv(tmp_path / "next.csv")
    assert list(rows) == ["novelty", "url"]
    assert rows.novelty.is_monotonic_decreasing
    sites = rows.url.map(lambda url: ".".join(urlsplit(url).netloc.split(".")[-2:]))
    assert sites.value_counts().max() == 2
    assert sites.eq("flood.test").sum() == 1
    assert {urls[number] for number in planted[1:]} <= set(rows.url)
    assert not rows.url.str.contains(f"//{known}/", regex=False).any()
    traps = pd.read_csv(tmp_path / "traps.csv")
    assert traps.template[0] == "calendar.flood.test/{digits}/{digits}/day"
    assert traps.rows[0] == 300
    assert repr(rows.url[0]) in printed


def test_web_log_shows_what_no_other_request_has(tmp_path: Path) -> None:
    line = '192.0.2.7 - - [01/Jan/2026:00:00:00 +0000] "{} HTTP/1.1" {} 9 "-" "-"\n'
    usual = [line.format(f"GET /shop/item?id={n}&page={n % 7}", 200) for n in range(400)]
    odd = line.format("POST /cgi-bin/%2e%2e/etc/passwd?token=s3cr3t", 404)
    (tmp_path / "access.log").write_text("".join([*usual, odd, *usual]), encoding="utf-8")
    arguments = ["access.log", "--host", "www.a.example", "--out", "rows.csv"]
    printed = run_workflow("web_log.py", *arguments, folder=tmp_path)
    rows = pd.read_csv(tmp_path / "rows.csv")
    assert list(rows) == ["uncovered", "count", "method", "status", "url", "source", "line"]
    # One of each template, and the odd one first.
    assert len(rows) == 2
    assert (rows.method[0], rows.status[0], rows.line[0]) == ("POST", 404, 401)
    assert rows.url[0].startswith("www.a.example/cgi-bin/")
    assert "s3cr3t" not in printed + rows.to_csv()
    assert f"POST 404   {rows.url[0]!r}" in printed


def test_near_duplicates_keeps_one_of_each_thing(tmp_path: Path) -> None:
    urls = make_urls(300, n_planted=3, seed=5)[0]
    alike = [f"https://twins.test/catalog/chairs/wooden-{name}/details" for name in ("red", "reds", "redd")]
    (tmp_path / "crawl.txt").write_text("".join(f"{url}\n" for url in [*urls, *alike]), encoding="utf-8")
    printed = run_workflow("near_duplicates.py", "crawl.txt", "--at-least", "0.75", folder=tmp_path)
    kept = pd.read_csv(tmp_path / "one-of-each.csv")
    assert kept["size"].sum() == len(novelty_dask.open(tmp_path / "near-duplicates.zarr"))
    [size] = kept["size"][kept.url.isin(alike)]
    assert size == 3
    assert kept.url.is_unique
    # What is kept has no more pairs.
    again = novelty_dask.score(urls=kept.url.tolist(), workers=0)
    of_groups = kept.url[kept["size"] > 1]
    pairs = novelty_dask.pairs(again, at_least=0.98)
    assert pairs is not None
    assert not (pairs.url.isin(of_groups) & pairs.other_url.isin(of_groups)).any()
    assert f"{len(kept):,} of " in printed


@pytest.mark.long
def test_daily_feed_knows_tomorrow_what_came_today(tmp_path: Path) -> None:
    urls, planted = make_urls(500, n_planted=3, seed=5)
    days = [urls[:300], [*urls[300:], *urls[:50]], urls[250:400]]
    lists = [tmp_path / f"day{number}.txt" for number in range(3)]
    for path, day in zip(lists, days, strict=True):
        path.write_text("".join(f"{url}\n" for url in day), encoding="utf-8")
    assert "are known from now on" in run_workflow("daily_feed.py", "day0.txt", folder=tmp_path)
    printed = [run_workflow("daily_feed.py", "day1.txt", "-n", "500", folder=tmp_path) for _ in range(2)]
    assert printed[0] == printed[1]
    new = pd.read_csv(tmp_path / "new.csv")
    assert not {*new.url} & {*days[0]}
    late = {urls[number] for number in planted if number >= 300}
    assert {*new.url.head(len(late))} >= late
    known = novelty_dask.open(tmp_path / "known.zarr")
    assert {*listed(known.urls)} == {*listed(novelty_dask.score(urls=[*days[0], *days[1]], workers=0).urls)}
    assert "0 of " in run_workflow("daily_feed.py", "day2.txt", folder=tmp_path)
    assert sum(listed(novelty_dask.open(tmp_path / "known.zarr").counts)) == sum(map(len, days))


def test_first_stories_come_once_and_in_order(tmp_path: Path) -> None:
    urls = make_urls(400, n_planted=0, seed=5)[0]
    swarm = [f"https://bank-login.swarm.test/secure/verify/account{n}" for n in range(30)]
    days = [f"2026-01-{1 + n // 20:02}T{n % 20:02}:00:00Z" for n in range(len(urls) + len(swarm))]
    lines = [f"{day},{url}" for day, url in zip(days, [*urls, *swarm], strict=True)]
    (tmp_path / "feed.csv").write_text("\n".join(["seen,url", *lines[::-1]]), encoding="utf-8")
    printed = run_workflow(
        "first_stories.py", "feed.csv", "--time-column", "seen", "--skip", "100", folder=tmp_path
    )
    stories = [
        json.loads(line) for line in (tmp_path / "first-stories.jsonl").read_text("utf-8").splitlines()
    ]
    # The first of the swarm is new, and hides none of the others; they hide themselves.
    assert [story["url"] for story in stories if "swarm" in story["url"]] == swarm[:1]
    assert [story["first_seen"] for story in stories] == sorted(story["first_seen"] for story in stories)
    assert all(story["novelty_nearest"] >= 0.5 for story in stories)
    assert repr(stories[-1]["url"]) in printed


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.txt"], "Error: Nothing matches 'missing.txt'; check the path."),
        (["urls.txt", "--json", "no/rows.jsonl"], "Error: There is no folder for 'no/rows.jsonl'; make it, "),
        (
            ["urls.txt", "--scheduler", "tcp://127.0.0.1:1"],
            "Error: Can't reach a Dask scheduler at 'tcp://127.",
        ),
        (["urls.txt", "--scheduler", "nonsense"], "Error: Can't reach a Dask scheduler at 'nonsense': "),
    ],
)
def test_wrong_arguments_end_a_workflow_with_one_sentence(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    (tmp_path / "urls.txt").write_text("http://a.example/\nhttp://b.example/\n")
    command = [sys.executable, str(ROOT / "workflows" / "score_corpus.py"), *arguments]
    began = time.monotonic()
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert time.monotonic() - began < 200
    assert done.returncode == 1
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1


def test_a_workflow_shows_how_far_it_is(tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text("".join(f"{url}\n" for url in make_urls(300)[0]))
    command = [sys.executable, str(ROOT / "workflows" / "score_corpus.py"), "urls.txt"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "compare: done, 1 task in " in done.stderr
    assert "sites with at least 5" in done.stdout


@pytest.mark.sampled
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_say_what_they_do(path: Path, tmp_path: Path) -> None:
    assert "Usage:" in run_workflow(path.name, "--help", folder=tmp_path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_run_from_top_to_bottom(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_kept_without_outputs(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    assert all(
        not cell.outputs and cell.execution_count is None for cell in cells if cell.cell_type == "code"
    )
