"""The benchmark of quality: its measures and sets are what they say, and it runs at a tiny size."""

import csv
import doctest
import importlib
import io
import json
import lzma
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor

from novelty_dask.datasets import make_urls
from novelty_dask.kernels.choices import VIEWS

FOLDER = Path(__file__).parents[2] / "benchmarks"
MODULES = ("quality", "quality_baselines", "quality_measures", "quality_sets", "quality_urls")
MEASURES = {"auc", "auc_within_strata", "average_precision", "precision_at_100", "precision_ceiling"}

Ranking = tuple[NDArray[np.bool_], NDArray[np.float64]]


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benchmarks can be imported, and know no real corpus."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delenv("NOVELTY_CORPORA", raising=False)


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


def draw_ranking(size: int, n_scores: int) -> Ranking:
    """Labels and scores of which many are equal if there are few."""
    rng = np.random.default_rng(size)
    labels = rng.random(size) < 0.3
    return labels, (rng.integers(0, n_scores, size) + labels * (n_scores // 3)) / n_scores


def write_corpora(folder: Path) -> None:
    """Small corpora in the form of the real ones: made URLs, and pages with random tokens."""
    urls, planted = make_urls(900, n_planted=120)
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["url", "label"])
    novel = set(planted.tolist())
    writer.writerows((url, "phishing" if row in novel else "benign") for row, url in enumerate(urls))
    rng = np.random.default_rng(0)
    pages = [
        f"https://{name}.example/item/{rng.bytes(8).hex()}" for name in ("a", "b", "c") for _ in range(12)
    ]
    corpora = {
        "labelled_90k.csv": table.getvalue(),
        "urls_1m.txt": "".join(f"{url}\n" for url in [*dict.fromkeys(urls), *pages]),
        "dated_200k.tsv": "first_seen\turl\n"
        + "".join(f"{1_600_000_000 + second}\t{url}\n" for second, url in enumerate(urls)),
    }
    for name, text in corpora.items():
        (folder / f"{name}.xz").write_bytes(lzma.compress(text.encode()))


@pytest.mark.parametrize("n_scores", [3, 10**9])
def test_area_under_the_curve_is_that_of_scikit_learn(n_scores: int) -> None:
    labels, scores = draw_ranking(500, n_scores)
    measures = load("quality_measures")
    expected = roc_auc_score(labels, scores)
    assert measures.area_under_curve(labels, scores) == pytest.approx(expected, rel=1e-12)
    one_stratum = np.zeros(500, np.int64)
    assert measures.area_within_strata(labels, scores, one_stratum) == pytest.approx(expected, rel=1e-12)


def test_area_within_strata_sees_no_pair_of_two_strata() -> None:
    measures = load("quality_measures")
    labels, scores = draw_ranking(500, 10**9)
    strata = np.random.default_rng(1).integers(0, 4, 500)
    raised = scores + 10 * strata
    expected, pairs = [], []
    for stratum in range(4):
        inside = strata == stratum
        expected.append(roc_auc_score(labels[inside], scores[inside]))
        pairs.append(labels[inside].sum() * (~labels[inside]).sum())
    found = measures.area_within_strata(labels, raised, strata)
    assert found == pytest.approx(np.average(expected, weights=pairs), rel=1e-12)
    assert found != pytest.approx(measures.area_under_curve(labels, raised), abs=0.01)


def test_average_precision_without_ties_is_that_of_scikit_learn() -> None:
    labels, scores = draw_ranking(500, 10**9)
    expected = average_precision_score(labels, scores)
    assert load("quality_measures").average_precision(labels, scores) == pytest.approx(expected, rel=1e-12)


def mean_over_orders(measure: Callable[..., float], labels: list[int]) -> float:
    """The mean of a measure of distinct scores, over all orders of what is equal: 1, then 3, then 2 rows."""
    orders = [
        (labels[0], *(labels[row] for row in middle), *(labels[row] for row in last))
        for middle in permutations((1, 2, 3))
        for last in permutations((4, 5))
    ]
    return float(np.mean([measure(np.array(order, np.bool_), -np.arange(6.0)) for order in orders]))


@pytest.mark.parametrize(
    "labels", [[1, 0, 1, 0, 1, 0], [0, 1, 1, 0, 0, 1], [0, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1]]
)
def test_ties_count_as_the_mean_of_all_their_orders(labels: list[int]) -> None:
    measures = load("quality_measures")
    scores, y = np.array([0.9, 0.5, 0.5, 0.5, 0.2, 0.2]), np.array(labels, np.bool_)
    expected = mean_over_orders(average_precision_score, labels)
    assert measures.average_precision(y, scores) == pytest.approx(expected, rel=1e-12)
    for first in range(1, 8):
        found = measures.precision_at(y, scores, first)
        top = min(first, 6)
        assert found == pytest.approx(
            mean_over_orders(lambda y, _, top=top: y[:top].mean(), labels), rel=1e-12
        )


def test_precision_where_few_are_novel_is_that_of_draws_and_has_its_ceiling() -> None:
    measures = load("quality_measures")
    labels = np.arange(2000) < 1000
    assert measures.rare_precision(labels, labels.astype(float)) == pytest.approx((0.53, 0.53))
    assert measures.rare_precision(labels, -labels.astype(float)) == (0, 0.53)
    assert measures.rare_precision(labels, np.zeros(2000))[0] == pytest.approx(53 / 1053)


def test_a_set_holds_out_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_corpora(tmp_path)
    monkeypatch.setenv("NOVELTY_CORPORA", str(tmp_path))
    sets, urls = load("quality_sets"), load("quality_urls")
    sizes = load("quality_pool").Sizes(rows=400, queries=60)

    def domain(url: str) -> str:
        found: str = urls.registered_domain(urls.split(url).host)
        return found

    keys = {"domains": domain, "patterns": urls.pattern_template, "slots": urls.pattern_template}
    for name, key in keys.items():
        [part], truths = sets.SETS[name](sizes)
        [labels] = truths.values()
        known = set(map(key, part.reference))
        assert [key(query) not in known for query in part.queries] == labels.tolist()
        assert 0 < labels.sum() < labels.size
        assert len(part.reference) <= 400
        assert not {*part.reference} & {*part.queries}
    hosts = {urls.split(url).host for url in sets.make_patterns(sizes).parts[0].reference}
    assert {urls.split(url).host for url in sets.make_patterns(sizes).queries} <= hosts


def test_dated_urls_are_the_first_of_their_kind_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpora(tmp_path)
    monkeypatch.setenv("NOVELTY_CORPORA", str(tmp_path))
    sets, urls = load("quality_sets"), load("quality_urls")
    labelled = sets.make_dated(load("quality_pool").Sizes(rows=600, queries=100))
    labels = iter(labelled.truths["first of template"].tolist())
    for part in labelled.parts:
        for query, limit in zip(part.queries, part.limits.tolist(), strict=True):
            assert part.recent[limit] == query
            before = map(urls.pattern_template, [*part.reference, *part.recent[:limit]])
            assert next(labels) == (urls.pattern_template(query) not in set(before))
    assert next(labels, None) is None


def test_sets_are_the_same_however_python_hashes_strings(tmp_path: Path) -> None:
    write_corpora(tmp_path)
    program = (
        "from quality_sets import SETS, Sizes; from hashlib import sha256;"
        "made = [make(Sizes(300, 40)) for make in SETS.values()];"
        "print(sha256(repr([[part[:3] for part in each.parts] for each in made]).encode()).hexdigest())"
    )
    printed = set()
    for seed in "12":
        environment = {**os.environ, "PYTHONHASHSEED": seed, "NOVELTY_CORPORA": str(tmp_path)}
        command = [sys.executable, "-c", program]
        done = subprocess.run(
            command, cwd=FOLDER, env=environment, capture_output=True, text=True, check=True
        )
        printed.add(done.stdout)
    assert len(printed) == 1
    assert len(printed.pop()) == 65


@pytest.fixture
def rows() -> Any:
    """Rows of made URLs, of which some came after the reference."""
    urls = sorted(set(make_urls(420)[0]))
    rng = np.random.default_rng(2)
    urls = [urls[row] for row in rng.permutation(len(urls))]
    part = load("quality_sets").Part(urls[:250], urls[250:320], urls[320:400], np.arange(70))
    return load("quality_search").make_rows(part, load("quality").FEATURES["url"])


def test_neighbors_are_those_of_a_full_product_before_each_query(rows: Any) -> None:
    search = load("quality_search")
    known, recent = rows.reference.toarray().astype(float), rows.recent.toarray().astype(float)
    queries = rows.queries.toarray().astype(float)
    neighbors = search.find_neighbors(rows, 3)
    for query, limit in enumerate(rows.limits):
        similarities = np.concatenate([known, recent[:limit]]) @ queries[query]
        best = np.sort(similarities)[::-1][:3]
        assert neighbors.similarities[query] == pytest.approx(best, abs=1e-6)
        assert similarities[neighbors.ids[query]] == pytest.approx(best, abs=1e-6)
    columns = [set(row) for row in ((X != 0).nonzero()[0] for X in [*known, *recent])]
    for query, share in enumerate(search.uncovered_view(rows, neighbors)):
        covered = set().union(*(columns[row] for row in neighbors.ids[query]))
        new = [column for column in queries[query].nonzero()[0] if column not in covered]
        assert share == pytest.approx(np.square(queries[query][new]).sum(), abs=1e-6)


def test_the_local_outlier_factor_is_that_of_scikit_learn(rows: Any) -> None:
    search = load("quality_search")
    model = LocalOutlierFactor(5, metric="cosine", algorithm="brute", novelty=True).fit(
        rows.reference.astype(float)
    )
    expected = -model.score_samples(rows.queries.astype(float))
    found = search.lof_view(rows, search.find_known(rows, 5))
    # Rows with as many twins have a density that depends on the rounding of distances about 0.
    untied = expected < 1e3
    assert untied.mean() > 0.8
    assert found[untied] == pytest.approx(expected[untied], rel=1e-4)


def test_probabilities_of_the_language_model_add_up_to_one() -> None:
    baselines = load("quality_baselines")
    model = baselines.CharacterModel(["a.example/abc", "a.example/abd", "b.example/"])
    for context in (b"ab", b"exa", b"zzz", b"\x02a."):
        codes = [int.from_bytes(context + bytes([last]), "big") for last in range(256)]
        assert model.probability(np.array(codes, np.uint32)).sum() == pytest.approx(1)
    bits, lengths = model.surprise(["a.example/abc", "a.example/xyz"])
    assert lengths.tolist() == [14, 14]
    assert bits[0] < bits[1]


def test_minhash_estimates_the_share_of_features_in_common() -> None:
    quality, search = load("quality"), load("quality_search")
    part = load("quality_sets").Part(
        ["a.example/abcdef"], ["a.example/abcdef", "a.example/abcxyz"], [], np.zeros(2)
    )
    rows = search.make_rows(part, quality.FEATURES["ngrams"])
    found = load("quality_baselines").minhash_nearest(rows)
    known, new = (set(X.indices) for X in (rows.reference[0], rows.queries[1]))
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert found[1] == pytest.approx(1 - len(known & new) / len(known | new), abs=0.15)


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_right(name: str) -> None:
    assert doctest.testmod(load(name)).failed == 0


def test_all_methods_are_measured_on_all_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_corpora(tmp_path)
    monkeypatch.setenv("NOVELTY_CORPORA", str(tmp_path))
    quality, output = load("quality"), tmp_path / "quality.json"
    sizes = ["--rows", "400", "--queries", "60", "--features", "url", "--output", str(output)]
    chosen = [part for name in ("domains", "slots", "labelled") for part in ("--set", name)]
    done = CliRunner().invoke(quality.main, [*sizes, *chosen], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    entries = json.loads(output.read_text(encoding="utf-8"))["entries"]
    assert {entry["set"] for entry in entries} == {"domain", "random slot", "phishing"}
    methods = {(entry["features"], entry["score"], entry["k"]) for entry in entries}
    assert len(entries) == 3 * len(methods)
    assert {
        ("url", "nearest", 1),
        ("url", "mean", 10),
        ("url", "uncovered", 3),
        ("url", "lof", 10),
    } <= methods
    others = {*quality.OF_LINES, *quality.OF_ROWS, *quality.OF_VECTORS}
    assert {score for _, score, k in methods if not k} == others
    for entry in entries:
        assert all(0 <= entry[name] <= 1 for name in MEASURES)
        assert entry["precision_at_100"] <= entry["precision_ceiling"] + 1e-9
        assert entry["core_seconds"] > 0
    [nearest] = [e for e in entries if (e["set"], e["score"]) == ("domain", "nearest")]
    assert nearest["auc"] > 0.9
    assert "url: uncovered of 10" in done.output


@pytest.mark.long
def test_columns_are_measured_through_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_corpora(tmp_path)
    monkeypatch.setenv("NOVELTY_CORPORA", str(tmp_path))
    by_commands, output = load("quality_by_commands"), tmp_path / "columns.json"
    sizes = ["--rows", "400", "--queries", "60", "--output", str(output)]
    chosen = [part for name in ("domains", "dated") for part in ("--set", name)]
    done = CliRunner().invoke(by_commands.main, [*sizes, *chosen], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    entries = json.loads(output.read_text(encoding="utf-8"))["entries"]
    assert {(entry["set"], entry["column"]) for entry in entries} == {
        *product(("domain", "first of domain", "first of template"), VIEWS)
    }
    for entry in entries:
        assert all(0 <= entry[name] <= 1 for name in MEASURES)
    nearest = {entry["set"]: entry["auc"] for entry in entries if entry["column"] == "novelty_nearest"}
    assert min(nearest["domain"], nearest["first of domain"]) > 0.9
    # The set itself makes the same queries, and its own search finds the same.
    quality = load("quality")
    part = by_commands.SETS["domains"](by_commands.Sizes(400, 60))
    [truth] = part.truths
    found = quality.score_set(part, quality.Methods(["url"], ()))
    scores = found[quality.Method("url", "nearest", 1)].scores
    expected = load("quality_measures").area_under_curve(part.truths[truth], scores)
    assert nearest["domain"] == pytest.approx(expected, abs=0.02)
