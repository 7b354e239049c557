"""Disk is a contract, as memory is: a run takes at most what was projected, and at least half of it.

Half of it with n-grams, from 20,000 lines up; a quarter with the features of URLs, from 60,000.  Below, most
of the projection is for the columns: how many of the possible ones occur in so little text is not known
before it is read, and each may.  What does not compress, such as random text, comes near the projection.
"""

import base64
import random
from pathlib import Path
from typing import Any

import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.events import Event, StageFinished, TaskDone
from novelty_dask.planning import tiles
from tests.support.files import read_real_lines, write_lines

SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "small blocks": {"block_rows": 1_024},
    "n-grams": {"features": "ngrams"},
    "many n-grams": {"features": "ngrams", "ngram_range": (3, 5), "block_rows": 4_096},
    "single letters": {"features": "ngrams", "ngram_range": (1, 1)},
    "few columns": {"n_features": 4_096},
    "many neighbors": {"n_neighbors": 100},
}


class Watch:
    """Measures a folder whenever a task has stored its results, and before a stage removes any.

    Parameters
    ----------
    folder : Path
        Of a run.

    Attributes
    ----------
    peak_bytes : int
        Most bytes of all files together.
    peak_blocks : int
        Most bytes of all blocks of the disk that they take.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.peak_bytes = self.peak_blocks = 0

    def __call__(self, event: Event) -> None:
        """Look at all files."""
        if isinstance(event, TaskDone | StageFinished):
            found = [path.lstat() for path in self.folder.rglob("*") if path.is_file()]
            self.peak_bytes = max(self.peak_bytes, sum(file.st_size for file in found))
            self.peak_blocks = max(self.peak_blocks, sum(512 * file.st_blocks for file in found))


def assert_kept(folder: Path, lines: list[str], settings: dict[str, Any]) -> None:
    """Score lines in this process, and compare what they take with what was projected."""
    source, out = write_lines(folder / "urls.txt", lines), folder / "run.zarr"
    projected = novelty_dask.plan(source, workers=0, **settings).disk_bytes
    watch = Watch(out)
    novelty_dask.score(source, out, workers=0, listener=watch, **settings)
    assert watch.peak_blocks <= projected
    ngrams = settings.get("features") == "ngrams"
    if len(lines) >= (20_000 if ngrams else 60_000):
        assert projected <= (2 if ngrams else 4) * watch.peak_bytes


@pytest.mark.sampled
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("n", [20, 2_000, pytest.param(20_000, marks=pytest.mark.long)])
def test_a_run_keeps_to_what_was_projected(tmp_path: Path, n: int, settings: dict[str, Any]) -> None:
    assert_kept(tmp_path, make_urls(n)[0], settings)


def test_half_of_it_is_taken_of_many_lines(tmp_path: Path) -> None:
    assert_kept(tmp_path, make_urls(20_000)[0], SETTINGS["n-grams"])


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("n", "settings"),
    [
        (20_000, SETTINGS["n-grams"]),
        *(pytest.param(20_000, settings, marks=pytest.mark.long) for settings in SETTINGS.values()),
        pytest.param(60_000, {}, marks=pytest.mark.long),
        pytest.param(60_000, {"block_rows": 4_096}, marks=pytest.mark.long),
        pytest.param(60_000, {"features": "ngrams", "ngram_range": (2, 4)}, marks=pytest.mark.long),
    ],
)
def test_a_run_of_real_rows_keeps_to_it(
    corpora: Path, tmp_path: Path, n: int, settings: dict[str, Any]
) -> None:
    assert_kept(tmp_path, read_real_lines(corpora, n), settings)


def test_strips_of_many_groups_are_projected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "LARGEST_TILE_PAIRS", 1)
    lines = make_urls(20_000)[0]
    source = write_lines(tmp_path / "few.txt", lines)
    assert novelty_dask.plan(source, workers=0, features="ngrams", block_rows=2_048).tiles.n_groups == 5
    assert_kept(tmp_path, lines, {"features": "ngrams", "block_rows": 2_048})


@pytest.mark.long
def test_what_a_reference_adds_is_projected(tmp_path: Path) -> None:
    known = novelty_dask.score(urls=make_urls(500, seed=3)[0], workers=0)
    assert_kept(tmp_path, make_urls(2_000)[0], {"against": known, "block_rows": 128})


def random_text(n: int) -> list[str]:
    """Lines that hardly compress."""
    chance = random.Random(1)
    return [base64.urlsafe_b64encode(chance.randbytes(60)).decode() for _ in range(n)]


def chinese_text(n: int) -> list[str]:
    """Lines of characters of which there are many, each of three bytes."""
    chance = random.Random(1)
    return ["".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(25)) for _ in range(n)]


UNUSUAL: list[dict[str, Any]] = [
    {},
    {"block_rows": 256, "features": "ngrams"},
    {"features": "ngrams", "ngram_range": (6, 6)},
    {"n_features": 1},
]


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("make", "settings"),
    [
        *((random_text, settings) for settings in UNUSUAL[2:]),
        *((chinese_text, settings) for settings in UNUSUAL[:2]),
        *(pytest.param(random_text, settings, marks=pytest.mark.long) for settings in UNUSUAL[:2]),
        *(pytest.param(chinese_text, settings, marks=pytest.mark.long) for settings in UNUSUAL[2:]),
    ],
)
def test_no_text_takes_more(tmp_path: Path, make: Any, settings: dict[str, Any]) -> None:
    for n in (1, 100, 2_000):
        (tmp_path / str(n)).mkdir()
        assert_kept(tmp_path / str(n), make(n), settings)
