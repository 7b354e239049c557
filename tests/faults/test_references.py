"""Clients that are killed while a run is compared with several references: the command goes on."""

import os
import signal
from pathlib import Path

import novelty_dask
from novelty_dask.events import Event, StageStarted
from tests.support.content import content
from tests.support.files import write_lines
from tests.support.forks import finish, fork

URLS, _ = novelty_dask.datasets.make_urls(300, seed=51)
NEW = [*novelty_dask.datasets.make_urls(40, seed=52)[0], *URLS[:20]]
STAGES = ("columns", "weigh", "vectorize", "compare", "calibrate")
"""Stages as which begin the client is killed: two of the rows that are joined, and three of the new ones."""


def score_until(stage: str, new: Path, out: Path, references: list[str]) -> None:
    """Score in this process, and kill it as a stage begins."""

    def listen(event: Event) -> None:
        if isinstance(event, StageStarted) and event.stage == stage:
            os.kill(os.getpid(), signal.SIGKILL)

    novelty_dask.score(new, out, against=references, listener=listen, workers=0, block_rows=30)


def test_a_client_killed_while_references_are_joined_goes_on(tmp_path: Path) -> None:
    references = [
        novelty_dask.score(urls=lines, out=tmp_path / f"{number}.zarr", workers=0, n_features=2**14).url
        for number, lines in enumerate((URLS[:180], URLS[140:]))
    ]
    new, out = write_lines(tmp_path / "new.txt", NEW), tmp_path / "new.zarr"
    undisturbed = content(novelty_dask.score(new, against=references, workers=0))
    for stage in STAGES:
        assert finish(fork(score_until, stage, new, out, references), 500) == -signal.SIGKILL
        assert not novelty_dask.verify(out).damages
    assert content(novelty_dask.resume(out, workers=0)) == undisturbed
    assert not (out / "references").exists()
    assert novelty_dask.clean(out) <= len(STAGES)
