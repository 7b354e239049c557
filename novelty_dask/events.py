"""Events that a run emits while it works; listeners decide how they look.

Every event but those of stages reads as one sentence: ``str(event)``.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

MOST_ENDINGS = 5
"""Most endings of names that the sentence on a folder has."""
LONGEST_ENDING = 12
"""Characters of the longest ending of a name that is one."""
VERIFY = "verify"
"""Name of the stage in which all that is stored is read and compared."""


@dataclass(frozen=True)
class StageStarted:
    """A stage begins.

    Parameters
    ----------
    stage : str
    total : int or None
        Its tasks; None where their number is not known.
    done : int
        Tasks that were done before.
    """

    stage: str
    total: int | None
    done: int = 0


@dataclass(frozen=True)
class TaskAdvanced:
    """A task of a stage has been at work for some seconds.

    Parameters
    ----------
    stage, item : str
        The task; without an item, some short tasks of the stage.
    share : float
        Share of it that is done, 0 to 1.
    """

    stage: str
    item: str
    share: float


@dataclass(frozen=True)
class TaskDone:
    """A task of a stage is done."""

    stage: str


@dataclass(frozen=True)
class StageFinished:
    """All tasks of a stage are done.

    Parameters
    ----------
    stage : str
    seconds : float
        Wall time since it began.
    """

    stage: str
    seconds: float


@dataclass(frozen=True)
class DashboardOpened:
    """A dashboard shows the work."""

    url: str

    def __str__(self) -> str:
        """Return the sentence."""
        return f"Dashboard: {self.url}"


@dataclass(frozen=True)
class ClusterStarted:
    """A cluster was started for the work; its workers are awaited."""

    address: str
    seconds: int

    def __str__(self) -> str:
        """Return the sentence."""
        return f"Cluster: {self.address}, whose first worker has {self.seconds} s to join."


@dataclass(frozen=True)
class Warned:
    """Something is not as the user will have meant it."""

    message: str

    def __str__(self) -> str:
        """Return the sentence."""
        return self.message


class ConnectionExposed(Warned):
    """The connection to the scheduler is not encrypted."""


class NothingAdded(Warned):
    """The sources to add are in the run already."""

    def __init__(self, run: str) -> None:
        super().__init__(f"Nothing to add: {run!r} has all of these sources already.")


class ReferencesJoined(Warned):
    """The rows of several references are joined, before any is compared."""

    def __init__(self) -> None:
        super().__init__("First the rows of the references are joined, and weighed together.")


class FolderUnused(Warned):
    """The folder that is named for temporary files takes none."""


@dataclass(frozen=True)
class FolderFound:
    """The files of a folder are found.

    Parameters
    ----------
    name : str
        As it was named, without secrets.
    taken : mapping of str to int
        Files that are sources, by the last endings of their names.
    left : mapping of str to int
        Files that are not, by the reason.
    empty : int
        Files of those taken that have no bytes.
    """

    name: str
    taken: Mapping[str, int]
    left: Mapping[str, int]
    empty: int = 0

    def __str__(self) -> str:
        """Return the sentence, which has a few endings at most."""
        first = sorted(self.taken.items(), key=lambda item: (-item[1], item[0]))
        parts = [f"{count:,} {ending or 'without ending'}" for ending, count in first[:MOST_ENDINGS]]
        others = sum(count for _, count in first[MOST_ENDINGS:])
        parts += [f"{others:,} other"] if others else []
        n_taken, n_left = sum(self.taken.values()), sum(self.left.values())
        said = f"{self.name!r}: {n_taken:,} file{'s' * (n_taken != 1)} taken ({', '.join(parts)}"
        said += f"; {self.empty:,} empty)" if self.empty else ")"
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(self.left.items()))
        return said + (f", {n_left:,} left ({reasons})." if n_left else ", none left.")


@dataclass(frozen=True)
class DamageFound:
    """Something stored is missing or damaged, and is made again."""

    problem: str

    def __str__(self) -> str:
        """Return the sentence."""
        return f"Damage: {self.problem}"


@dataclass(frozen=True)
class TaskGivenUp:
    """A task failed for good, and the run goes on without it."""

    stage: str
    item: str
    reason: str

    def __str__(self) -> str:
        """Return the sentence."""
        return f"Given up: task {self.item} of {self.stage}; {self.reason}."


@dataclass(frozen=True)
class CompilationStarted:
    """A process compiles the kernels, which takes some seconds.

    Parameters
    ----------
    folder : str or None
        The folder from which later runs load the compiled code; None if no folder takes it.
    problem : str
        The reason why none takes it.
    """

    folder: str | None
    problem: str = ""

    def __str__(self) -> str:
        """Return the sentence."""
        if self.folder:
            return f"Compiling, once: later runs load the compiled code from {self.folder!r}."
        return (
            f"Compiling, as in every process: no folder takes the compiled code ({self.problem}); name one "
            "in XDG_CACHE_HOME."
        )


Event = (
    StageStarted
    | TaskAdvanced
    | TaskDone
    | StageFinished
    | DashboardOpened
    | ClusterStarted
    | Warned
    | FolderFound
    | DamageFound
    | TaskGivenUp
    | CompilationStarted
)
Listener = Callable[[Event], None]
"""Takes each event as it happens, in the process of the client."""


def ignore(event: Event) -> None:
    """Do nothing; the listener where nobody listens."""


def report_each(stage: str, items: Sequence[T], listener: Listener) -> Iterator[T]:
    """Report that a stage begins; return its items, and report each when the next is taken."""
    began = time.monotonic()
    listener(StageStarted(stage, len(items)))

    # A generator within: as a whole it would begin when the first item is taken, and report that too late.
    def each() -> Iterator[T]:
        for item in items:
            yield item
            # The caller has come for the next one.
            listener(TaskDone(stage))
        listener(StageFinished(stage, time.monotonic() - began))

    return each()
