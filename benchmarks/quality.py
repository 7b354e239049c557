"""How well scores find what is new: views of novelty_dask beside other methods, on labelled sets.

    python benchmarks/quality.py --set domains --set dated --rows 10000 --output quality.json

Queries, some of them novel, are compared with a reference that has nothing like the novel ones.  Measures:

- AUC: probability that a novel query has a higher score than a known one;
- in style: the same among queries of one octile of length, depth of path, and query or none, as style
  often tells the label;
- AP: average precision, all orders of ties as likely;
- P@100: precision of the first 100 where 5 % of the queries are novel, mean of 20 draws, and the best
  possible one.

Core-seconds are those of the whole process for one row of the table: features of reference and queries,
learning, search and score, without compiling.  The sets are made of real URLs from the folder that
NOVELTY_CORPORA names, or else of made URLs.  Results are added to the file.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
import numpy as np
from corpora import find_corpus
from quality_baselines import OF_LINES, OF_ROWS, OF_VECTORS, embed
from quality_measures import Scores, measure
from quality_pool import Sizes
from quality_search import VIEWS, find_neighbors, make_rows
from quality_sets import SETS, LabelledSet, Part
from quality_urls import style_strata
from results import Entry, add_entries

from novelty_dask.datasets import make_urls
from novelty_dask.features.features import Features
from novelty_dask.features.ngrams import NgramFeatures
from novelty_dask.features.url import UrlFeatures

KEY = ("set", "rows", "queries", "features", "score", "k")
FEATURES: dict[str, Features] = {"ngrams": NgramFeatures((3, 3), 2**20), "url": UrlFeatures(2**22)}
"""The features of a run, at their defaults."""
NEIGHBORS = (1, 3, 10)
OTHERS = [*OF_ROWS, *OF_VECTORS, *OF_LINES]
LINES = "lines"
"""Name in place of features for baselines that look at the lines."""
COLUMNS = {
    "auc": "AUC",
    "auc_within_strata": "in style",
    "average_precision": "AP",
    "precision_at_100": "P@100",
    "precision_ceiling": "at best",
    "core_seconds": "core-s",
}

T = TypeVar("T")


class Methods(NamedTuple):
    """Features by which the views are measured, and names of other methods."""

    features: Sequence[str]
    others: Sequence[str]


class Method(NamedTuple):
    """A row of the table."""

    features: str
    score: str
    k: int


class Found(NamedTuple):
    """Scores of queries, and the CPU seconds that they took."""

    scores: Scores
    seconds: float


@click.command(help=__doc__)
@click.option(
    "--set", "sets", multiple=True, type=click.Choice([*SETS]), default=[*SETS], help="Repeat for several."
)
@click.option(
    "--features", multiple=True, type=click.Choice([*FEATURES]), default=[*FEATURES], help="Repeat for both."
)
@click.option("--rows", default=20_000, help="Rows of a reference; of the dated URLs, all rows.")
@click.option("--queries", default=2_000, help="Queries of each kind.")
@click.option(
    "--other",
    "others",
    multiple=True,
    type=click.Choice(OTHERS),
    default=OTHERS,
    help="Other method to measure; repeat for several.",
)
@click.option("--alone", is_flag=True, help="Measure no other methods.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
def main(**options: Any) -> None:
    """Measure all methods on all sets."""
    methods = Methods(options["features"], () if options["alone"] else options["others"])
    sizes = Sizes(options["rows"], options["queries"])
    compile_all(methods.features)
    entries: list[Entry] = []
    for name in options["sets"]:
        labelled = SETS[name](sizes)
        if not all(0 < truth.sum() < truth.size for truth in labelled.truths.values()):
            click.echo(f"{name}: too few rows have anything novel and known; ask for more --rows", err=True)
            continue
        found = [{**sizes._asdict(), **entry} for entry in measure_set(labelled, methods)]
        add_entries(options["output"], name_of_corpora(), found, KEY)
        entries += found
    show(entries)


def name_of_corpora() -> str:
    """Return the name under which results keep the corpora."""
    return "made" if find_corpus() is None else "labelled_90k, urls_1m, dated_200k"


def compile_all(features: Sequence[str]) -> None:
    """Call all that is compiled once, on a few lines."""
    urls, _ = make_urls(40)
    part = Part(urls[:20], urls[20:30], urls[30:], np.arange(10))
    for name in features:
        for _ in score_by_views(part, name):
            pass


def measure_set(labelled: LabelledSet, methods: Methods) -> Iterator[Entry]:
    """Yield the measures of each method by each truth of a set."""
    strata = style_strata(labelled.queries)
    for method, (scores, seconds) in score_set(labelled, methods).items():
        for truth, labels in labelled.truths.items():
            measures = measure(labels, scores, strata)
            yield {"set": truth, **method._asdict(), **measures, "core_seconds": seconds}


def score_set(labelled: LabelledSet, methods: Methods) -> dict[Method, Found]:
    """Return the scores of all queries by each method."""
    found: dict[Method, list[Found]] = defaultdict(list)
    for part in labelled.parts:
        for method, scored in score_part(part, methods):
            found[method].append(scored)
    return {
        method: Found(np.concatenate([each.scores for each in parts]), sum(each.seconds for each in parts))
        for method, parts in found.items()
    }


def score_part(part: Part, methods: Methods) -> Iterator[tuple[Method, Found]]:
    """Yield the scores of the queries of a part by each method."""
    for name in methods.features:
        yield from score_by_views(part, name)
        yield from score_by_features(part, name, methods.others)
    for name in filter(OF_LINES.__contains__, methods.others):
        yield Method(LINES, name, 0), Found(*timed(OF_LINES[name], part))


def score_by_views(part: Part, features: str) -> Iterator[tuple[Method, Found]]:
    """Yield the scores of each view, with each number of neighbors."""
    rows, spent = timed(make_rows, part, FEATURES[features])
    for k in NEIGHBORS:
        neighbors, searched = timed(find_neighbors, rows, k)
        for name, view in VIEWS.items():
            scores, seconds = timed(view, rows, neighbors)
            # Of one neighbor the mean is the nearest, and so is the kth.
            if k > 1 or name != "kth":
                score = "nearest" if k == 1 and name == "mean" else name
                yield Method(features, score, k), Found(scores, spent + searched + seconds)


def score_by_features(part: Part, features: str, others: Sequence[str]) -> Iterator[tuple[Method, Found]]:
    """Yield the scores of each other method that is given features."""
    if not {*OF_ROWS, *OF_VECTORS} & {*others}:
        return
    rows, spent = timed(make_rows, part, FEATURES[features])
    for name in filter(OF_ROWS.__contains__, others):
        scores, seconds = timed(OF_ROWS[name], rows)
        yield Method(features, name, 0), Found(scores, spent + seconds)
    if not {*OF_VECTORS} & {*others}:
        return
    (known, queries), embedded = timed(embed, rows)
    for name in filter(OF_VECTORS.__contains__, others):
        scores, seconds = timed(OF_VECTORS[name], known, queries)
        yield Method(features, name, 0), Found(scores, spent + embedded + seconds)


def timed(function: Callable[..., T], *arguments: Any) -> tuple[T, float]:
    """Return the result of a call, and the CPU seconds of this process that it took."""
    began = time.process_time()
    return function(*arguments), time.process_time() - began


def name_of(entry: Entry) -> str:
    """Return the name of a row of the table.

    >>> name_of({"features": "url", "score": "mean", "k": 3})
    'url: mean of 3'
    """
    score = entry["score"]
    if entry["k"] > 1 or score in {"uncovered", "lof"}:
        score += f" of {entry['k']}"
    return str(score) if entry["features"] == LINES else f"{entry['features']}: {score}"


def show(entries: Sequence[Entry]) -> None:
    """Print all measures, set by set."""
    of_set: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        of_set[entry["set"]].append(entry)
    for truth, some in of_set.items():
        click.echo(f"\n{truth}: {some[0]['novel']:,} novel and {some[0]['known']:,} known queries")
        click.echo("".join([" " * 42, *(f"{title:>13}" for title in COLUMNS.values())]))
        for entry in some:
            figures = (f"{entry[name]:13.3f}" for name in COLUMNS)
            click.echo("".join([f"{name_of(entry):42}", *figures]))


if __name__ == "__main__":
    main()
