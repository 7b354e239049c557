"""The board of a scheduler: what is known of the runs that work there, stage by stage.

Two sources fill it: the transitions of tasks, as the scheduler sees them, and a small description of each run
that its client sends.  The board reads nothing else; above all no store.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

WAITING, RUNNING, DONE, FAILED = range(4)
"""States of a task; it is done for good when its result is in the memory of a worker, hence committed."""
STATES = ("waiting", "running", "done", "failed")
TOPIC = "novelty-dashboard"
"""Topic of the descriptions."""
SAMPLE_SECONDS = 5.0
SAMPLES = 13
"""Rates are those of the last minute."""
MOST_RUNS = 8
"""Runs that are remembered, the newest."""

Description = Mapping[str, Any]
"""Key ``run`` names the run in the keys of its tasks, and ``label`` for people.  ``stage`` is what is said
of one stage: its ``name``, ``total`` of tasks, those ``done`` before, ``rows`` of the run, ``shape`` of its
tiles, ``finished`` tiles of earlier sessions as bits, and the ``bytes`` that a task is projected to need
beside the ``process_bytes`` of its worker.  ``figures`` are the sums of some metrics by stage."""


@dataclass
class Tiles:
    """State and seconds of each tile: five bytes each, whatever their number.

    Parameters
    ----------
    n_spans, n_groups : int
    """

    n_spans: int
    n_groups: int
    states: np.ndarray[Any, np.dtype[np.uint8]] = field(init=False)
    seconds: np.ndarray[Any, np.dtype[np.float32]] = field(init=False)

    def __post_init__(self) -> None:
        self.states = np.zeros((self.n_spans, self.n_groups), np.uint8)
        self.seconds = np.full((self.n_spans, self.n_groups), np.nan, np.float32)

    def mark(self, item: str, state: int, seconds: float | None = None) -> None:
        """Note the state of a tile, and how long it took."""
        span, _, group = item.partition("-")
        if span.isdecimal() and group.isdecimal() and int(span) < self.n_spans and int(group) < self.n_groups:
            place = int(span), int(group)
            self.states[place] = state
            if seconds is not None:
                self.seconds[place] = seconds

    def mark_finished(self, bits: bytes) -> None:
        """Note the tiles that were done in earlier sessions, by a bit each, in their order."""
        done = np.unpackbits(np.frombuffer(bits, np.uint8), count=self.states.size)
        self.states.reshape(-1)[done.astype(bool)] = DONE


def pack_tiles(shape: tuple[int, int], items: Iterable[str]) -> bytes:
    """Return tiles as a bit each, in the order of spans and groups.

    >>> pack_tiles((2, 4), ["0-1", "1-3"]).hex()
    '41'
    """
    bits = np.zeros(shape, np.uint8)
    for item in items:
        span, _, group = item.partition("-")
        bits[int(span), int(group)] = 1
    return np.packbits(bits).tobytes()


@dataclass
class StageBoard:
    """Known state of one stage of a run."""

    name: str
    total: int = 0
    done_before: int = 0
    rows: int = 0
    task_bytes: int = 0
    process_bytes: int = 0
    tiles: Tiles | None = None
    running: dict[str, float] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    done: int = 0
    retries: int = 0
    interrupted: int = 0
    seconds: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    samples: deque[tuple[float, int, dict[str, float]]] = field(default_factory=lambda: deque(maxlen=SAMPLES))

    def describe(self, description: Description) -> None:
        """Take over what a client says of the stage."""
        self.total = int(description["total"])
        self.done_before = int(description["done"])
        self.rows = int(description.get("rows", 0))
        self.task_bytes = int(description.get("bytes", 0))
        self.process_bytes = int(description.get("process_bytes", 0))
        self.done, self.seconds, self.running, self.failed = 0, 0.0, {}, set()
        if shape := description.get("shape"):
            self.tiles = Tiles(*shape)
            self.tiles.mark_finished(description.get("finished", b""))
        self.sample(force=True)

    def begin(self, item: str, attempt: int) -> None:
        """Note that a task was handed to a worker."""
        self.running[item] = time.time()
        self.failed.discard(item)
        self.retries += attempt > 1
        self._mark(item, RUNNING)

    def end(self, item: str, state: int, seconds: float | None = None) -> None:
        """Note that a task ended, or went back into the queue as its worker died."""
        self.running.pop(item, None)
        if state == DONE:
            self.done += 1
            self.seconds += seconds or 0.0
        elif state == FAILED:
            self.failed.add(item)
        self._mark(item, state, seconds)
        self.sample()

    def _mark(self, item: str, state: int, seconds: float | None = None) -> None:
        """Note the state of a tile, where tasks are tiles."""
        if self.tiles is not None:
            self.tiles.mark(item, state, seconds)

    def sample(self, *, force: bool = False) -> None:
        """Remember how far the stage is, every few seconds."""
        now = time.time()
        if force or not self.samples or now - self.samples[-1][0] >= SAMPLE_SECONDS:
            self.samples.append((now, self.done, dict(self.figures)))

    @property
    def counts(self) -> dict[str, int]:
        """Number of tasks in each state."""
        done, running, failed = self.done_before + self.done, len(self.running), len(self.failed)
        waiting = max(self.total - done - running - failed, 0)
        return dict(zip(STATES, (waiting, running, done, failed), strict=True))

    def rate(self, figure: str = "") -> float:
        """Return how much of a figure is added in a second, or how many tasks end."""
        if not self.samples:
            return 0.0
        now = time.time()
        since, done, figures = self.samples[0]
        gained = self.figures.get(figure, 0) - figures.get(figure, 0) if figure else self.done - done
        return gained / max(now - since, 1.0)

    def worker_bytes(self, threads: int) -> int:
        """Return the bytes that a worker is projected to need."""
        return self.process_bytes + threads * self.task_bytes

    @property
    def rows_done(self) -> float:
        """Rows of the run, in proportion to the tasks of this session that are done."""
        return self.rows * self.done / self.total if self.total else 0.0

    @property
    def rows_a_second(self) -> float:
        """Rows in proportion to the tasks that end."""
        return self.rows * self.rate() / self.total if self.total else 0.0

    @property
    def remaining_seconds(self) -> float | None:
        """Time until the stage is done, at the rate of the last minute; None if that is not known."""
        left, rate = self.counts["waiting"] + self.counts["running"], self.rate()
        return left / rate if rate else None if left else 0.0


@dataclass
class RunBoard:
    """Known state of one run."""

    label: str
    stages: dict[str, StageBoard] = field(default_factory=dict)

    @property
    def current(self) -> StageBoard | None:
        """The stage that was described last."""
        return next(reversed(self.stages.values()), None)


class Board:
    """The runs that work on a scheduler.

    Attributes
    ----------
    runs : dict of str to RunBoard
        By the name of the run in the keys of its tasks, the oldest first.
    deaths : int
        Workers that died while they ran a task of a run.
    """

    def __init__(self) -> None:
        self.runs: dict[str, RunBoard] = {}
        self.deaths = 0

    def describe(self, description: Description) -> None:
        """Take over what a client says of its run."""
        name = str(description["run"])
        if name not in self.runs:
            self.runs[name] = RunBoard(str(description.get("label", name)))
            for oldest in list(self.runs)[:-MOST_RUNS]:
                del self.runs[oldest]
        run = self.runs[name]
        if stage := description.get("stage"):
            board = run.stages.pop(stage["name"], None) or StageBoard(stage["name"])
            # The last one is the current one.
            run.stages[board.name] = board
            board.describe(stage)
        for stage_name, figures in description.get("figures", {}).items():
            if known := run.stages.get(stage_name):
                known.figures = dict(figures)

    def find(self, key: object) -> tuple[StageBoard, str, int] | None:
        """Return the stage, the item and the attempt that a key names; None if it is no task of a run here.

        >>> board = Board()
        >>> board.describe({"run": "0a1b", "stage": {"name": "compare", "total": 8, "done": 0}})
        >>> stage, item, attempt = board.find("compare  -0a1b-3-1-2")
        >>> stage.name, item, attempt
        ('compare', '3-1', 2)
        """
        parts = key.split("-", 2) if isinstance(key, str) else []
        if len(parts) < 3 or parts[1] not in self.runs:
            return None
        stage = self.runs[parts[1]].stages.get(parts[0].strip())
        item, _, attempt = parts[2].rpartition("-")
        return (stage, item, int(attempt)) if stage and attempt.isdecimal() else None

    @property
    def run(self) -> RunBoard | None:
        """The newest run."""
        return next(reversed(self.runs.values()), None)
