"""Sites and templates of a run, with some of their rows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from novelty_dask.results.groups import GROUPS, digests, sites
from novelty_dask.results.summaries import summarize

if TYPE_CHECKING:
    from novelty_dask.report.texts import Texts
    from novelty_dask.results.results import Results

MOST_GROUPS = 200
MOST_EXAMPLES = 3
CANDIDATES = 5_000
"""Most novel rows among which those of each group are looked for."""
Example = tuple[float, str]
"""Novelty of a row, and its URL."""


def gather_groups(
    results: Results, candidates: list[Example], texts: Texts
) -> dict[str, list[dict[str, Any]]]:
    """Return the sites with the most novel rows, and the templates with the most rows."""
    if not results.n_rows:
        return {"site": [], "template": []}
    return {name: _gather(results, name, candidates, texts) for name in ("site", "template")}


def _gather(results: Results, group: str, candidates: list[Example], texts: Texts) -> list[dict[str, Any]]:
    """Return the first groups of one kind."""
    table = summarize(results, group, MOST_GROUPS)
    # Templates by a row, as a template that people can read may be that of other URLs too.
    keys = _keys("site", table["site"]) if group == "site" else _keys(group, table["url"], is_named=False)
    examples: dict[int, list[Example]] = {}
    urls = pa.array([url for _, url in candidates], pa.string())
    for key, example in zip(_keys(group, urls, is_named=False), candidates, strict=True):
        examples.setdefault(key, []).append(example)
    shown = []
    for key, row in zip(keys, table.to_pylist(), strict=True):
        found = examples.get(key, [])[:MOST_EXAMPLES]
        first = [] if group == "site" or found else [(None, row["url"])]
        numbers = {
            name: row[name] for name in ("rows", "count", "mean_novelty", "top_novelty", "share_above")
        }
        urls_shown = [(novelty, texts.show(url)) for novelty, url in [*found, *first]]
        name = texts.show(row[group]) if row[group] else ""
        shown.append({**numbers, "name": name, "templates": row.get("templates"), "urls": urls_shown})
    return shown


def _keys(group: str, names: pa.Array | pa.ChunkedArray, *, is_named: bool = True) -> list[int]:
    """Return the digests of the groups of URLs, or of groups by their names."""
    array = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
    return list(map(int, digests(array if is_named else GROUPS[group](array))))


def find_candidates(results: Results) -> list[Example]:
    """Return novelty and URL of the most novel rows, in their order, ties by row."""
    best = results.best(CANDIDATES, "novelty")
    urls = results.urls(np.array([row for _, row in best], np.int64))
    return [(-value, url) for (value, _), url in zip(best, urls.tolist(), strict=True)]


def main_site(urls: list[str]) -> tuple[str, int]:
    """Return the site that most of some URLs have, and how many of them; ties by their order."""
    return Counter(sites(pa.array(urls, pa.string())).to_pylist()).most_common(1)[0]
