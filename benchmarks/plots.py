"""The plots of docs/performance/, drawn from the results of the other benchmarks.

    python benchmarks/plots.py

They are SVG without a background, in colors that can be read on white and on black, and the same bytes from
the same results and version of Matplotlib.
"""

from pathlib import Path
from typing import Any

import click
import matplotlib as mpl
import numpy as np
from kernel import OURS, growth
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from results import Entry
from tables import DEFAULT_FEATURES, DEFAULT_K, NAMES, RESULTS, ROOT, entries_of

IMAGES = ROOT / "docs" / "images"
INK = "#7d8590"
COLORS = dict(zip(NAMES, ("#e8590c", "#4c8dd6", "#9a7fd1"), strict=True))
SIZES = ("#e8590c", "#4c8dd6", "#9a7fd1", "#3fa37b")
PARTS = {
    "search": "#e8590c",
    "hashing": "#f2a65a",
    "other work of the stages": "#4c8dd6",
    "starting and stopping": "#9a7fd1",
    "idle": "#8b949e",
    "waiting for other programs": "#c4cad1",
}
MARKS = {"reading": "o", "too few tiles": "s"}
"""Marks of what takes most time beside computing."""
BELOW: Any = {"frameon": False, "labelcolor": "linecolor", "loc": "outside lower center"}
LABEL_HEIGHT = 0.13
STYLE: Any = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "font.size": 10,
    "grid.alpha": 0.25,
    "grid.color": INK,
    "grid.linewidth": 0.6,
    "lines.linewidth": 2,
    "lines.markersize": 5,
    "savefig.transparent": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "novelty_dask",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
"""Text stays text, and names in the file come from its content."""


def draw_cost(results: Path) -> Figure:
    """Draw core-seconds against rows, of all that were measured."""
    figure, axes = _canvas("Core-seconds of the search, k = 10", (7.2, 4.2))
    entries = [
        entry
        for entry in entries_of(results, "kernel")
        if (entry["features"], entry["k"]) == (DEFAULT_FEATURES, DEFAULT_K)
    ]
    lines = {
        name: sorted((entry["rows"], entry["core_seconds"]) for entry in entries if entry["name"] == name)
        for name in NAMES
    }
    exponents = {smaller["name"]: exponent for smaller, _, exponent in growth(entries)}
    lines = {name: points for name, points in lines.items() if points}
    for name, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker="o", color=COLORS[name])
    axes.set(xscale="log", yscale="log", xlabel="rows")
    axes.grid(which="major")
    sizes = sorted({entry["rows"] for entry in entries})
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=20, ha="right")
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    for name, height in _apart(axes, {name: points[-1][1] for name, points in lines.items()}).items():
        power = f"\nrows to the power {exponents[name]:.2f}" if name in exponents else ""
        weight = "bold" if name == OURS else "normal"
        text = axes.text(1.02, height, f"{name}{power}", transform=axes.transAxes, va="center")
        text.set(color=COLORS[name], fontweight=weight)
    return figure


def _apart(axes: Axes, values: dict[str, float]) -> dict[str, float]:
    """Return heights of labels beside logarithmic values, as shares of the plot's height, none too close."""
    low, high = np.log(axes.get_ylim())
    heights: dict[str, float] = {}
    for name, value in sorted(values.items(), key=lambda item: -item[1]):
        highest = min(heights.values(), default=2.0) - LABEL_HEIGHT
        heights[name] = min(float((np.log(value) - low) / (high - low)), highest)
    return heights


def draw_hard_rows(results: Path) -> Figure:
    """Draw the share of the time against the share of rows, the costliest first."""
    figure, axes = _canvas("Share of the time that the costliest rows take", (5.6, 4.2))
    entries = entries_of(results, "hard_rows")
    axes.plot([0, 100], [0, 100], color=INK, linewidth=1, linestyle=":")
    for shade, entry in zip(SIZES, reversed(entries), strict=False):
        axes.plot(
            np.arange(101), np.array(entry["curve"]) * 100, color=shade, label=f"{entry['rows']:,} rows"
        )
    axes.set(
        xlabel="% of the rows, the costliest first", ylabel="% of the time", xlim=(0, 100), ylim=(0, 101)
    )
    axes.grid()
    axes.legend(frameon=False, labelcolor="linecolor", loc="lower right")
    return figure


