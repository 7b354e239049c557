"""The declaration of a stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from novelty_dask.planning.arrays import WHOLE, ArraySpec

if TYPE_CHECKING:
    from novelty_dask.planning.budget import Budget, Load
    from novelty_dask.planning.matrix import Matrix
    from novelty_dask.planning.shapes import Items, RunShape


class TaskId(NamedTuple):
    """The identity of a task: the name of its stage, and its item."""

    stage: str
    item: str


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Parameters
    ----------
    name : str
        As people see it, here and on the dashboard.
    items : callable
        Takes the shape of a run; returns the items of the stage, or None.
    inputs : callable
        Takes the shape and an item; yields the tasks whose results its task reads: of earlier stages, or
        earlier ones of the same.
    task_bytes : callable
        Takes a budget and a load; returns the most bytes that a task holds, its process not included.
    arrays : callable
        Takes the shape; returns the arrays that its tasks write, none while they are not known.
    replaces : tuple of Stage
        Earlier stages whose results nobody needs after it.
    folders : tuple of str
        Folders of a run with all that its tasks leave, to be removed with it.
    has_blocks : bool
        True if the memory of a task depends on the rows of a block.
    may_fail : bool
        True if the rest is worth having without some of its tasks.
    is_against : bool
        True if there are tasks of it only where rows are compared with a reference.
    is_in_time : bool
        True if there are tasks of it only where rows are compared with those that were seen before them.
    is_grouped : bool
        True if there are tasks of it only where rows have neighbors outside their groups alone.
    data : {"lines", "vectors", ""}
        What runs compare that have tasks of it; all have if it is empty.
    """

    name: str
    items: Callable[[RunShape], Items]
    inputs: Callable[[RunShape, str], Iterable[TaskId]]
    task_bytes: Callable[[Budget, Load], int]
    arrays: Callable[[RunShape], list[ArraySpec]] = lambda _shape: []
    replaces: tuple[Stage, ...] = ()
    folders: tuple[str, ...] = ()
    has_blocks: bool = True
    may_fail: bool = False
    is_against: bool = False
    is_in_time: bool = False
    is_grouped: bool = False
    data: str = "lines"

    def is_of(self, matrix: Matrix | None) -> bool:
        """Return whether runs of a matrix, or of lines without one, have tasks of it."""
        return self.data in ("", "vectors" if matrix else "lines")

    def is_needed(self, budget: Budget) -> bool:
        """Return whether runs of a budget have tasks of it."""
        return (
            self.is_of(budget.matrix)
            and (budget.known is not None or not self.is_against)
            and (budget.is_in_time or not self.is_in_time)
            and (budget.is_grouped or not self.is_grouped)
        )

    def task(self, item: str = WHOLE) -> TaskId:
        """Return the identity of one of its tasks."""
        return TaskId(self.name, item)

    def tasks(self, shape: RunShape) -> list[TaskId]:
        """Return the identities of all its tasks, none while they are not known."""
        return [self.task(item) for item in self.items(shape) or ()]
