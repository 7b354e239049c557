"""Each benchmark runs, at a tiny size on a made corpus, and leaves the figures that documents name."""

import doctest
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from click.testing import CliRunner

from novelty_dask.kernels.search.topk import SearchCounts

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
RESULTS = FOLDER / "results"
COUNTS = set(SearchCounts._fields)


@pytest.fixture(autouse=True)
def made_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benchmarks can be imported, and know no real corpus."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delenv("NOVELTY_CORPORA", raising=False)


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


def run(name: str, output: Path, *arguments: str) -> list[dict[str, Any]]:
    """Entries that a benchmark leaves, run in this process."""
    done = CliRunner().invoke(load(name).main, [*arguments, "--output", str(output)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return entries(output)


def entries(output: Path) -> list[dict[str, Any]]:
    content = json.loads(output.read_text(encoding="utf-8"))
    assert content["corpus"] == "made"
    assert content["machine"]["cores"] == os.cpu_count()
    assert content["versions"]["numpy"] == np.__version__
    found: list[dict[str, Any]] = content["entries"]
    return found


@pytest.mark.long
def test_the_kernel_is_measured_beside_what_is_installed_and_results_add_up(tmp_path: Path) -> None:
    output = tmp_path / "kernel.json"
    command = [sys.executable, str(FOLDER / "kernel.py"), "--features", "word:1-2", "--output", str(output)]
    for arguments in (["--rows", "500"], ["--rows", "1000", "--alone"]):
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
    found = entries(output)
    assert [entry["rows"] for entry in found if entry["name"] == "novelty_dask"] == [500, 1000]
    assert {entry["name"] for entry in found} <= {"novelty_dask", "sp_matmul_rs", "sparse_dot_topn"}
    for entry in found:
        assert (entry["features"], entry["k"]) == ("word:1-2", 10)
        assert entry["core_seconds"] > 0
        assert entry["peak_bytes"] > 10**7
        assert set(entry.get("counts", COUNTS)) == COUNTS
    assert "novelty_dask" in done.stdout


def test_what_disagrees_is_not_timed(tmp_path: Path) -> None:
    kernel = load("kernel")
    np.savez(tmp_path / "novelty_dask.npz", rows=np.arange(3), kth=np.array([0.1, 0.2, 0.3], np.float32))
    np.savez(tmp_path / "other.npz", rows=np.array([0, 2]), kth=np.array([0.1, 0.30001], np.float32))
    with pytest.raises(SystemExit, match="differ"):
        kernel.check(tmp_path / "matrix.npz", ["novelty_dask", "other"])


def test_large_corpora_are_sampled_by_enough_queries_for_cache_tiles() -> None:
    kernel = load("kernel")
    X: Any = sp.csr_array((400_000, 50_000), dtype=np.float32)
    X.data, X.indices = np.ones(800_000, np.float32), np.zeros(800_000, np.int32)
    X.indptr = np.arange(0, 800_001, 2, dtype=np.int32)
    queries = kernel.choose_queries("sp_matmul_rs", X)
    assert 2 * queries >= 2 * 50_000
    assert kernel.choose_queries("sparse_dot_topn", X) == kernel.LEAST_QUERIES
    assert kernel.choose_queries("novelty_dask", X) is None
    assert kernel.choose_queries("sp_matmul_rs", X[:1000]) is None


def test_growth_is_the_power_of_the_rows() -> None:
    kernel = load("kernel")
    same = {"name": "novelty_dask", "features": "char:3-3", "k": 10}
    sizes = [{**same, "rows": rows, "core_seconds": 1e-9 * rows**1.5} for rows in (1000, 8000)]
    [(_, _, exponent)] = kernel.growth([*sizes, {**sizes[0], "k": 1}])
    assert exponent == pytest.approx(1.5)


def test_single_rows_add_up_to_the_whole(tmp_path: Path) -> None:
    sizes = ["--rows", "3000", "--chunks", "12", "--chunk-rows", "128", "--every", "2"]
    [entry] = run("hard_rows", tmp_path / "hard_rows.json", *sizes)
    assert (entry["rows"], entry["timed_rows"], entry["single_rows"]) == (3000, 1536, 768)
    assert 0.3 < entry["modeled_over_measured"] < 3
    of_counts = entry["counts_of_single_over_timed"]
    assert of_counts["visits"] == 1
    assert all(0.8 < of_counts[name] < 1.25 for name in COUNTS - {"adjacent"})
    shares = list(entry["share_of_costliest"].values())
    assert shares == sorted(shares)
    assert entry["curve"][-1] == pytest.approx(1)
    for name in ("by_kth_similarity", "by_novelty"):
        assert sum(part["share_of_rows"] for part in entry[name]) == pytest.approx(1)
        assert sum(part["share_of_time"] for part in entry[name]) == pytest.approx(1)


@pytest.mark.long
def test_new_rows_cost_less_than_their_reference(tmp_path: Path) -> None:
    output = tmp_path / "against.json"
    found = run("against", output, "--known", "3000", "--new", "60", "--new", "600")
    assert [(entry["known"], entry["new"]) for entry in found] == [(3000, 60), (3000, 600)]
    for entry in found:
        assert entry["share"] == pytest.approx(entry["core_seconds"] / entry["known_core_seconds"])
        assert entry["core_seconds"] == pytest.approx(sum(entry["stages"].values()))
        assert entry["whole_core_seconds"] > 0
        assert set(entry["counts"]) == set(entry["known_counts"]) == COUNTS
    few, many = (entry["counts"]["multiply_adds"] for entry in found)
    assert few < many / 4


@pytest.mark.long
def test_lines_of_a_stream_are_answered_one_by_one(tmp_path: Path) -> None:
    sizes = ["--rows", "300", "--known", "20", "--new", "10"]
    [entry] = run("stream", tmp_path / "stream.json", *sizes)
    assert (entry["known"], entry["new"]) == (20, 10)
    assert 0 < entry["median"] <= entry["longest"]
    assert entry["core_seconds"] > 0


@pytest.mark.long
def test_adding_rows_costs_less_than_scoring_all_together(tmp_path: Path) -> None:
    [entry] = run("growing", tmp_path / "growing.json", "--known", "3000", "--new", "60")
    assert set(entry["counts"]) == set(entry["counts_together"]) == COUNTS
    assert entry["share"] < 0.2
    assert entry["whole_core_seconds"] > 0


def test_methods_are_measured_beside_the_exact_neighbors(tmp_path: Path) -> None:
    flags = ["--rows", "600", "--method", "NumPy", "--method", "scikit-learn KDTree", "--columns", "16"]
    found = run("neighbors", tmp_path / "neighbors.json", *flags)
    assert {entry["name"] for entry in found} == {"novelty_dask", "NumPy", "scikit-learn KDTree"}
    # Both are exact, and these rows are far enough from each other for float32.
    assert all(entry["recall"] == 1 for entry in found)
    assert all(entry["search_seconds"] > 0 for entry in found)


def test_small_similarities_are_measured_beside_those_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load("cosine"), "SIZES", ((9, 5),))
    found = run("cosine", tmp_path / "cosine.json", "--seconds", "0.01")
    assert {"novelty_dask", "scikit-learn", "NumPy"} <= {entry["name"] for entry in found}
    assert all(0 < entry["microseconds"] < 1e6 for entry in found)


def test_what_is_not_a_neighbor_counts_against_a_method(tmp_path: Path) -> None:
    neighbors = load("neighbors")
    X = neighbors.make_rows("clusters", 300, 8, None)
    neighbors.measure_ours(X, tmp_path)
    true = np.load(tmp_path / "ids.npy")
    itself = np.arange(300)[:, None]
    assert neighbors.judge(np.hstack([itself, true]), X, tmp_path) == {"recall": 1.0, "other_rows": 0.0}
    wrong = np.hstack([itself, true])
    wrong[0, 3] = next(other for other in range(1, 300) if other not in true[0])
    judged = neighbors.judge(wrong, X, tmp_path)
    assert judged == {"recall": 1 - 1 / 3_000, "other_rows": 1 / 300}
    with pytest.raises(SystemExit, match="Row 0 has other neighbors"):
        neighbors.check(X, wrong[:, :10], neighbors.novelty_dask.neighbors(X).similarities)


def test_known_thresholds_need_no_more_than_found_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates, touches = load("rates"), load("limit").TOUCHES
    monkeypatch.setattr(rates, "LEAST_SECONDS", 1e-4)
    monkeypatch.setattr(rates, "REPEATS", 1)
    monkeypatch.setattr(rates, "STREAMS", dict.fromkeys(rates.STREAMS, 2**16))
    assert set(touches) == COUNTS - {"multiply_adds"} | {"lists", "maxima", "dense", "vectors"}
    [entry] = run("limit", tmp_path / "limit.json", "--rows", "2000", "--chunks", "4", "--chunk-rows", "100")
    found, known = (entry["counts_per_row"][name] for name in ("as_it_is", "thresholds_known"))
    assert set(found) == set(known) == COUNTS
    floors = entry["floor_per_row"]
    assert set(floors) == set(touches)
    steps = sum(floors[name]["count"] for name in ("maxima", "dense", "vectors"))
    assert steps == pytest.approx(known["multiply_adds"])
    assert min(floors[name]["count"] for name in ("lists", "maxima", "vectors")) > 0
    assert 0 < sum(known.values()) < sum(found.values())
    assert entry["core_seconds"]["floor_of_operations"] > 0


@pytest.mark.long
def test_all_seconds_of_all_workers_are_accounted_for(tmp_path: Path) -> None:
    [entry] = run("whole_run", tmp_path / "whole_run.json", "--rows", "2000", "--workers", "1")
    parts = [*entry["stages"].values(), entry["outside_stages"]]
    spent = sum(part["core_seconds"] + part["idle_seconds"] for part in parts)
    assert spent == pytest.approx(entry["seconds"], rel=1e-6)
    assert sum(part["core_seconds"] for part in parts) == pytest.approx(entry["core_seconds"], rel=1e-6)
    assert entry["useful_seconds"] < entry["core_seconds"]
    assert entry["ratio"] == pytest.approx(entry["seconds"] / entry["useful_seconds"])
    assert 0 < entry["undisturbed_ratio"] <= entry["ratio"]
    assert entry["largest_peak_bytes"] > 10**8


@pytest.mark.long
def test_long_lines_are_measured_alone_and_among_short_ones(tmp_path: Path) -> None:
    sizes = ["--long", "40", "--short", "300", "--workers", "1"]
    found = {entry["name"]: entry for entry in run("long_lines", tmp_path / "long_lines.json", *sizes)}
    assert {name: entry["lines"] for name, entry in found.items()} == {"short": 300, "long": 40, "both": 340}
    nonzeros = {name: entry["stages"]["vectorize"]["nonzeros"] for name, entry in found.items()}
    assert nonzeros["long"] > 250_000
    assert nonzeros["both"] == nonzeros["short"] + nonzeros["long"]
    for entry in found.values():
        assert entry["core_seconds"] > 0
        assert all(stage["peak_bytes"] <= stage["projected_bytes"] for stage in entry["stages"].values())


@pytest.mark.long
def test_a_run_of_many_tiles_is_planned_half_done_and_done(tmp_path: Path) -> None:
    output = tmp_path / "planning.json"
    arguments = ["--tiles", "200", "--repeats", "1", "--output", str(output)]
    done = CliRunner().invoke(load("planning").main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found = json.loads(output.read_text(encoding="utf-8"))
    assert [(entry["call"], entry["done"]) for entry in found] == [
        (call, done) for done in (100, 200) for call in ("resume", "status")
    ]
    assert all(0 < entry["cpu_seconds"] < 60 for entry in found)


def test_the_top_of_a_list_is_shown_and_its_noise_counted(tmp_path: Path) -> None:
    found = run("top_of_list", tmp_path / "top.json", "--rows", "200", "--workers", "1", "--features", "url")
    assert len(found) == 6
    assert all(entry["shown"] == len(entry["urls"]) == 30 for entry in found)
    for entry in found:
        assert entry["noise"] == sum(noise for _, noise, _ in entry["urls"])
        assert all(len(url) <= 72 and "//" not in url for _, _, url in entry["urls"])
        values = [value for value, _, _ in entry["urls"]]
        assert values == sorted(values, reverse=True)


def test_results_of_another_machine_are_not_mixed(tmp_path: Path) -> None:
    results = load("results")
    output = tmp_path / "results.json"
    results.add_entries(output, "made", [{"rows": 1}], ["rows"])
    results.add_entries(output, "made", [{"rows": 1, "again": True}], ["rows"])
    assert entries(output) == [{"rows": 1, "again": True}]
    with pytest.raises(SystemExit, match="another corpus"):
        results.add_entries(output, "real.txt", [{"rows": 1}], ["rows"])


def test_the_tables_of_the_document_are_those_of_the_results() -> None:
    tables = load("tables")
    pages = [path.read_text(encoding="utf-8") for path in tables.PAGES.glob("*.md")]
    assert [tables.fill(page) for page in pages] == pages, "run python benchmarks/tables.py"
    assert set(re.findall(r"<!-- table ([\w-]+) -->", "".join(pages))) == set(tables.TABLES)


@pytest.mark.parametrize("name", ["matrices", "structure", "tables", "top_of_list"])
def test_examples_are_right(name: str) -> None:
    assert doctest.testmod(load(name)).failed == 0


def test_plots_are_small_and_the_same_every_time(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plots = load("plots")
    drawn = []
    for folder in (tmp_path / "once", tmp_path / "again"):
        done = CliRunner().invoke(plots.main, ["--images", str(folder)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        drawn.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert drawn[0] == drawn[1]
    assert {name.removesuffix(".svg") for name in drawn[0]} == set(plots.PLOTS)
    assert max(map(len, drawn[0].values())) < 60_000
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/performance").glob("*.md"))
    assert all(f"](../images/{name})" in pages for name in drawn[0])


def test_every_command_is_in_the_readme() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    commands = {
        path.name for path in FOLDER.glob("*.py") if "@click.command" in path.read_text(encoding="utf-8")
    }
    assert {name for name in commands if f"python benchmarks/{name}" not in readme} == set()


def test_normal_forms_are_measured_beside_counting(tmp_path: Path) -> None:
    found = run("normal_forms", tmp_path / "normal_forms.json", "--rows", "300", "--rounds", "1")
    forms = {entry["name"]: entry["forms"] for entry in found}
    assert forms.pop("counting of 3-grams") is None
    assert 300 >= forms["raw"] >= forms["web"] >= forms["page"] >= forms["template"] > 1
    assert all(entry["us_per_row"] >= 0 for entry in found)


def test_a_large_corpus_is_made_of_a_file_and_clones(tmp_path: Path) -> None:
    files = {
        "eot2024/seed-lists/a/sites.txt": "https://a.gov/\nhttps://a.gov/x, y\n\nhttps://a.gov/x\n",
        "eot2024/seed-lists/found.csv": "https://a.gov/sitemap.xml?page=1,https://b.gov/b\n",
        "eot2024/seed-lists/left.xlsx": "https://never.gov/",
        "eot2024/README.md": "https://never.gov/",
        "trackawesomelist/content/day.md": "* [Tool (⭐3)](https://c.org/tool_(x)): like [b](https://b.gov/b).\n",
        "weibo-trending-hot-search/raw/day.json": '[{"url": "/weibo?q=%23a%23", "title": "a"}]',
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for clone in {name.split("/")[0] for name in files}:
        author = ["-c", "user.name=a", "-c", "user.email=a@b"]
        for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "Add"]):
            subprocess.run(["git", "-C", str(tmp_path / clone), *command], check=True)
    (tmp_path / "urls.txt").write_text("https://d.org/\nhttps://a.gov/\n")
    out = tmp_path / "all.txt"
    arguments = ["--corpus", str(tmp_path / "urls.txt"), "--clones", str(tmp_path), "-o", str(out)]
    done = CliRunner().invoke(load("large_corpus").main, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "3 more in eot2024" in done.output
    urls = out.read_text(encoding="utf-8").splitlines()
    assert sorted(urls) == [
        "https://a.gov/",
        "https://a.gov/sitemap.xml?page=1",
        "https://a.gov/x",
        "https://b.gov/b",
        "https://c.org/tool_",
        "https://d.org/",
        "https://s.weibo.com/weibo?q=%23a%23",
    ]
    assert urls == load("large_corpus").shuffle(set(urls))


@pytest.mark.long
def test_what_a_task_costs_the_scheduler_is_measured(tmp_path: Path) -> None:
    sizes = ["--tasks", "60", "--workers", "1", "--threads", "2", "--seconds", "0.01"]
    ways = [*load("scheduling").WAYS]
    found = run("scheduling", tmp_path / "scheduling.json", *sizes, "--way", ways[0], "--way", ways[-1])
    assert {entry["way"] for entry in found} == {ways[0], ways[-1]}
    for entry in found:
        assert entry["scheduler_us"] > 0
        assert 0 < entry["efficiency"] <= 1
        assert len(entry["resident_bytes"]) == 10


def test_the_model_of_many_workers_is_that_of_measured_runs() -> None:
    simulate = load("simulate")
    for features in ("url", "ngrams"):
        for entry in simulate.check(features):
            assert entry["ratio"] == pytest.approx(1, abs=0.1), entry


def test_the_model_does_each_tile_whatever_fails() -> None:
    simulate = load("simulate")
    plan = simulate.plan_tiles(10**7, 65_536, slots=100)
    n_tiles = plan.n_spans * plan.n_groups
    ideal = {"latency": 0, "failures": 0, "stragglers": 0, "spread": 0, "scheduler_seconds": 0}
    done = simulate.Simulation(plan, 10.0, 0, simulate.Cluster(1, **ideal)).run()
    assert done.seconds == done.computing == pytest.approx(10 * n_tiles)
    assert simulate.bottleneck(done, 1) == "computing"
    failing = simulate.Simulation(plan, 10.0, 0, simulate.Cluster(10, **{**ideal, "failures": 20})).run()
    assert failing.failures > 10
    assert failing.computing == pytest.approx(10 * n_tiles)
    # The last failures of each worker may last beyond the end.
    assert failing.seconds * 10 > failing.computing + failing.lost - 10 * (10 + 90)
    assert failing.seconds > done.seconds / 10
    slow = simulate.Simulation(plan, 0.01, 0, simulate.Cluster(500, **{**ideal, "scheduler_seconds": 0.1}))
    outcome = slow.run()
    assert outcome.seconds >= 0.1 * n_tiles
    assert simulate.bottleneck(outcome, 500) == "the scheduler"
