"""The order of the stages of a run, and of the tasks of a stage.

A run of text goes through `TEXT_STAGES`; one of vectors has fewer (`stages_of`), and shares the later ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from novelty_dask.planning.stages import WEIGH, Stage, TaskId, stages_of

if TYPE_CHECKING:
    from collections.abc import Container

    from novelty_dask.planning.shapes import RunShape

TEXT_STAGES: Sequence[Stage] = stages_of(None)
PREPARING: Sequence[Stage] = TEXT_STAGES[: TEXT_STAGES.index(WEIGH) + 1]
"""Stages after which the rows of other runs can be compared with those of a run."""


def lasting_stages(stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages whose results are kept.

    >>> " ".join(stage.name for stage in lasting_stages(TEXT_STAGES))
    'rejected vectorize columns weigh locate date tally group merge cite cover density lof calibrate'
    """
    replaced = {stage for other in stages for stage in other.replaces}
    return [stage for stage in stages if stage not in replaced]


class Schedule(NamedTuple):
    """The order in which the tasks of a stage can be done.

    Parameters
    ----------
    ready : deque of str
        Items that can be begun at once.
    unlocked : dict
        By item, the items that can be begun when it is done.
    hopeless : list of (str, TaskId)
        Items that can't be done, each with the first failed task that it needs.
    """

    ready: deque[str]
    unlocked: dict[str, list[str]]
    hopeless: list[tuple[str, TaskId]]


def make_schedule(stage: Stage, shape: RunShape, needed: Container[str], failed: set[TaskId]) -> Schedule:
    """Put the needed items of a stage in order; some of them need others of the same stage.

    Parameters
    ----------
    stage : Stage
    shape : RunShape
    needed : container of str
        Items to be done.
    failed : set of TaskId
        Tasks that were given up.
    """
    schedule = Schedule(deque(), {}, [])
    for item in stage.items(shape) or ():
        if item not in needed:
            continue
        inputs = list(stage.inputs(shape, item))
        # A task needs at most one of its own stage: a tile the first of its span.
        own = [task.item for task in inputs if task.stage == stage.name and task.item in needed]
        # Of several, the first by name, so that every session reports the same.
        if missing := failed.intersection(inputs):
            schedule.hopeless.append((item, min(missing)))
        elif own:
            schedule.unlocked.setdefault(own[0], []).append(item)
        else:
            schedule.ready.append(item)
    return schedule
