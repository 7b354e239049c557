"""The tables of docs/performance/, made from the results of the other benchmarks.

    python benchmarks/tables.py

Each table stands between two comments, ``<!-- table NAME -->`` and ``<!-- end -->``, and is made from the
JSON files in benchmarks/results/.  A test holds that the pages say what they say.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from kernel import OURS, PEERS, growth
from quality import COLUMNS, name_of
from results import Entry

from novelty_dask.kernels.choices import VIEWS

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "performance"
RESULTS = ROOT / "benchmarks" / "results"
NAMES = (OURS, *PEERS)
TIMES = "\N{MULTIPLICATION SIGN}"
DEFAULT_FEATURES, DEFAULT_K = "char:3-3", 10
FEATURES = {"char": "characters", "word": "words"}
COUNTS = {
    "multiply_adds": "steps of adding",
    "slots": "sums compared",
    "finished": "candidates finished",
    "adjacent": "neighbors in sort order",
    "lists": "lists looked up",
    "maxima": "entries added, largest of 16 rows",
    "dense": "steps of 16 groups added, in dense lists",
    "vectors": "entries added, 16 rows",
}
"""What counts are called; others go by their names."""
ACCESSES = {
    "read_L1": "read from L1, one after the other",
    "read_L2": "read from L2",
    "read_L3": "read from L3",
    "read_memory": "read from memory",
    "find_list": "look up a list",
    "add_to_group_8": "add an entry to the sum of a group, lists of 8",
    "add_to_group_64": "the same, lists of 64",
    "add_to_group_512": "the same, lists of 512",
    "add_to_rows_8": "add an entry to the sums of 16 rows, lists of 8",
    "add_to_rows_64": "the same, lists of 64",
    "add_to_rows_512": "the same, lists of 512",
    "add_dense": "add 16 groups of a dense list to their sums",
    "compare_sum": "compare a sum with its bound",
    "multiply_gathered": "multiply a non-zero of a candidate",
}
SIZES_IN_FULL = (994_345,)
FEATURE_NAMES, VIEW_NAMES = ("url", "ngrams", "lines"), ("nearest", "mean", "kth", "uncovered", "lof")
TRUTHS = (
    "phishing",
    "domain",
    "template, patterns",
    "template, tree",
    "random slot",
    "first of domain",
    "first of template",
)

VECTOR_SETS = {"clusters": "clusters", "gaussian": "Gaussian", "urls": "URLs, SVD"}
"""Sets of vectors by their names in results."""

Table = Callable[[Path], str]


def entries_of(results: Path, benchmark: str) -> list[Entry]:
    """Return the entries that a benchmark measured."""
    found: list[Entry] = json.loads((results / f"{benchmark}.json").read_text(encoding="utf-8"))["entries"]
    return found


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown.

    >>> print(markdown(["rows", "k"], [["10", "1"]]))
    | rows | k |
    |---|---|
    | 10 | 1 |
    """
    lines = [header, *rows]
    drawn = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([drawn[0], f"|{'---|' * len(header)}", *drawn[1:]])


def seconds(value: float) -> str:
    """Return seconds with about three digits.

    >>> [seconds(value) for value in (0.1234, 5.678, 34.56, 3456.7)]
    ['0.12', '5.68', '34.6', '3,457']
    """
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def share(value: float) -> str:
    """Return a share as a percentage, with a decimal below ten.

    >>> share(0.0512), share(0.512)
    ('5.1 %', '51 %')
    """
    return f"{value * 100:.1f} %" if value < 0.1 else f"{value * 100:.0f} %"


def by_case(entries: list[Entry]) -> dict[tuple[str, int, int], dict[str, Entry]]:
    """Return the entries of the kernel's benchmark by features, k and rows, and by library."""
    cases: dict[tuple[str, int, int], dict[str, Entry]] = {}
    for entry in entries:
        cases.setdefault((entry["features"], entry["k"], entry["rows"]), {})[entry["name"]] = entry
    return cases


def search_table(results: Path, features: str | None = DEFAULT_FEATURES) -> str:
    """Return the core-seconds of all libraries, and their ratios; of the other features if None."""
    rows = []
    for (each, k, n_rows), found in sorted(by_case(entries_of(results, "kernel")).items()):
        if (each == features) if features else (each != DEFAULT_FEATURES):
            ours = found[OURS]["core_seconds"]
            named = [] if features else [describe(each)]
            others = (cell for name in PEERS for cell in peer_cells(found.get(name), ours))
            rows.append([*named, f"{n_rows:,}", str(k), seconds(ours), *others])
    header = ["rows", "k", OURS, *(title for name in PEERS for title in (name, "ratio"))]
    return markdown(header if features else ["features", *header], rows)


