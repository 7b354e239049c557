"""The URLs that labelled sets are made of, and draws from them that are the same each time."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import click
import numpy as np
from corpora import FILE, FOLDER, open_corpus
from numpy.typing import NDArray
from quality_urls import pattern_template, registered_domain, split, tree_templates

from novelty_dask.datasets import make_urls

POOL = 450_000
"""URLs of the million that sets are made of."""

Rows = list[int]
_T = TypeVar("_T", int, str)


class Sizes(NamedTuple):
    """Most lines of a reference (of the dated URLs, most lines in all), and most queries of each kind."""

    rows: int
    queries: int


class Pool:
    """URLs that sets are made of, and what they have in common.

    Parameters
    ----------
    urls : list of str
    """

    def __init__(self, urls: list[str]) -> None:
        self.urls = urls
        self.hosts = [split(url).host for url in urls]

    @cached_property
    def domains(self) -> list[str]:
        """The registered domain of each URL."""
        return list(map(registered_domain, self.hosts))

    @cached_property
    def patterns(self) -> list[str]:
        """The template of each URL by patterns."""
        return list(map(pattern_template, self.urls))

    @cached_property
    def trees(self) -> list[str]:
        """The template of each URL by the prefix tree of its host."""
        return tree_templates(self.urls)


def read_lines(name: str, most: int | None = None) -> list[str]:
    """Return the first lines of a real corpus; none if no folder of corpora is named."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        click.echo(f"{FOLDER} is not set: made URLs replace {name}, and figures differ", err=True)
        return []
    with open_corpus(Path(folder, name)) as lines:
        return [line.rstrip("\n") for line in islice(lines, most)]


_pools: dict[str, Pool] = {}


def read_pool(sizes: Sizes) -> Pool:
    """Return the first of the million URLs, or made ones; those of the last call if they are the same."""
    key = os.environ.get(FOLDER) or f"{sizes.rows} made"
    if key not in _pools:
        _pools.clear()
        _pools[key] = Pool(read_lines(FILE, POOL) or sorted(set(make_urls(2 * sizes.rows)[0])))
    return _pools[key]


def group(values: Sequence[str]) -> dict[str, Rows]:
    """Return the rows that have each value."""
    rows: dict[str, Rows] = defaultdict(list)
    for row, value in enumerate(values):
        rows[value].append(row)
    return rows


def draw(rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    """Draw some rows, none twice."""
    return [int(row) for row in rng.choice(rows, count, replace=False)]


def shuffled(values: Iterable[_T], rng: np.random.Generator) -> list[_T]:
    """Return values in random order; the same whatever order they come in."""
    ordered = sorted(values)
    return [ordered[place] for place in rng.permutation(len(ordered))]


def is_first(values: Sequence[str]) -> NDArray[np.bool_]:
    """Return whether each value is the first of its kind."""
    is_first = np.zeros(len(values), np.bool_)
    is_first[np.unique(np.array(values, np.dtypes.StringDType()), return_index=True)[1]] = True
    return is_first
