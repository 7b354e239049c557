"""What a scheduler loads when it starts, to show runs.

As in ``dask scheduler --preload novelty_dask.dashboard.preload``.

Dask imports it before it makes its pages, so that the page of runs is one of them.
"""

from typing import Any

from novelty_dask.dashboard.page import announce_page
from novelty_dask.dashboard.plugin import install

announce_page()


async def dask_setup(scheduler: Any) -> None:
    """Begin to watch the tasks of runs."""
    install(scheduler)