def peer_cells(peer: Entry | None, ours: float) -> list[str]:
    """Return the core-seconds of another library and their ratio to ours; empty if it was not measured."""
    if peer is None:
        return ["", ""]
    return [seconds(peer["core_seconds"]), f"{peer['core_seconds'] / ours:.1f}{TIMES}"]


def describe(features: str) -> str:
    """Return features in words.

    >>> describe("char:3-5"), describe("word:1-2")
    ('characters, 3 to 5', 'words, 1 to 2')
    """
    analyzer, _, lengths = features.partition(":")
    return f"{FEATURES[analyzer]}, {lengths.replace('-', ' to ')}"


def memory_table(results: Path) -> str:
    """Return the peak memory of all libraries."""
    cases = by_case(entries_of(results, "kernel")).items()
    rows = [
        [
            f"{n_rows:,}",
            *(f"{found[name]['peak_bytes'] / 1e9:.2f}" if name in found else "" for name in NAMES),
        ]
        for (features, k, n_rows), found in sorted(cases)
        if (features, k) == (DEFAULT_FEATURES, DEFAULT_K)
    ]
    return markdown(["rows", *(f"{name}: GB" for name in NAMES)], rows)


def counts_table(results: Path) -> str:
    """Return the counts of the search for each row."""
    ours = [
        entry
        for entry in entries_of(results, "kernel")
        if (entry["name"], entry["features"], entry["k"]) == (OURS, DEFAULT_FEATURES, DEFAULT_K)
    ]
    names = list(ours[0]["counts"])
    rows = [
        [
            f"{entry['rows']:,}",
            *(f"{entry['counts'][name] / entry['rows']:,.0f}" for name in names),
            f"{entry['core_seconds'] / entry['rows'] * 1e6:.0f}",
        ]
        for entry in ours
    ]
    return markdown(["rows", *(COUNTS.get(name, name.replace("_", " ")) for name in names), "µs"], rows)


def growth_table(results: Path) -> str:
    """Return the power of the rows with which the cost grows."""
    found: dict[tuple[int, int], dict[str, float]] = {}
    for smaller, larger, exponent in growth(entries_of(results, "kernel")):
        if (smaller["features"], smaller["k"]) == (DEFAULT_FEATURES, DEFAULT_K):
            found.setdefault((smaller["rows"], larger["rows"]), {})[smaller["name"]] = exponent
    rows = [
        [f"{first:,} to {last:,}", *(f"{powers[name]:.2f}" if name in powers else "" for name in NAMES)]
        for (first, last), powers in sorted(found.items())
    ]
    return markdown(["rows", *NAMES], rows)


def hard_rows_table(results: Path) -> str:
    """Return percentiles of the cost, shares of the costliest rows, and the sums of model and clock."""
    percentiles, shares = ("50", "90", "99", "99.9"), ("0.01", "0.1", "0.25")
    header = ["rows", "mean µs", *(f"p{name}" for name in percentiles)]
    header += [f"top {float(each) * 100:.0f} %" for each in shares]
    rows = [
        [
            f"{entry['rows']:,}",
            f"{entry['mean_us']:.0f}",
            *(f"{entry['percentiles_us'][name]:.0f}" for name in percentiles),
            *(share(entry["share_of_costliest"][name]) for name in shares),
            seconds(entry["mean_us"] * entry["rows"] / 1e6),
            seconds(entry["core_seconds"]),
        ]
        for entry in entries_of(results, "hard_rows")
    ]
    return markdown([*header, "model: core-s", "clock: core-s"], rows)


def by_similarity_table(results: Path) -> str:
    """Return the cost by k-th similarity, of the largest corpus."""
    entry = entries_of(results, "hard_rows")[-1]
    rows = [
        [
            f"{part['from']:.1f} to {part['to']:.1f}",
            share(part["share_of_rows"]),
            share(part["share_of_time"]),
            f"{part['mean_us']:.0f}",
            f"{part['p99_us']:.0f}",
        ]
        for part in entry["by_kth_similarity"]
    ]
    header = [f"{entry['k']}th similarity", "of the rows", "of the time", "mean µs", "p99 µs"]
    return markdown(header, rows)


