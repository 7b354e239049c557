"""The picture of the map of tiles."""

import numpy as np

from novelty_dask.dashboard.board import DONE, FAILED, RUNNING, Tiles
from novelty_dask.dashboard.tiles import MOST_COLUMNS, shrink


def test_few_tiles_are_shown_as_they_are() -> None:
    tiles = Tiles(3, 2)
    tiles.mark("1-0", DONE, 2.0)
    tiles.mark("2-1", RUNNING)
    states, seconds, longest = shrink(tiles)
    assert states.tolist() == [[0, DONE, 0], [0, 0, RUNNING]]
    assert seconds[0, 1] == longest == 2.0
    assert np.isnan(seconds).sum() == 5


def test_of_many_tiles_what_matters_is_shown() -> None:
    tiles = Tiles(10 * MOST_COLUMNS - 3, 1)
    tiles.states[:30] = DONE
    tiles.states[12] = FAILED
    tiles.states[25] = RUNNING
    tiles.seconds[4] = 9.0
    states, seconds, longest = shrink(tiles)
    assert states.shape == (1, MOST_COLUMNS)
    assert states[0, :4].tolist() == [DONE, FAILED, RUNNING, 0]
    assert seconds[0, 0] == longest == 9.0


def test_without_any_time_there_is_still_a_scale() -> None:
    assert shrink(Tiles(1, 1))[2] == 1.0
