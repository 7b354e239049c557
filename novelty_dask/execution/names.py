"""Names of tasks, by which Dask's dashboard counts and colors them.

Dask takes the beginning of a key for a name, up to the first ``-`` that no word follows.  Tasks with one name
have one bar, and a color that follows from the name alone.
"""

import re
from collections.abc import Callable
from contextlib import suppress

from novelty_dask.planning.stages import INGEST, SORT

PART_TASKS = 1_000
"""Tasks of one name.  The scheduler has all of them at once, so that a bar shows how many are left."""
LABEL_CHARACTERS = 24
OF_DASK = (INGEST.name, "load", SORT.name)
"""Names that Dask gives to the tasks of its collections."""
MOST_SPACES = 99


def run_label(url: str) -> str:
    """Return the name of a run in the names of its tasks: that of its folder, without secrets and ``-``.

    >>> run_label("s3://me:pw@bucket/crawl-2024.zarr?token=x")
    'crawl_2024'
    """
    name = re.split("[?#]", url, maxsplit=1)[0].rstrip("/").rpartition("/")[2].removesuffix(".zarr")
    return re.sub(r"\W+", "_", name)[:LABEL_CHARACTERS] or "run"


class TaskNames:
    """Names of the tasks of one run.

    Parameters
    ----------
    label : str
        Name of the run.
    """

    def __init__(self, label: str = "run") -> None:
        self.label = label
        self._colors: dict[str, str | None] = {name: _color(name) for name in OF_DASK}

    def name(self, stage: str, part: int) -> str:
        """Return the name of a thousand tasks of a stage, in a color that no other stage has."""
        number = f" {part + 1}" if part else ""
        plain = f"{stage}{number} of {self.label}"
        color = self._colors.get(stage)
        if color is not None and stage not in OF_DASK:
            return _in_color(plain, color.__eq__)
        others = {*self._colors.values()}
        chosen = _in_color(plain, lambda each: each not in others)
        self._colors[stage] = _color(chosen)
        return chosen


def _in_color(name: str, is_wanted: Callable[[str | None], bool]) -> str:
    """Return a name with as many spaces behind it, which no page shows, as give it a color that is wanted."""
    names = (name + " " * n for n in range(MOST_SPACES))
    return next((each for each in names if is_wanted(_color(each))), name)


def _color(name: str) -> str | None:
    """Return the color in which the dashboard shows a name; None if this version of Dask does not say."""
    with suppress(ImportError):
        from distributed.utils import color_of  # noqa: PLC0415

        return str(color_of(name))
    return None
