"""How long runs of millions to billions of rows would take on clusters of many workers, by a model.

A discrete-event model of the comparison: workers take tiles in their order, after the first tile of the same
span; the scheduler is one server; reading shares the bandwidth of a store; workers fail and come back; some
tiles take several times as long.  The other stages, which grow with the rows, are added as if they shared the
workers evenly.  The seconds of tiles and stages are those of benchmarks/results/; the rest is assumed: see
`Cluster`.

Run ``python benchmarks/simulate.py --check`` to hold the model to measured runs, then
``python benchmarks/simulate.py --rows 1000000 --rows 1000000000``.
"""

import heapq
import json
import math
import random
from collections import deque
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import click
from results import Entry, add_entries

from novelty_dask.planning.tiles import Tile, TilePlan, default_block_rows, plan_tiles

RESULTS = Path(__file__).parent / "results"
KEY = ("kind", "rows", "workers", "features")
OBJECTS_OF_BLOCK = 3
"""Chunks of the weights of a block."""
OBJECTS_OF_TILE = 5
"""Chunks of a strip, the commit, and what a worker looks up before it begins."""
STRIP_BYTES = 12 * 10
"""Bytes of a row in a strip of ten neighbors."""
SEED = 1


@dataclass(frozen=True)
class Cluster:
    """Workers, scheduler and store.

    Parameters
    ----------
    workers : int
        Threads that compare.
    scheduler_seconds : float
        CPU time of the scheduler for a task.
    worker_bandwidth, store_bandwidth : float
        Bytes a second of one worker, and of the store for all.
    latency : float
        Seconds of a request.
    failures : float
        Failures of a worker in an hour.
    restart_seconds : float
        Time until a failed worker is back, and until it is missed.
    spread : float
        Standard deviation of the logarithm of the seconds of a tile.
    stragglers : float
        Share of tiles that take three times as long.
    """

    workers: int
    scheduler_seconds: float = 400e-6
    worker_bandwidth: float = 200e6
    store_bandwidth: float = 20e9
    latency: float = 0.02
    failures: float = 0.01
    restart_seconds: float = 90.0
    spread: float = 0.2
    stragglers: float = 0.01


@dataclass
class Outcome:
    """What a simulated comparison took."""

    seconds: float = 0.0
    computing: float = 0.0
    reading: float = 0.0
    scheduling: float = 0.0
    lost: float = 0.0
    n_bytes: float = 0.0
    requests: float = 0.0
    failures: int = 0
    parts: dict[str, float] = field(default_factory=dict)


class Simulation:
    """A comparison on a cluster, event by event.

    Parameters
    ----------
    plan : TilePlan
    tile_seconds : float
        CPU seconds of a tile, on average.
    row_bytes : float
        Bytes of the weights of a row, as they are stored.
    cluster : Cluster
    """

    def __init__(self, plan: TilePlan, tile_seconds: float, row_bytes: float, cluster: Cluster) -> None:
        self.plan, self.tile_seconds, self.cluster = plan, tile_seconds, cluster
        span, group = plan.span_blocks, plan.group_blocks
        self.tile_bytes = (span + group) * plan.block_rows * row_bytes
        self.tile_requests = OBJECTS_OF_BLOCK * (span + group) + OBJECTS_OF_TILE
        # The mean of a lognormal distribution is 1 with this; stragglers are on top, and taken off again.
        self.scale = 1 / (math.exp(cluster.spread**2 / 2) * (1 + 2 * cluster.stragglers))
        self.random = random.Random(SEED)  # noqa: S311 - a simulation
        self.ready = deque(Tile(span, 0) for span in range(plan.n_spans))
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Return what the comparison took, from the first tile to the last."""
        # By time: when a worker is free, and the tile that it has done then, if any.
        events: list[tuple[float, int, Tile | None]] = [
            (0.0, each, None) for each in range(self.cluster.workers)
        ]
        idle: list[int] = []
        free_at, left = 0.0, self.plan.n_spans * self.plan.n_groups
        while left:
            now, worker, done = heapq.heappop(events)
            if done:
                left -= 1
                self.outcome.seconds = now
                if done.group == 0:
                    # The other tiles of the span begin with what the first has found.
                    self.ready.extend(Tile(done.span, group) for group in range(1, self.plan.n_groups))
            idle.append(worker)
            while idle and self.ready:
                begin = free_at = max(now, free_at) + self.cluster.scheduler_seconds
                self.outcome.scheduling += begin - now
                heapq.heappush(events, self._take(begin, idle.pop(), self.ready.popleft()))
        return self.outcome

    def _take(self, begin: float, worker: int, tile: Tile) -> tuple[float, int, Tile | None]:
        """Return when a worker is free again, and the tile if it has done it."""
        cluster, outcome = self.cluster, self.outcome
        bandwidth = min(cluster.worker_bandwidth, cluster.store_bandwidth / cluster.workers)
        # Blocks are read one after the other, the chunks of each side by side.
        blocks = self.plan.span_blocks + self.plan.group_blocks
        reading = blocks * cluster.latency + self.tile_bytes / bandwidth
        factor = self.random.lognormvariate(0, cluster.spread) * self.scale
        factor *= 3 if self.random.random() < cluster.stragglers else 1
        computing = self.tile_seconds * factor
        outcome.n_bytes += self.tile_bytes
        outcome.requests += self.tile_requests
        rate = cluster.failures / 3600
        fails = self.random.expovariate(rate) if rate else math.inf
        if fails < reading + computing:
            outcome.failures += 1
            outcome.lost += fails + cluster.restart_seconds
            self.ready.append(tile)
            return begin + fails + cluster.restart_seconds, worker, None
        outcome.computing += computing
        outcome.reading += reading
        return begin + reading + computing, worker, tile


def bottleneck(outcome: Outcome, workers: int) -> str:
    """Return what takes most of the workers' time beside computing; "computing" if that takes nearly all."""
    all_seconds = outcome.seconds * workers
    parts = {
        "reading": outcome.reading,
        "the scheduler": outcome.scheduling,
        "failures": outcome.lost,
        "computing": outcome.computing,
    }
    parts["too few tiles"] = all_seconds - sum(parts.values())
    if outcome.computing > 0.9 * all_seconds:
        return "computing"
    return max((name for name in parts if name != "computing"), key=parts.__getitem__)


