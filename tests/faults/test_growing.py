"""Clients that are killed while a run grows: it is as before or as after, and the command goes on."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.errors import StoreError
from novelty_dask.events import Event, StageStarted
from novelty_dask.objects import owners
from novelty_dask.objects.address import open_objects
from novelty_dask.objects.local import LocalObjects
from novelty_dask.objects.owners import claim
from novelty_dask.pipeline import growing
from tests.support.content import content
from tests.support.files import write_lines
from tests.support.forks import finish, fork

URLS, _ = novelty_dask.datasets.make_urls(400, seed=31)
NEW = [*novelty_dask.datasets.make_urls(60, seed=32)[0], *URLS[:20]]
STAGES_AT_ONCE = 4


def end(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def add_until_killed(new: Path, run: Path) -> None:
    """Add in this process, and kill it when some stages have begun."""
    begun: list[Event] = []

    def listen(event: Event) -> None:
        if isinstance(event, StageStarted):
            begun.append(event)
            if len(begun) == STAGES_AT_ONCE:
                end()

    novelty_dask.add(new, run, listener=listen, workers=0, block_rows=150)


def before_exchange() -> None:
    growing.exchange_folders = end  # type: ignore[assignment, attr-defined]


def behind_exchange() -> None:
    exchange = growing.exchange_folders  # type: ignore[attr-defined]

    def exchange_and_end(one: Path, other: Path) -> None:
        exchange(one, other)
        end()

    growing.exchange_folders = exchange_and_end  # type: ignore[attr-defined]


def in_removal() -> None:
    remove = growing.Growing.remove_parts

    def remove_half(self: growing.Growing) -> None:
        if not (Path(f"{self.base.url}.growing") / "grown").exists():
            remove(self)
            return
        shutil.rmtree(Path(f"{self.base.url}.growing") / "grown" / "commits")
        (Path(f"{self.base.url}.growing") / "new" / "zarr.json").unlink()
        end()

    growing.Growing.remove_parts = remove_half  # type: ignore[method-assign]


def add_spoiled(spoil: Callable[[], None], new: Path, run: Path) -> None:
    """Add in this process, which is killed at some point of the end."""
    spoil()
    novelty_dask.add(new, run, workers=0, block_rows=150)


def make_run(folder: Path) -> tuple[Path, Path]:
    run = folder / "run.zarr"
    novelty_dask.score(write_lines(folder / "base.txt", URLS), run, workers=0, block_rows=150)
    return run, write_lines(folder / "new.txt", NEW)


@pytest.mark.long
def test_a_run_that_grows_stays_whole_through_every_kill(tmp_path: Path) -> None:
    run, new = make_run(tmp_path)
    shutil.copytree(run, tmp_path / "copy.zarr")
    before, after = content(run), content(novelty_dask.add(new, tmp_path / "copy.zarr", workers=0))
    assert before != after
    kills = 0
    while (code := finish(fork(add_until_killed, new, run), 500)) == -signal.SIGKILL:
        assert content(run) == before
        kills += 1
    assert code == 0
    assert kills >= 4
    assert content(run) == after
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "base.txt",
        "copy.zarr",
        "new.txt",
        "run.zarr",
    ]


@pytest.mark.sampled
@pytest.mark.parametrize("spoil", [before_exchange, behind_exchange, in_removal])
def test_a_kill_at_the_end_leaves_the_run_before_or_after(spoil: Callable[[], None], tmp_path: Path) -> None:
    run, new = make_run(tmp_path)
    shutil.copytree(run, tmp_path / "copy.zarr")
    before, after = content(run), content(novelty_dask.add(new, tmp_path / "copy.zarr", workers=0))
    assert finish(fork(add_spoiled, spoil, new, run), 500) == -signal.SIGKILL
    assert content(run) == (before if spoil is before_exchange else after)
    assert content(novelty_dask.add(new, run, workers=0)) == after
    assert not (tmp_path / "run.zarr.growing").exists()


def leave(folder: str) -> None:
    """Let the last client of a run be one on another host, silent for long."""
    objects = LocalObjects(Path(folder))
    record = max(key for key in objects.sizes("owners/") if key.endswith(".json"))
    values = {**json.loads(objects.read(record)), "host": "elsewhere"}
    objects.write(record, json.dumps(values).encode())
    alive = record.replace(".json", ".alive")
    objects.write(alive, b"1")
    os.utime(objects.root / alive, (1.0, 1.0))


def test_a_silent_client_elsewhere_is_succeeded_in_all_that_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owners, "WATCH_SECONDS", 0.2)
    run, new = make_run(tmp_path)

    def stop(event: Event) -> None:
        if isinstance(event, StageStarted) and event.stage == "weigh":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        novelty_dask.add(new, run, workers=0, listener=stop)
    folder = f"{run}.growing"
    leave(folder)
    leave(f"{folder}/new")
    with pytest.raises(StoreError, match="if it is dead, `novelty add --take-over` goes on"):
        novelty_dask.add(new, run, workers=0)
    novelty_dask.add(new, run, workers=0, take_over=True)
    assert not Path(folder).exists()


def test_no_run_is_exchanged_while_another_client_works_on_it(tmp_path: Path) -> None:
    run, new = make_run(tmp_path)
    before = content(run)
    with (
        claim(open_objects(str(run)), str(run)),
        pytest.raises(StoreError, match=r"is being worked on by process .*; wait for it, then repeat"),
    ):
        novelty_dask.add(new, run, workers=0)
    assert content(run) == before
    novelty_dask.add(new, run, workers=0)
    assert content(run) != before
    assert not Path(f"{run}.growing").exists()


def test_two_clients_never_grow_one_run(tmp_path: Path) -> None:
    run, new = make_run(tmp_path)
    before = content(run)
    with (
        claim(open_objects(f"{run}.growing"), str(run)),
        pytest.raises(StoreError, match="is being worked on"),
    ):
        novelty_dask.add(new, run, workers=0)
    assert content(run) == before
