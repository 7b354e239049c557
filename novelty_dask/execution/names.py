"""Names of tasks, by which Dask's dashboard counts and colors them.

Dask takes the beginning of a key for a name, up to the first ``-`` that no word follows.  Tasks with one name
have one bar, and a color that follows from the name alone.  A scheduler never forgets a name: a stage has the
same one in every run, and what tells runs apart stands behind it in the key.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from functools import cache

from novelty_dask.planning.stages import INGEST, SORT, STAGES, Stage

LABEL_CHARACTERS = 24
OF_DASK = (INGEST.name, "load", SORT.name)
"""Names that Dask gives to the tasks of its collections."""
MOST_SPACES = 99


def run_label(url: str) -> str:
    """Return the name of a run as a dashboard shows it: that of its folder, without secrets and ``-``.

    >>> run_label("s3://me:pw@bucket/crawl-2024.zarr?token=x")
    'crawl_2024'
    """
    name = re.split("[?#]", url, maxsplit=1)[0].rstrip("/").rpartition("/")[2].removesuffix(".zarr")
    return re.sub(r"\W+", "_", name)[:LABEL_CHARACTERS] or "run"


def task_name(stage: str) -> str:
    """Return the name of the tasks of a stage, in a color that no other stage of a run has.

    >>> task_name("compare").strip()
    'compare'
    """
    return _stage_names().get(stage, stage)


@cache
def _stage_names() -> dict[str, str]:
    """Return the name of the tasks of each stage."""
    colors = {name: _color(name) for name in OF_DASK}
    names = {name: name for name in OF_DASK}
    # First the stages of all runs; those of one kind need other colors than these and their own kind only.
    for stage in sorted(STAGES, key=lambda stage: any(_kind(stage))):
        if stage.name not in names:
            others = (each.name for each in STAGES if not any(_kind(each)) or _kind(each) == _kind(stage))
            taken = {colors.get(name) for name in (*OF_DASK, *others)} - {None}
            names[stage.name] = chosen = _in_other_color(stage.name, taken)
            colors[stage.name] = _color(chosen)
    return names


def _kind(stage: Stage) -> tuple[bool, ...]:
    """Return which runs have the stage; all if every value is False."""
    return stage.is_against, stage.is_in_time, stage.is_grouped


def _in_other_color(name: str, taken: Iterable[str | None]) -> str:
    """Return a name with as many spaces behind it, which no page shows, as give it a color of its own."""
    names = (name + " " * n for n in range(MOST_SPACES))
    return next((each for each in names if _color(each) not in taken), name)


def _color(name: str) -> str | None:
    """Return the color in which the dashboard shows a name; None if this version of Dask does not say."""
    with suppress(ImportError):
        from distributed.utils import color_of  # noqa: PLC0415

        return str(color_of(name))
    return None
