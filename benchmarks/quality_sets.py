"""Labelled sets for measuring how well a score finds what is new, made of real URLs or of made ones.

Each set has queries to compare with a reference.  All draws are from sorted lists, with fixed seeds.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from quality_pool import Pool, Rows, Sizes, draw, group, is_first, read_lines, read_pool, shuffled
from quality_urls import RANDOM_SLOT, strip_style

from novelty_dask.datasets import make_urls
from novelty_dask.kernels.text.urls import sort_key

LABELLED, DATED = "labelled_90k.csv.xz", "dated_200k.tsv.xz"
FEWEST, MOST = 3, 3_000
"""URLs of a domain that queries are drawn from."""
HOST_URLS, HOST_TEMPLATES, TEMPLATE_URLS = 40, 3, 4
"""Least URLs and templates of a host, and least URLs of a template, where templates are held out."""
NEAR_SHARE = 0.75
"""Largest share of a thinned reference that has hosts of queries."""
BATCHES, FIRST_BATCH = 10, 2
"""Parts of the dated URLs, and the first one with queries."""


class Part(NamedTuple):
    """Queries, and what was known before them.

    Parameters
    ----------
    reference : list of str
        Known lines, in sort order; weights of features come from them.
    queries : list of str
    recent : list of str
        Lines that came after the reference, in order of time.
    limits : ndarray of int64
        For each query, the number of recent lines that came before it.
    """

    reference: list[str]
    queries: list[str]
    recent: list[str]
    limits: NDArray[np.int64]


class LabelledSet(NamedTuple):
    """Queries in parts, and by name one or more truths, each True for the queries that are novel."""

    parts: list[Part]
    truths: dict[str, NDArray[np.bool_]]

    @property
    def queries(self) -> list[str]:
        """All queries."""
        return [query for part in self.parts for query in part.queries]


def make_labelled(sizes: Sizes) -> LabelledSet:
    """Return phishing against benign URLs, without scheme and ``www.``; the reference is benign."""
    table = list(csv.DictReader(read_lines(LABELLED)))
    benign = {strip_style(row["url"]) for row in table if row["label"] == "benign"}
    phishing = {strip_style(row["url"]) for row in table if row["label"] != "benign"}
    if not table:
        urls, planted = make_urls(2 * sizes.rows, n_planted=sizes.rows // 4)
        phishing = {urls[row] for row in planted}
        benign = set(urls)
    rng = np.random.default_rng(0)
    known, novel = shuffled(benign - phishing, rng), shuffled(phishing, rng)
    n_known = min(sizes.queries, len(known) // 3)
    queries = (known[:n_known], novel[: sizes.queries])
    return _make_set("phishing", known[n_known : n_known + sizes.rows], queries)


def make_domains(sizes: Sizes) -> LabelledSet:
    """Return URLs of domains that the reference lacks, against others of domains that it has."""
    pool = read_pool(sizes)
    known, held = _divide_domains(pool)
    rng = np.random.default_rng(11)
    queries = (_draw_pages(pool, known, rng), _draw_pages(pool, held, rng))
    reference = [row for row, domain in enumerate(pool.domains) if domain in known]
    return _hold_out("domain", pool, pool.domains, (reference, *queries), sizes)


def make_patterns(sizes: Sizes) -> LabelledSet:
    """Return URLs of templates, by patterns, that the reference lacks, of hosts that it has."""
    pool = read_pool(sizes)
    return _hold_out_templates("template, patterns", pool, pool.patterns, sizes)


def make_tree(sizes: Sizes) -> LabelledSet:
    """Return URLs of templates, by the prefix tree, that the reference lacks, of hosts that it has."""
    pool = read_pool(sizes)
    return _hold_out_templates("template, tree", pool, pool.trees, sizes)


def make_slots(sizes: Sizes) -> LabelledSet:
    """Return URLs of new domains against new members of known templates with a random slot."""
    pool = read_pool(sizes)
    domains, held = _divide_domains(pool)
    rng = np.random.default_rng(13)
    novel = _draw_pages(pool, held, rng)
    known: Rows = []
    for template, rows in sorted(group(pool.patterns).items()):
        many = len(rows) >= TEMPLATE_URLS and pool.domains[rows[0]] not in held
        if many and RANDOM_SLOT.search(template):
            known += draw(rows, min(8, len(rows) // 4), rng)
    reference = [row for row, domain in enumerate(pool.domains) if domain in domains]
    return _hold_out("random slot", pool, pool.patterns, (reference, known, novel), sizes)


def make_dated(sizes: Sizes) -> LabelledSet:
    """Return dated URLs, each against all before it; novel is the first of a domain, or of a template."""
    _, pool = read_dated(sizes)
    edges = np.linspace(0, len(pool.urls), BATCHES + 1).astype(int)
    rng = np.random.default_rng(5)
    parts, drawn = [], []
    for start, stop in pairwise(edges[FIRST_BATCH:]):
        count = min(2 * sizes.queries // (BATCHES - FIRST_BATCH), stop - start)
        rows = np.sort(rng.choice(np.arange(start, stop), count, replace=False))
        queries = [pool.urls[row] for row in rows]
        reference = sorted(pool.urls[:start], key=sort_key)
        parts.append(Part(reference, queries, pool.urls[start:stop], rows - start))
        drawn.append(rows)
    truths = {"first of domain": pool.domains, "first of template": pool.patterns}
    chosen = np.concatenate(drawn)
    return LabelledSet(parts, {name: is_first(values)[chosen] for name, values in truths.items()})


def read_dated(sizes: Sizes) -> tuple[list[str], Pool]:
    """Return the times of dated URLs, ascending, and these; made ones if there is no real corpus."""
    lines = read_lines(DATED)[1:] or [
        f"{1_800_000_000 + number}\t{url}" for number, url in enumerate(make_urls(sizes.rows)[0])
    ]
    spread = np.linspace(0, len(lines) - 1, min(sizes.rows, len(lines))).astype(int)
    times, _, urls = zip(*(lines[row].partition("\t") for row in spread), strict=True)
    return [*times], Pool([*urls])


SETS: dict[str, Callable[[Sizes], LabelledSet]] = {
    "labelled": make_labelled,
    "domains": make_domains,
    "patterns": make_patterns,
    "tree": make_tree,
    "slots": make_slots,
    "dated": make_dated,
}


def _hold_out_templates(truth: str, pool: Pool, templates: Sequence[str], sizes: Sizes) -> LabelledSet:
    """Return a set that holds out a third of the templates of each host that has several."""
    members, n_urls = group(templates), Counter(pool.hosts)
    by_host: dict[str, list[str]] = defaultdict(list)
    for template, rows in sorted(members.items()):
        host = pool.hosts[rows[0]]
        if len(rows) >= TEMPLATE_URLS and n_urls[host] >= HOST_URLS:
            by_host[host].append(template)
    rng = np.random.default_rng(17)
    held, kept = [], []
    for _, names in sorted(by_host.items()):
        if len(names) >= HOST_TEMPLATES:
            drawn = shuffled(names, rng)
            held += drawn[: len(drawn) // 3]
            kept += drawn[len(drawn) // 3 :]
    known, novel = ([draw(members[name], 1, rng)[0] for name in names] for names in (kept, held))
    is_held = set(held)
    reference = [row for row, template in enumerate(templates) if template not in is_held]
    return _hold_out(truth, pool, templates, (reference, known, novel), sizes)


def _hold_out(
    truth: str, pool: Pool, kin: Sequence[str], rows: tuple[Rows, Rows, Rows], sizes: Sizes
) -> LabelledSet:
    """Return a set of rows of the pool: reference, known queries with kin in it, and novel ones."""
    rng = np.random.default_rng(3)
    known, novel = (shuffled(queries, rng)[: sizes.queries] for queries in rows[1:])
    reference = sorted({*rows[0]} - {*known})
    near = {pool.hosts[row] for row in (*known, *novel)}
    near_rows = [row for row in reference if pool.hosts[row] in near]
    far_rows = [row for row in reference if pool.hosts[row] not in near]
    n_near = min(len(near_rows), max(int(NEAR_SHARE * sizes.rows), sizes.rows - len(far_rows)))
    near_rows = _in_rounds(shuffled(near_rows, rng), kin, {kin[row] for row in known})[:n_near]
    reference = near_rows + shuffled(far_rows, rng)[: sizes.rows - len(near_rows)]
    have = {kin[row] for row in reference}
    known = [row for row in known if kin[row] in have]
    queries = ([pool.urls[row] for row in known], [pool.urls[row] for row in novel])
    return _make_set(truth, [pool.urls[row] for row in reference], queries)


def _in_rounds(rows: Rows, kin: Sequence[str], first: set[str]) -> Rows:
    """Return rows so that each kind has one before any has two, and some kinds are first in each round."""
    seen: Counter[str] = Counter()
    places = []
    for row in rows:
        places.append((seen[kin[row]], kin[row] not in first))
        seen[kin[row]] += 1
    return [rows[place] for place in sorted(range(len(rows)), key=places.__getitem__)]


def _make_set(truth: str, reference: Iterable[str], queries: tuple[list[str], list[str]]) -> LabelledSet:
    """Return a set of one part: known queries, then novel ones."""
    known, novel = queries
    part = Part(
        sorted(reference, key=sort_key), known + novel, [], np.zeros(len(known) + len(novel), np.int64)
    )
    return LabelledSet([part], {truth: np.arange(len(part.queries)) >= len(known)})


def _divide_domains(pool: Pool) -> tuple[set[str], set[str]]:
    """Return the domains of the reference, and those held out: half of those of some size each."""
    counts = Counter(filter(None, pool.domains))
    rng = np.random.default_rng(7)
    middle = shuffled((name for name, count in counts.items() if FEWEST <= count <= MOST), rng)
    small = shuffled((name for name, count in counts.items() if count < FEWEST), rng)
    return {*middle[::2], *small[: len(small) // 2]}, {*middle[1::2]}


def _draw_pages(pool: Pool, domains: set[str], rng: np.random.Generator) -> Rows:
    """Draw up to three URLs, and at most a third, of each domain that has three or more."""
    members = [rows for name, rows in sorted(group(pool.domains).items()) if name in domains]
    return [row for rows in members for row in draw(rows, min(3, len(rows) // 3), rng)]