def measured(features: str) -> list[Entry]:
    """Return the measured whole runs, the largest last."""
    content = json.loads((RESULTS / "whole_run.json").read_text(encoding="utf-8"))
    found: list[Entry] = [entry for entry in content["entries"] if entry["features"] == features]
    return sorted(found, key=lambda entry: int(entry["rows"]))


def check(features: str) -> list[Entry]:
    """Return the comparison of measured runs beside what the model says of them."""
    found = []
    for entry in measured(features):
        stage, workers = entry["stages"]["compare"], entry["workers"]
        plan = plan_tiles(entry["rows"], default_block_rows(entry["rows"]), slots=workers)
        n_tiles = plan.n_spans * plan.n_groups
        # Files of this machine are in its memory, and nothing fails.
        cluster = Cluster(
            workers, latency=0, worker_bandwidth=1e9, store_bandwidth=2e9, failures=0, stragglers=0
        )
        seconds = Simulation(plan, stage["core_seconds"] / n_tiles, 0, cluster).run().seconds
        found.append(
            {
                "kind": "check",
                "rows": entry["rows"],
                "workers": workers,
                "features": features,
                "tiles": n_tiles,
                "measured_seconds": stage["seconds"],
                "seconds": seconds,
                "ratio": seconds / stage["seconds"],
            }
        )
    return found


def project(rows: int, features: str, cluster: Cluster) -> Entry:
    """Return what a run would take on a cluster."""
    *_, small, large = measured(features)
    of_tiles = [entry["stages"]["compare"]["core_seconds"] for entry in (small, large)]
    power = math.log(of_tiles[1] / of_tiles[0]) / math.log(large["rows"] / small["rows"])
    compared = of_tiles[1] * (rows / large["rows"]) ** power
    others = (large["core_seconds"] - of_tiles[1]) * rows / large["rows"]
    plan = plan_tiles(rows, default_block_rows(rows), slots=cluster.workers)
    n_tiles = plan.n_spans * plan.n_groups
    row_bytes = large["run_bytes"] / large["rows"]
    outcome = Simulation(plan, compared / n_tiles, row_bytes, cluster).run()
    seconds = outcome.seconds + others / cluster.workers
    return {
        "kind": "projection",
        "rows": rows,
        "workers": cluster.workers,
        "features": features,
        "power": power,
        "tiles": n_tiles,
        "tile_seconds": compared / n_tiles,
        "hours": seconds / 3600,
        "core_hours": (compared + others) / 3600,
        "efficiency": (compared + others) / (seconds * cluster.workers),
        "read_bytes": outcome.n_bytes,
        "stored_bytes": rows * (row_bytes + STRIP_BYTES * plan.n_groups),
        "requests": outcome.requests,
        "failures": outcome.failures,
        "scheduler_busy": n_tiles * cluster.scheduler_seconds / outcome.seconds,
        "bottleneck": bottleneck(outcome, cluster.workers),
    }


@click.command(help=__doc__)
@click.option(
    "--rows", multiple=True, default=[10**6, 10**7, 10**8, 10**9], show_default=True, help="Rows of a run."
)
@click.option("--workers", multiple=True, default=[10, 100, 1000], show_default=True, help="Threads.")
@click.option("--features", default="url", show_default=True, help="Features of the measured runs.")
@click.option("--store-bandwidth", default=20e9, show_default=True, help="Bytes a second of the store.")
@click.option("--check", "is_check", is_flag=True, help="Hold the model to measured runs instead.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add to.")
def main(
    rows: tuple[int, ...],
    workers: tuple[int, ...],
    features: str,
    store_bandwidth: float,
    *,
    is_check: bool,
    output: Path | None,
) -> None:
    """Print what runs would take, or how far the model is from those that were measured."""
    if is_check:
        found = check(features)
        print(f"{'rows':>14}{'workers':>9}{'tiles':>7}{'measured s':>12}{'model s':>9}{'ratio':>7}")
        for e in found:
            print(
                f"{e['rows']:14,}{e['workers']:9,}{e['tiles']:7,}{e['measured_seconds']:12.1f}"
                f"{e['seconds']:9.1f}{e['ratio']:7.2f}"
            )
        add_entries(output, "urls_1m.txt.xz", found, KEY)
        return
    print(f"{'rows':>14}{'workers':>9}{'tiles':>9}{'hours':>9}{'core-h':>10}{'TB read':>9}  bottleneck")
    for n_rows, n_workers in product(rows, workers):
        cluster = Cluster(n_workers, store_bandwidth=store_bandwidth)
        e = project(n_rows, features, cluster)
        print(
            f"{n_rows:14,}{n_workers:9,}{e['tiles']:9,}{e['hours']:9.2f}{e['core_hours']:10.1f}"
            f"{e['read_bytes'] / 1e12:9.2f}  {e['bottleneck']}",
            flush=True,
        )
        add_entries(output, "urls_1m.txt.xz", [e], KEY)


if __name__ == "__main__":
    main()
