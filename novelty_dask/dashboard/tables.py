"""The texts and tables of the page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from novelty_dask.dashboard.board import STATES

if TYPE_CHECKING:
    from novelty_dask.dashboard.board import RunBoard, StageBoard

COLORS = ("#d9d9d9", "#f0a830", "#2a78b5", "#c8102e")
"""Color of each state; they differ in brightness too."""
HEADER = (
    "stage",
    *STATES,
    "retries",
    "seconds a task",
    "remaining",
    "rows/s",
    "multiply-adds/s",
)
UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
MOST_WORKERS = 40
"""Workers that are drawn, those with the most memory first."""


def heading(run: RunBoard | None, deaths: int) -> str:
    """Return the heading of the page, in HTML."""
    if run is None or not (stage := run.current):
        return "<h2>No run has worked here yet</h2>"
    retries = sum(each.retries for each in run.stages.values())
    left = stage.remaining_seconds
    squares = " ".join(
        f'<span style="color:{color}">&#9632;</span> {state}'
        for color, state in zip(COLORS, STATES, strict=True)
    )
    return (
        f"<h2>{escape(run.label)}: {escape(stage.name)}, {duration(left)} left</h2>"
        f"<p>{squares} &nbsp; {retries:,} retries, {deaths:,} workers died</p>"
    )


def stage_table(run: RunBoard | None) -> str:
    """Return the table of the stages, in HTML."""
    if run is None:
        return ""
    cells = "".join(f'<th style="padding:0 1em;text-align:right">{name}</th>' for name in HEADER)
    rows = [f"<tr>{cells}</tr>", *map(_stage_row, run.stages.values())]
    return f"<table>{''.join(rows)}</table>"


def _stage_row(stage: StageBoard) -> str:
    """Return the row of a stage, in HTML."""
    cells = [
        escape(stage.name),
        *(f"{count:,}" for count in stage.counts.values()),
        f"{stage.retries:,}",
        f"{stage.seconds / stage.done:.2f}" if stage.done else "",
        duration(stage.remaining_seconds),
        quantity(stage.rows_a_second),
        quantity(stage.rate("multiply_adds")),
    ]
    return "<tr>" + "".join(f'<td style="padding:0 1em;text-align:right">{c}</td>' for c in cells) + "</tr>"


def worker_memory(scheduler: Any, run: RunBoard | None) -> dict[str, list[Any]]:
    """Return the memory of the workers in GB: what each uses, is projected to need, and may use."""
    stages = list(run.stages.values()) if run else []
    workers = sorted(scheduler.workers.values(), key=_memory, reverse=True)[:MOST_WORKERS]
    projected = [max((stage.worker_bytes(each.nthreads) for stage in stages), default=0) for each in workers]
    return {
        "worker": [str(worker.name) for worker in workers],
        "used": [_memory(worker) / 1e9 for worker in workers],
        "projected": [size / 1e9 for size in projected],
        "limit": [(worker.memory_limit or 0) / 1e9 for worker in workers],
    }


def _memory(worker: Any) -> int:
    """Return the memory of a worker, as it said last."""
    return int((worker.metrics or {}).get("memory", 0))


def duration(seconds: float | None) -> str:
    """Return a time as people say it.

    >>> duration(4), duration(125), duration(7300), duration(None)
    ('4 s', '2 min 5 s', '2 h 1 min', '?')
    """
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def quantity(value: float) -> str:
    """Return a number with a unit of thousands.

    >>> quantity(0), quantity(950), quantity(12_345_678)
    ('', '950', '12.3 M')
    """
    for size, unit in UNITS:
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.0f}" if value else ""
