"""Pace of drivers and supervisors, from ``novelty-dask.jobs`` of Dask's configuration."""

from typing import NamedTuple, Self

from novelty_dask.execution.patience import configured

SECTION = "novelty-dask.jobs"


class Pace(NamedTuple):
    """Pace at which drivers and supervisors look at the store, and how long they go on.

    Parameters
    ----------
    look : float
        Seconds between two looks of a supervisor at its jobs, and of a driver that waits for its turn.
    beat : float
        Seconds between two looks of a driver for a wish to cancel; its log is stored as often.
    pause : float
        Seconds after a first start before the next; each start without a new commit doubles them.
    longest : float
        Most seconds between two starts.
    starts : float
        Starts without a new commit, after which a job is given up.
    """

    look: float = 5
    beat: float = 2
    pause: float = 1
    longest: float = 60
    starts: float = 20

    @classmethod
    def read(cls) -> Self:
        """Return the values of Dask's configuration as it is now, and defaults for the rest.

        Raises
        ------
        SettingsError
            A value is no time, or no number.
        """
        return cls(*(configured(SECTION, name, default) for name, default in cls._field_defaults.items()))