def limit_table(results: Path) -> str:
    """Return the cost as measured, with known thresholds, and the floors."""
    entries = entries_of(results, "limit")
    lines = {
        "as it is": "as_it_is",
        "final thresholds known from the start": "thresholds_known",
        "floor of the operations": "floor_of_operations",
        "floor of memory traffic": "floor_of_traffic",
    }
    rows = [
        [label, *(cell for entry in entries for cell in limit_cells(entry, name))]
        for label, name in lines.items()
    ]
    return markdown(["", *(cell for e in entries for cell in (f"{e['rows']:,} rows: core-s", "share"))], rows)


def limit_cells(entry: Entry, name: str) -> list[str]:
    """Return core-seconds, and their share of the measured cost."""
    value = entry["core_seconds"][name]
    return [seconds(value), share(value / entry["core_seconds"]["as_it_is"])]


def limit_counts_table(results: Path) -> str:
    """Return the counts of a row with known thresholds, and their floors, of the largest corpus."""
    rows = [
        [
            COUNTS.get(name, name),
            f"{part['count']:,.0f}",
            f"{part['bytes'] / 1000:,.1f}",
            f"{part['traffic_us']:.1f}",
            f"{part['operations_us']:.1f}",
        ]
        for name, part in entries_of(results, "limit")[-1]["floor_per_row"].items()
        if part["count"]
    ]
    return markdown(["of a row", "count", "kB", "reading: µs", "operations: µs"], rows)


def rates_table(results: Path) -> str:
    """Return the rates of the machine."""
    rates = entries_of(results, "limit")[-1]["rates"]
    rows = [
        [access, f"{rates[name] / 1e9:.1f} {'GB' if name.startswith('read') else 'billion'}"]
        for name, access in ACCESSES.items()
    ]
    return markdown(["access", "in a second"], rows)


def whole_run_table(results: Path) -> str:
    """Return, stage by stage, seconds, core-seconds, the useful part, and peaks."""
    entries = [entry for entry in entries_of(results, "whole_run") if entry["rows"] in SIZES_IN_FULL]
    entries = entries or entries_of(results, "whole_run")
    header = ["stage"]
    for entry in entries:
        header += [f"{entry['features']}, {entry['rows']:,} lines: s", "core-s", "idle", "peak MB"]
    rows = [
        [name, *(cell for entry in entries for cell in stage_cells(entry["stages"][name]))]
        for name in entries[0]["stages"]
    ]
    rows.append(["start and end", *(c for e in entries for c in (*outside_cells(e["outside_stages"]), ""))])
    rows.append(["**all**", *(cell for entry in entries for cell in total_cells(entry))])
    return markdown(header, rows)


def stage_cells(stage: Entry) -> list[str]:
    """Return the cells of one stage of one size."""
    return [*outside_cells(stage), f"{stage['peak_bytes'] / 1e6:.0f}"]


def outside_cells(stage: Entry) -> list[str]:
    """Return elapsed, core- and idle seconds."""
    return [f"{stage[name]:.1f}" for name in ("seconds", "core_seconds", "idle_seconds")]


def total_cells(entry: Entry) -> list[str]:
    """Return the cells of a whole run."""
    idle = entry["workers"] * entry["seconds"] - entry["core_seconds"]
    return [
        f"{entry['seconds']:.0f}",
        f"{entry['core_seconds']:.0f}",
        f"{idle:.0f}",
        f"{entry['largest_peak_bytes'] / 1e6:.0f}",
    ]


def ratio_table(results: Path) -> str:
    """Return the time of a run over that of search and hashing alone."""
    rows = [
        [
            f"{entry['rows']:,}",
            entry["features"],
            f"{entry['seconds']:.1f}",
            f"{entry['useful_seconds']:.1f}",
            f"{entry['core_seconds'] - entry['useful_seconds']:.1f}",
            f"{entry['waited_seconds']:.1f}",
            f"{entry['ratio']:.2f}",
            f"{entry['undisturbed_ratio']:.2f}",
        ]
        for entry in entries_of(results, "whole_run")
    ]
    header = [
        "lines",
        "features",
        "s",
        "search and hashing: core-s",
        "all else: core-s",
        "a worker waited: s",
    ]
    return markdown([*header, "ratio", "undisturbed"], rows)


