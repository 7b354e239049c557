"""Damage to any file of a run: `verify` finds it and `resume` mends it, or no reader minds it."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import novelty_dask
from novelty_dask.planning import tiles
from novelty_dask.settings import Settings
from tests.support.files import snapshot
from tests.support.listeners import stop_at
from tests.support.record import EFFORT
from tests.support.walk import Damage, damages, essence, linked, views

SMALL = Settings.make(block_rows=32, n_features=500, n_neighbors=3, workers=0)
STOPS = (("ingest", 1), ("vectorize", 2), ("columns", 1), ("weigh", 3), ("compare", 7), ("merge", 2))
"""Where a run is stopped: after so many tasks of a stage."""
ONCE = settings(
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A source, its complete run of several tiles, and runs that were stopped."""
    folder = tmp_path_factory.mktemp("damage")
    lines = [*novelty_dask.datasets.make_urls(150, seed=3)[0], "", "a\0b"]
    (folder / "urls.txt").write_text("\n".join(lines), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "LARGEST_TILE_PAIRS", 64**2)
        novelty_dask.score(folder / "urls.txt", folder / "complete", settings=SMALL)
        for stage, count in STOPS:
            out, listener = folder / f"{stage}-{count}", stop_at(stage, count)
            with pytest.raises(KeyboardInterrupt):
                novelty_dask.score(folder / "urls.txt", out, listener=listener, settings=SMALL)
        yield folder


@pytest.fixture
def check(folder: Path) -> Callable[[Path, Damage], str]:
    """Return a function that damages a copy of a run, and says whether that was found."""
    expected = essence(folder / "complete")
    before = {run: views(run) for run in folder.iterdir() if run.is_dir()}

    def check(run: Path, damage: Damage) -> str:
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            copy = linked(run, Path(scratch) / "run.zarr")
            assume(damage.apply(copy))
            is_found = bool(novelty_dask.verify(copy).damages)
            # What is not found is harmless: all readers see what they saw before.
            assert is_found or views(copy) == before[run]
            novelty_dask.resume(copy, workers=0, block_rows=32)
            assert novelty_dask.verify(copy).damages == []
            # What was found is mended to the same bytes, and what was not is as harmless as before.
            if is_found:
                assert essence(copy) == expected
                return "found"
            assert views(copy) == before[folder / "complete"]
            return "harmless"

    return check


def walk(check: Callable[[Path, Damage], str], runs: list[Path], n_examples: int) -> Counter[str]:
    """Damage runs in many ways; return how many damages were found, and how many no reader minds."""
    counts: Counter[str] = Counter()
    places = st.sampled_from(runs).flatmap(lambda run: st.tuples(st.just(run), damages(run)))

    @settings(ONCE, max_examples=n_examples)
    @given(places)
    def damaged(place: tuple[Path, Damage]) -> None:
        counts[check(*place)] += 1

    damaged()
    print(f"{n_examples:,} damages of {runs[0].name}: {dict(counts)}")  # noqa: T201 - a page has the figures
    return counts


@pytest.mark.timeout(60 * EFFORT + 600)
def test_any_damage_of_a_complete_run_is_found_and_mended(
    folder: Path, check: Callable[[Path, Damage], str]
) -> None:
    n_examples = 20 * EFFORT
    counts = walk(check, [folder / "complete"], n_examples)
    assert counts["found"] > 0.6 * n_examples


@pytest.mark.timeout(60 * EFFORT + 600)
def test_no_stopped_run_becomes_complete_with_a_damage(
    folder: Path, check: Callable[[Path, Damage], str]
) -> None:
    n_examples = 5 * (EFFORT + 1)
    counts = walk(check, [folder / f"{stage}-{count}" for stage, count in STOPS], n_examples)
    assert counts["found"] > 0.3 * n_examples


def test_nothing_is_written_by_verify(folder: Path) -> None:
    before = snapshot(folder)
    for run in (run for run in folder.iterdir() if run.is_dir()):
        assert novelty_dask.verify(run).damages == []
    assert snapshot(folder) == before
