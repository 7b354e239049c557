"""The client of a run: of a scheduler at an address or in a file, or of a cluster that is started for it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from distributed import Client

from novelty_dask.errors import ClusterError, SettingsError
from novelty_dask.events import ClusterStarted
from novelty_dask.execution.clusters import connect, gate, local, start
from novelty_dask.execution.clusters.keep import find_started

if TYPE_CHECKING:
    from novelty_dask.events import Listener
    from novelty_dask.settings import WorkSettings

# Whoever imports this on demand gets with it all that needs Distributed.
__all__ = ["await_worker", "connect", "gate", "local", "open_cluster", "reach", "read_address", "start"]


@contextmanager
def reach(address: str | None, settings: "WorkSettings", listener: "Listener") -> Iterator[Client]:
    """Yield a client of an address, or of the scheduler or the cluster that settings name.

    Raises
    ------
    SettingsError
        A file is bad, or others could read the connection.
    ClusterError
        There is no such scheduler, or no worker of the cluster started in time.
    """
    if settings.cluster is not None and address is None:
        with open_cluster(settings.cluster, listener, insecure=settings.insecure) as client:
            yield client
        return
    named = address or settings.scheduler or read_address(str(settings.scheduler_file))
    with connect.connect(named, settings.certs, insecure=settings.insecure) as client:
        yield client


def read_address(name: str) -> str:
    """Return the address of a scheduler in a file that it wrote.

    Raises
    ------
    SettingsError
        The file can't be read, or holds no address.
    """
    try:
        return str(json.loads(Path(name).read_bytes())["address"])
    except OSError as error:
        raise SettingsError(f"Can't read the scheduler file {name!r}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        message = f"The scheduler file {name!r} holds no address; name one that a Dask scheduler wrote."
        raise SettingsError(message) from None


@contextmanager
def open_cluster(name: str, listener: "Listener", *, insecure: bool = False) -> Iterator[Client]:
    """Yield a client of the cluster of a file, with a worker: of one that is started, or of a new one.

    A new one is taken down at the end.

    Raises
    ------
    SettingsError
        The file is bad, or the cluster would not encrypt beyond this machine.
    ClusterError
        It could not be started, or no worker has joined in the time that the file states.
    """
    place = start.check_place(name, insecure=insecure)
    if address := find_started(name):
        with connect.connect(address, place.certs, insecure=insecure) as client:
            yield client
        return
    with start.started(place) as cluster:
        listener(ClusterStarted(cluster.scheduler_address, place.wait))
        # A machine that starts workers is busy: the scheduler may take as long to answer as they to join.
        address = cluster.scheduler_address
        with connect.connect(address, place.certs, insecure=insecure, seconds=place.wait) as client:
            await_worker(client, name, place.wait)
            yield client


def await_worker(client: Client, name: str, seconds: int) -> None:
    """Wait for the first worker of a cluster.

    Raises
    ------
    ClusterError
        None has joined in time.
    """
    try:
        client.wait_for_workers(1, timeout=seconds)
    except TimeoutError:
        message = (
            f"No worker of the cluster of {name!r} has joined within {seconds} s; look at its queue, and at "
            "the logs in the folder that its file names."
        )
        raise ClusterError(message) from None