def quality_table(results: Path, measure: str, rows: int = 10_000) -> str:
    """Return one measure of all methods on all sets, with references of some rows."""
    found: dict[str, dict[str, str]] = {}
    entries = [entry for entry in entries_of(results, "quality") if entry["rows"] == rows]
    for entry in sorted(entries, key=place_of_method):
        found.setdefault(name_of(entry), {})[entry["set"]] = f"{entry[measure]:.3f}"
    lines = [[name, *(of_set.get(truth, "") for truth in TRUTHS)] for name, of_set in found.items()]
    return markdown([COLUMNS[measure], *TRUTHS], lines)


def place_of_method(entry: Entry) -> tuple[int, int, int, int]:
    """Return the place of a method in tables: views, then others; by features."""
    view = VIEW_NAMES.index(entry["score"]) if entry["score"] in VIEW_NAMES else len(VIEW_NAMES)
    return (entry["k"] == 0, FEATURE_NAMES.index(entry["features"]), view, entry["k"])


def quality_sizes_table(results: Path) -> str:
    """Return the sizes of the sets."""
    found = {(entry["rows"], entry["set"]): entry for entry in entries_of(results, "quality")}
    sizes = sorted({rows for rows, _ in found})
    names = ("rows", "known", "novel")
    rows = [
        [
            truth,
            *(f"{found[size, truth][name]:,}" for name in names),
            f"{found[size, truth]['precision_ceiling']:.2f}",
        ]
        for size in sizes
        for truth in TRUTHS
    ]
    return markdown(["set", "rows at most", "known queries", "novel queries", "P@100 at best"], rows)


def stream_table(results: Path) -> str:
    """Return how long lines wait for their answers."""
    rows = [
        [
            f"{entry['rows']:,}",
            f"{entry['ready_seconds']:.0f} s",
            f"{entry['median'] * 1e3:.0f} ms",
            f"{entry['longest'] * 1e3:.0f} ms",
            f"{entry['core_seconds'] * 1e3:.0f} ms",
            f"{entry['resident_bytes'] / 1e6:,.0f} MB",
        ]
        for entry in entries_of(results, "stream")
    ]
    titles = ["rows", "ready after", "a line waits, median", "at most", "CPU of a line", "resident memory"]
    return markdown(titles, rows)


def columns_table(results: Path, measure: str) -> str:
    """Return one measure of the columns of runs, by set and rows; the best of a set is bold."""
    of_set: dict[tuple[int, str], dict[str, float]] = {}
    for entry in entries_of(results, "quality_by_commands"):
        of_set.setdefault((entry["rows"], entry["set"]), {})[entry["column"]] = entry[measure]
    rows = []
    for size, truth in sorted(of_set, key=lambda each: (each[0], TRUTHS.index(each[1]))):
        values = of_set[size, truth]
        best = max(values.values())
        shown = (
            f"**{values[name]:.3f}**" if values[name] == best else f"{values[name]:.3f}" for name in VIEWS
        )
        rows.append([truth, f"{size:,}", *shown])
    return markdown([COLUMNS[measure], "rows at most", *VIEWS], rows)


def noise_table(results: Path) -> str:
    """Return how many rows are noise at the top of a list, and around rank 1,000."""
    found: dict[tuple[int, str, str], dict[str, str]] = {}
    for entry in entries_of(results, "top_of_list"):
        key = (entry["rows"], entry["features"], entry["by"])
        found.setdefault(key, {})[entry["place"]] = f"{entry['noise']} of {entry['shown']}"
    places = list(next(iter(found.values())))
    rows = [
        [f"{n_rows:,}", features, by.replace("_", " "), *(of_place[place] for place in places)]
        for (n_rows, features, by), of_place in found.items()
    ]
    return markdown(["lines", "features", "column", *places], rows)


def list_table(results: Path, features: str, place: str) -> str:
    """Return rows at a place of the largest list by `novelty`, noise marked."""
    wanted = (features, "novelty", place)
    entries = [
        entry
        for entry in entries_of(results, "top_of_list")
        if (entry["features"], entry["by"], entry["place"]) == wanted
    ]
    shown = max(entries, key=lambda entry: int(entry["rows"]))["urls"]
    rows = [[f"{value:.3f}", "noise" if noise else "", code(url)] for value, noise, url in shown]
    return markdown(["novelty", "", "URL, shortened"], rows)


def code(text: str) -> str:
    r"""Return a text as code in a cell of a table.

    >>> print(code("a|b`c"))
    `a\|b'c`
    """
    return "`{}`".format(text.translate({ord("`"): "'", ord("|"): "\\|"}))


