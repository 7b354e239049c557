"""The N-th write, sync, rename or other change of the disk fails, or is the last: never complete but wrong.

A usual run tries each N in steps, begun anywhere, so that many runs try all of them; ``NOVELTY_EFFORT=100``
tries every one, in one of the four ways.
"""

import random
import shutil
from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from tests.support.content import Content, content
from tests.support.disk import KILLED, MODES, go_on, score_on
from tests.support.files import write_lines
from tests.support.fixtures import Measured
from tests.support.forks import finish, fork
from tests.support.record import EFFORT, SETTINGS

STEP = max(4, 312 // EFFORT)
FIRST = 7 if EFFORT > 1 else 3
"""Changes that make the run, each of which is tried."""


@pytest.fixture(
    scope="module", params=[False, pytest.param(True, marks=pytest.mark.long)], ids=["itself", "reference"]
)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus of 40 lines, perhaps with a reference, and what becomes of it."""
    folder = tmp_path_factory.mktemp("operations")
    urls, _ = make_urls(40, seed=9)
    if request.param:
        known = write_lines(folder / "known.txt", [*make_urls(60, seed=8)[0], *urls[:9]])
        novelty_dask.score(known, folder / "known.zarr", workers=0, block_rows=30, **SETTINGS)
    (folder / "urls.txt").write_text("\n".join([*urls, ""]), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def clean_run(place: Path) -> tuple[int, Content]:
    """How many changes of the disk an undisturbed run makes, and what it holds."""
    folder = place / "clean"
    folder.mkdir()
    assert finish(fork(score_on, folder, 0, "exit")) == 0
    return int((folder / "count").read_text(encoding="utf-8")), content(folder / "run.zarr", ["csv"])


@pytest.mark.long
@pytest.mark.timeout(36 * EFFORT + 600)
@pytest.mark.parametrize("mode", MODES)
def test_no_change_of_the_disk_that_fails_leaves_a_wrong_run(
    place: Path, clean_run: tuple[int, Content], measured: Measured, mode: str
) -> None:
    count, expected = clean_run
    assert count > 100
    # With all of them, each is tried in one way; with samples, chance begins, and the numbers are said below.
    start = MODES.index(mode) if len(MODES) == STEP else random.randrange(STEP)
    numbers = [*range(1, FIRST), *range(FIRST + start, count + 1, STEP)]
    wrong = {}
    for number in numbers:
        folder = place / f"{MODES.index(mode)}-{number}"
        folder.mkdir()
        ended = finish(fork(score_on, folder, number, mode))
        assert ended == (0 if mode in {"once", "from then on"} else KILLED)
        if finish(fork(go_on, folder, expected, mode)) == 0:
            shutil.rmtree(folder)
        else:
            wrong[number] = folder / "said"
    measured("changes of the disk", f"{len(numbers)} tried of {count}")
    assert not wrong
