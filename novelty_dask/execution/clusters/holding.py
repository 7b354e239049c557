"""A cluster that is started apart from a run: held by a process, and described."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from novelty_dask.execution.clusters.keep import find_started, kept, stop
from novelty_dask.execution.clusters.reach import open_cluster, start

__all__ = ["description", "held", "stop"]


@contextmanager
def held(name: str, say: Callable[[str], None], *, insecure: bool) -> Iterator[str]:
    """Start the cluster of a file, and yield the address of its scheduler when it has a worker.

    Parameters
    ----------
    name : str
        The file.
    say : callable
        Takes sentences on how far it is.
    insecure : bool
        True to allow one beyond this machine that does not encrypt.

    Raises
    ------
    SettingsError, ClusterError
        As of `open_cluster`; also if it is started already.
    """
    if find_started(name):
        # Refused by the same words as where two processes start it at once.
        with kept(name, ""):
            raise AssertionError
    with open_cluster(name, lambda event: say(str(event)), insecure=insecure) as client:
        address = str(client.scheduler_info()["address"])
        with kept(name, address):
            yield address


def description(name: str) -> list[str]:
    """Return lines on the cluster of a file: its keys, where it is if it is started, and the script of a job.

    Raises
    ------
    SettingsError
        The file is bad.
    """
    place = start.check_place(name, insecure=True)
    shown = place.model_dump(exclude={"environment"})
    lines = [f"{key}: {value}" for key, value in shown.items() if value is not None]
    lines.append(f"started: {find_started(name) or 'no'}")
    script = start.job_script(place)
    return [*lines, "", *script.rstrip().split("\n")] if script else lines