def draw_whole_run(results: Path) -> Figure:
    """Draw the parts of the seconds of all workers, as shares."""
    figure, axes = _canvas("Where the time of the workers goes", (7.2, 3.0))
    entries = entries_of(results, "whole_run")
    labels = [f"{entry['rows']:,} lines, {entry['features']}" for entry in entries]
    left = np.zeros(len(entries))
    shares = [_shares(entry) for entry in entries]
    for name, color in PARTS.items():
        widths = np.array([share[name] for share in shares]) * 100
        bars = axes.barh(labels, widths, left=left, color=color, label=name, height=0.6)
        named = [f"{width:.0f}" if width >= 4 else "" for width in widths]
        axes.bar_label(bars, named, label_type="center", color="#1c2128", fontsize=9)
        left += widths
    axes.set(xlabel="% of elapsed time times workers", xlim=(0, 100))
    axes.invert_yaxis()
    axes.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.45, -0.25))
    return figure


def draw_many_workers(results: Path) -> Figure:
    """Draw hours and cores at work of simulated runs against workers, a line for each number of rows."""
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    entries = [entry for entry in entries_of(results, "simulate") if entry["kind"] == "projection"]
    panels = figure.subplots(1, 2)
    for shade, rows in zip(SIZES, sorted({entry["rows"] for entry in entries}), strict=False):
        runs = sorted((each for each in entries if each["rows"] == rows), key=lambda each: each["workers"])
        workers = [run["workers"] for run in runs]
        label = f"{rows:,} rows, {runs[0]['core_hours']:,.3g} core-hours"
        panels[0].plot(workers, [run["hours"] for run in runs], marker="o", color=shade, label=label)
        panels[1].plot(workers, [run["efficiency"] * 100 for run in runs], color=shade)
        for run in runs:
            mark = MARKS[run["bottleneck"]]
            panels[1].plot(run["workers"], run["efficiency"] * 100, mark, color=shade)
    panels[0].set(yscale="log")
    panels[1].set(ylim=(0, 100))
    for axes, title in zip(panels, ("Hours", "% of the time that computes"), strict=True):
        axes.set_title(title, fontsize=11, fontweight="bold", pad=12)
        axes.set(xscale="log", xlabel="workers")
        axes.set_xticks(workers, [f"{each:,}" for each in workers])
        axes.set_xticks([], minor=True)
        axes.grid(which="major")
    panels[0].yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    for name, mark in MARKS.items():
        panels[1].plot([], [], mark, color=INK, label=f"most of the rest: {name}")
    panels[1].legend(frameon=False, labelcolor="linecolor", loc="upper right")
    figure.legend(*panels[0].get_legend_handles_labels(), **BELOW, ncols=2)
    return figure


def _shares(entry: Entry) -> dict[str, float]:
    """Return the parts of elapsed time times workers."""
    whole = entry["seconds"] * entry["workers"]
    stages, outside = entry["stages"], entry["outside_stages"]["core_seconds"]
    search, hashing = (stages[name]["useful_seconds"] for name in ("compare", "vectorize"))
    other = sum(stage["overhead_seconds"] for stage in stages.values())
    rest = max(whole - search - hashing - other - outside, 0)
    waiting = min(entry["waited_seconds"] * entry["workers"], rest)
    parts = (search, hashing, other, outside, rest - waiting, waiting)
    return {name: part / whole for name, part in zip(PARTS, parts, strict=True)}


def _canvas(title: str, inches: tuple[float, float]) -> tuple[Figure, Axes]:
    """Return an empty plot."""
    figure = Figure(figsize=inches, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11, fontweight="bold", pad=12)
    return figure, axes


PLOTS = {
    "cost": draw_cost,
    "hard_rows": draw_hard_rows,
    "whole_run": draw_whole_run,
    "many_workers": draw_many_workers,
}


@click.command(help=__doc__)
@click.option("--results", default=RESULTS, type=click.Path(path_type=Path), help="Folder of the JSON files.")
@click.option("--images", default=IMAGES, type=click.Path(path_type=Path), help="Folder of the plots.")
def main(results: Path, images: Path) -> None:
    """Draw all plots."""
    images.mkdir(parents=True, exist_ok=True)
    for name, draw in PLOTS.items():
        with mpl.rc_context(STYLE):
            draw(results).savefig(images / f"{name}.svg", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