def machine_table(results: Path) -> str:
    """Return the machine and the versions of the kernel's results."""
    content: dict[str, Any] = json.loads((results / "kernel.json").read_text(encoding="utf-8"))
    machine = content["machine"]
    rows = {"processor": machine["processor"], "cores": str(machine["cores"])}
    rows |= {f"{level} cache": cache_size(size) for level, size in machine["caches"].items()}
    rows |= {name: version for name, version in content["versions"].items() if name != "novelty-dask"}
    return markdown(["part", "size or version"], rows.items())


def cache_size(size: str) -> str:
    """Return a size, as the system names it, in words.

    >>> cache_size("48K"), cache_size("2048K")
    ('48 KB', '2 MB')
    """
    kilobytes = int(size.removesuffix("K"))
    return f"{kilobytes} KB" if kilobytes < 1024 else f"{kilobytes // 1024} MB"


def against_table(results: Path) -> str:
    """Return what lists took beside the reference that they were compared with."""
    rows = [
        [
            f"{entry['known']:,}",
            f"{entry['new']:,}",
            f"{entry['known_core_seconds']:.1f}",
            f"{entry['core_seconds']:.1f}",
            f"{100 * entry['share']:.1f} %",
            f"{entry['whole_core_seconds']:.1f}",
            f"{100 * entry['counts']['multiply_adds'] / entry['known_counts']['multiply_adds']:.1f} %",
        ]
        for entry in entries_of(results, "against")
    ]
    header = ["known lines", "new lines", "stages of the reference: core-s", "of the list", "share"]
    return markdown([*header, "whole command", "steps of adding, share"], rows)


def against_stages_table(results: Path) -> str:
    """Return the core-seconds of the stages of each list."""
    entries = entries_of(results, "against")
    header = ["stage", *(f"{entry['new']:,} against {entry['known']:,}: core-s" for entry in entries)]
    rows = [[name, *(f"{entry['stages'][name]:.2f}" for entry in entries)] for name in entries[0]["stages"]]
    return markdown(header, rows)


def pairs_table(results: Path) -> str:
    """Return what all pairs took in each library, and how many of them it found."""
    entries = entries_of(results, "pairs")
    rows = [
        [
            f"{entry['rows']:,}",
            entry["name"],
            f"{entry['core_seconds']:.2f}",
            f"{entry['peak_bytes'] / 1e6:.0f}",
            f"{entry['pairs']:,}",
            "its own weights" if entry["recall"] is None else f"{100 * entry['recall']:.2f} %",
        ]
        for entry in sorted(entries, key=lambda entry: (entry["rows"], entry["core_seconds"]))
    ]
    return markdown(["rows", "library", "core-s", "peak MB", "pairs", "of all pairs"], rows)


def pair_counts_table(results: Path) -> str:
    """Return the steps of adding of all pairs beside those of the nearest neighbors."""
    rows = [
        [
            f"{entry['rows']:,}",
            f"{entry['counts']['multiply_adds']:,}",
            f"{entry['nearest_counts']['multiply_adds']:,}",
            f"{100 * entry['counts']['multiply_adds'] / entry['nearest_counts']['multiply_adds']:.1f} %",
        ]
        for entry in entries_of(results, "pairs")
        if "counts" in entry
    ]
    return markdown(["rows", "all pairs: steps of adding", "10 nearest", "share"], rows)


def vectors_table(results: Path) -> str:
    """Return what the neighbors of vectors took in each library, and how many of them it found."""
    order = {data: number for number, data in enumerate(VECTOR_SETS)}
    rows = [
        [
            VECTOR_SETS[entry["data"]],
            f"{entry['rows']:,}",
            entry["name"],
            f"{entry['parameter']} {entry['value']:g}" if entry["parameter"] else "",
            seconds(entry["build_seconds"]) if entry["build_seconds"] else "",
            seconds(entry["search_seconds"]),
            f"{entry['peak_bytes'] / 1e6:,.0f}",
            f"{100 * entry['recall']:.2f} %",
            f"{100 * entry['other_rows']:.2f} %",
        ]
        for entry in sorted(
            entries_of(results, "neighbors"),
            key=lambda entry: (
                *(order[entry["data"]], entry["rows"], bool(entry["parameter"]), entry["name"] != OURS),
                *(entry["name"], entry["value"] or 0),
            ),
        )
    ]
    header = ["vectors", "rows", "library", "parameter", "build core-s", "search core-s", "MB"]
    return markdown([*header, "recall", "other rows"], rows)


