"""Every exception that novelty_dask raises on purpose.

::

    NoveltyError
    ├── SettingsError   (also ValueError)    a setting is unknown or impossible
    ├── BudgetError     (also ValueError)    projected memory is over the limit
    ├── InputError      (also ValueError)    a source is missing, unreadable or holds no URL
    ├── StoreError      (also OSError)       a run on disk is absent, foreign, unfinished or damaged
    └── ClusterError    (also RuntimeError)  the scheduler or its workers failed or can't be reached

Each message is one sentence that says what is wrong and what to do.
"""


class NoveltyError(Exception):
    """Base of all errors raised on purpose."""


class SettingsError(NoveltyError, ValueError):
    """A setting is unknown, of the wrong type or outside its range."""


class BudgetError(NoveltyError, ValueError):
    """The memory that a task is projected to need exceeds what a worker may use."""


class InputError(NoveltyError, ValueError):
    """A source does not exist, can't be read, or holds no URL."""


class StoreError(NoveltyError, OSError):
    """A path holds no run, an unfinished run, another run, or damaged data."""


class ClusterError(NoveltyError, RuntimeError):
    """The Dask scheduler can't be reached, or its workers failed."""
