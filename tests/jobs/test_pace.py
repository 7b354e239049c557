import dask
import pytest

from novelty_dask.errors import SettingsError
from novelty_dask.jobs.pace import Pace


def test_the_pace_is_that_of_the_configuration() -> None:
    assert Pace.read() == Pace()
    with dask.config.set({"novelty-dask.jobs.look": "500ms", "novelty-dask.jobs.starts": 3}):
        assert Pace.read() == Pace(look=0.5, starts=3)


def test_what_is_no_time_is_refused() -> None:
    with (
        dask.config.set({"novelty-dask.jobs.look": "soon"}),
        pytest.raises(SettingsError, match=r"jobs\.look"),
    ):
        Pace.read()