def small_cosine_table(results: Path) -> str:
    """Return what the cosine similarities of small arrays took in each library."""
    entries = entries_of(results, "cosine")
    names = sorted({entry["name"] for entry in entries}, key=lambda name: (name != OURS, name))
    took = {(entry["rows"], entry["columns"], entry["name"]): entry["microseconds"] for entry in entries}
    sizes = sorted({key[:2] for key in took})
    rows = [
        [f"{n:,} {TIMES} {columns:,}", *(f"{took[n, columns, name]:,.0f}" for name in names)]
        for n, columns in sizes
    ]
    return markdown(["rows and columns", *(f"{name}, \N{MICRO SIGN}s" for name in names)], rows)


def simulation_check_table(results: Path) -> str:
    """Return the comparison of measured runs beside what the model says."""
    rows = [
        [
            entry["features"],
            f"{entry['rows']:,}",
            str(entry["tiles"]),
            seconds(entry["measured_seconds"]),
            seconds(entry["seconds"]),
            f"{entry['ratio']:.2f}",
        ]
        for entry in entries_of(results, "simulate")
        if entry["kind"] == "check"
    ]
    return markdown(["features", "rows", "tiles", "measured s", "model s", "ratio"], rows)


def simulation_table(results: Path) -> str:
    """Return what runs would take on many workers."""
    rows = [
        [
            f"{entry['rows']:,}",
            f"{entry['workers']:,}",
            f"{entry['tiles']:,}",
            seconds(entry["hours"]),
            seconds(entry["core_hours"]),
            seconds(entry["read_bytes"] / 1e12),
            seconds(entry["requests"] / 1e6),
            share(entry["scheduler_busy"]),
            entry["bottleneck"],
        ]
        for entry in entries_of(results, "simulate")
        if entry["kind"] == "projection"
    ]
    header = ["rows", "workers", "tiles", "hours", "core-hours", "TB read", "million requests"]
    return markdown([*header, "scheduler busy", "most time beside computing"], rows)


TABLES: dict[str, Table] = {
    "simulation": simulation_table,
    "simulation-check": simulation_check_table,
    "against": against_table,
    "against-stages": against_stages_table,
    "machine": machine_table,
    "pairs": pairs_table,
    "pair-counts": pair_counts_table,
    "vectors": vectors_table,
    "small-cosine": small_cosine_table,
    "search": search_table,
    "features": lambda results: search_table(results, None),
    "memory": memory_table,
    "counts": counts_table,
    "growth": growth_table,
    "hard-rows": hard_rows_table,
    "by-similarity": by_similarity_table,
    "limit": limit_table,
    "limit-counts": limit_counts_table,
    "rates": rates_table,
    "whole-run": whole_run_table,
    "ratio": ratio_table,
    "noise": noise_table,
    "top-url": partial(list_table, features="url", place="first"),
    "around-url": partial(list_table, features="url", place="around 1,000"),
    "top-ngrams": partial(list_table, features="ngrams", place="first"),
    "around-ngrams": partial(list_table, features="ngrams", place="around 1,000"),
    "quality-sizes": quality_sizes_table,
    "stream": stream_table,
    "quality-columns": partial(columns_table, measure="average_precision"),
    "quality-columns-style": partial(columns_table, measure="auc_within_strata"),
    "quality-auc": partial(quality_table, measure="auc"),
    "quality-large": partial(quality_table, measure="auc", rows=200_000),
    "quality-large-ap": partial(quality_table, measure="average_precision", rows=200_000),
    "quality-style": partial(quality_table, measure="auc_within_strata"),
    "quality-ap": partial(quality_table, measure="average_precision"),
    "quality-precision": partial(quality_table, measure="precision_at_100"),
    "quality-seconds": partial(quality_table, measure="core_seconds"),
}


def fill(text: str, results: Path = RESULTS) -> str:
    """Return a page with its tables made anew."""

    def made(found: re.Match[str]) -> str:
        return f"<!-- table {found[1]} -->\n\n{TABLES[found[1]](results)}\n\n<!-- end -->"

    return re.sub(r"<!-- table ([\w-]+) -->\n.*?<!-- end -->", made, text, flags=re.DOTALL)


@click.command(help=__doc__)
@click.option("--results", default=RESULTS, type=click.Path(path_type=Path), help="Folder of the JSON files.")
@click.option("--pages", default=PAGES, type=click.Path(path_type=Path), help="Folder of the pages.")
def main(results: Path, pages: Path) -> None:
    """Write the tables into the pages."""
    for page in sorted(pages.glob("*.md")):
        page.write_text(fill(page.read_text(encoding="utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    main()
