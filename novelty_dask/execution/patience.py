"""Patience with a scheduler and its workers: seconds, from ``novelty-dask.patience`` of Dask's configuration.

It is no setting of a run: a file, an environment variable such as
``DASK_NOVELTY_DASK__PATIENCE__ANSWER=2s``, or ``dask.config.set`` reaches every process that waits.
"""

from contextlib import suppress
from typing import Any, NamedTuple, Self

import dask.config
from dask.utils import parse_timedelta

from novelty_dask.errors import SettingsError

SECTION = "novelty-dask.patience"


class Patience(NamedTuple):
    """Seconds that a run waits for a scheduler and its workers.

    Parameters
    ----------
    connect : float
        For a scheduler to accept a connection, also once more when it was lost, and for its first worker.
    answer : float
        For an answer of the scheduler, until it counts as frozen or cut off.
    watch : float
        Between two looks at the workers.
    workerless : float
        For a worker, once there is none.
    settle : float
        For workers to end tasks that were dropped.
    settled : float
        For an answer to the question whether they have.
    close : float
        For the scheduler when the connection is closed.
    """

    connect: float = 10
    answer: float = 30
    watch: float = 5
    workerless: float = 60
    settle: float = 60
    settled: float = 4
    close: float = 2

    @classmethod
    def read(cls) -> Self:
        """Return the values of Dask's configuration as it is now, and defaults for the rest.

        >>> with dask.config.set({"novelty-dask.patience.answer": "500ms"}):
        ...     Patience.read().answer
        0.5

        Raises
        ------
        SettingsError
            A value is no time.
        """
        return cls(*(configured(SECTION, name, default) for name, default in cls._field_defaults.items()))


def configured(section: str, name: str, default: float) -> float:
    """Return a time of a section of the configuration, in seconds.

    Raises
    ------
    SettingsError
        The value is no time.
    """
    value: Any = dask.config.get(f"{section}.{name}", default)
    seconds = 0.0
    with suppress(AttributeError, LookupError, TypeError, ValueError):
        seconds = float(parse_timedelta(value))
    if not 0 < seconds < float("inf"):
        message = f"{section}.{name} of Dask's configuration must be a time such as '30s', not {value!r}."
        raise SettingsError(message)
    return seconds
