"""Clusters that are started from a file, adapt to the work, and are taken down whatever happens."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import dask
from dask.utils import parse_timedelta
from distributed import Scheduler, SpecCluster
from distributed.security import Security

from novelty_dask.errors import ClusterError, SettingsError, reason
from novelty_dask.execution.clusters.commands import TERM_SECONDS, CommandWorker
from novelty_dask.execution.clusters.configuration import quieten_distributed, read_configuration
from novelty_dask.execution.clusters.places import BatchPlace, Place, SshPlace, read_place
from novelty_dask.execution.clusters.security import check_files, is_exposed, tls_configuration

ADAPTIVE = {
    # Jobs wait in a queue: what was asked for is not taken back for a lull of some seconds.
    "distributed.adaptive.interval": "2s",
    "distributed.adaptive.wait-count": 30,
    # A tile takes about so long; with Dask's half second, too few workers are asked for at first.
    "distributed.scheduler.unknown-task-duration": "60s",
    # A worker that has left is replaced after so long.
    "distributed.deploy.lost-worker-timeout": "5s",
}
"""Configuration by which a cluster adapts to its work."""
CLOSE_SECONDS = 3 * TERM_SECONDS
DEATH_SECONDS = 180
"""Time after which a worker without a scheduler ends by itself."""
LEAVE_SECONDS = 120
"""Time before the end of its job at which a worker leaves in order."""
EXTRA = "Batch systems need the package dask-jobqueue; install it with `pip install 'novelty-dask[cluster]'`."


def check_place(name: str, *, insecure: bool) -> Place:
    """Read the file of a cluster, and refuse one that others on the network could use.

    Raises
    ------
    SettingsError
        The file is bad, a certificate is missing, or the cluster would not encrypt beyond this machine.
    """
    place = read_place(name)
    if place.certs:
        check_files(place.certs, "scheduler", "worker", "client")
    elif not insecure and (place.host is None or is_exposed(f"{place.host}:1")):
        message = (
            f"The cluster of {name!r} would not encrypt, and is reached from beyond this machine: make "
            "certificates with `novelty cluster certs`, and name their folder as certs in it, or allow it "
            "(insecure=True)."
        )
        raise SettingsError(message)
    return place


@contextmanager
def started(place: Place) -> Iterator[SpecCluster]:
    """Start the scheduler of a cluster in this process, and its workers; take all down at the end.

    Raises
    ------
    SettingsError
        A package is missing.
    ClusterError
        It could not be started.
    """
    quieten_distributed()
    with dask.config.set(configuration(place)):
        try:
            with warnings.catch_warnings():
                # Another program may have the port of the dashboard; then Dask takes any.
                warnings.filterwarnings("ignore", "Port .* is already in use")
                cluster = _make(place)
            # A fixed size would not bring back a worker that was killed.
            cluster.adapt(minimum=place.minimum, maximum=place.maximum)
        except (SettingsError, ClusterError):
            raise
        except Exception as error:
            message = f"The cluster could not be started: {reason(error)}; see its file."
            raise ClusterError(message) from error
        try:
            yield cluster
        finally:
            # An error while it is taken down would hide the one that ended the work.
            with suppress(Exception):
                cluster.close(timeout=CLOSE_SECONDS)


def job_script(place: Place) -> str:
    """Return the script of a job, as a batch system gets it; nothing for other places.

    Raises
    ------
    SettingsError
        A package is missing.
    """
    if not isinstance(place, BatchPlace):
        return ""
    # The scheduler of this cluster listens on this machine alone, for the moment that it takes.
    here = place.model_copy(update={"host": "127.0.0.1", "port": 0, "dashboard": 0, "interface": None})
    with dask.config.set(configuration(place)), _make(here) as cluster:
        script: str = cluster.job_script()
        return script.replace(cluster.scheduler_address, "SCHEDULER")


def configuration(place: Place) -> dict[str, Any]:
    """Return Dask's configuration for the scheduler and the workers of a place, by dotted names."""
    return {**read_configuration(), **ADAPTIVE, **(tls_configuration(place.certs) if place.certs else {})}


def worker_environment(place: Place) -> dict[str, str]:
    """Return the variables by which Dask configures a worker that is started elsewhere."""
    named = {
        "DASK_" + name.replace(".", "__").replace("-", "_").upper(): str(value)
        for name, value in configuration(place).items()
        if name not in ADAPTIVE
    }
    return {**named, **place.environment}


def _make(place: Place) -> SpecCluster:
    """Return the cluster of a place, without workers yet."""
    scheduler = {
        "host": place.host,
        "port": place.port,
        "protocol": place.protocol,
        # Whoever reaches a dashboard sees names of hosts and runs: it is for this machine alone.
        "dashboard_address": f"127.0.0.1:{place.dashboard}",
    }
    # Of the configuration, which names the certificates of each role.
    security = Security(require_encryption=True) if place.certs else Security()
    if isinstance(place, BatchPlace):
        return _make_batch(place, scheduler, security)
    command = [place.python, "-m", "dask", "worker", "--no-dashboard", "--nthreads", str(place.threads)]
    command += ["--memory-limit", str(place.memory), "--death-timeout", str(DEATH_SECONDS)]
    command += ["--protocol", place.protocol]
    is_remote = isinstance(place, SshPlace)
    options = {
        "command": command if is_remote else [*command, "--host", str(place.host)],
        "environment": worker_environment(place),
        "logs": place.logs,
        "hosts": place.hosts if isinstance(place, SshPlace) else [],
        "ssh": place.ssh if isinstance(place, SshPlace) else [],
    }
    return SpecCluster(
        scheduler={"cls": Scheduler, "options": {**scheduler, "security": security}},
        worker={"cls": CommandWorker, "options": options},
        security=security,
        name="novelty",
        silence_logs="CRITICAL",
    )


def _make_batch(place: BatchPlace, scheduler: dict[str, Any], security: Security) -> SpecCluster:
    """Return the cluster of a batch system, whose jobs are workers."""
    try:
        from dask_jobqueue.pbs import PBSCluster  # noqa: PLC0415 - of an extra
        from dask_jobqueue.slurm import SLURMCluster  # noqa: PLC0415
    except ImportError:
        raise SettingsError(EXTRA) from None
    kind: Any = PBSCluster
    directives = list(place.directives)
    if place.place == "slurm":
        # By default Slurm hands the whole environment of the submitter to jobs, secrets too.
        kind, directives = SLURMCluster, ["--export=NONE", *directives]
    leave = max(60, parse_timedelta(_seconds(place.walltime)) - LEAVE_SECONDS)
    exports = [f"export {name}={_quoted(value)}" for name, value in worker_environment(place).items()]
    made: SpecCluster = kind(
        cores=place.threads,
        processes=1,
        memory=f"{place.memory} B",
        queue=place.queue,
        account=place.account,
        walltime=place.walltime,
        interface=place.interface,
        protocol=place.protocol,
        security=security if place.certs else None,
        python=place.python,
        job_name="novelty-worker",
        job_extra_directives=directives,
        job_script_prologue=[*exports, *place.prologue],
        # A worker that leaves in order is no suspect in the death of its tasks.
        worker_extra_args=["--no-dashboard", "--lifetime", f"{leave:.0f}s", "--lifetime-stagger", "60s"],
        death_timeout=DEATH_SECONDS,
        log_directory=place.logs,
        scheduler_options=scheduler,
        silence_logs="CRITICAL",
    )
    return made


def _seconds(walltime: str) -> str:
    """Return the time of a job in seconds.

    >>> _seconds("1-02:00:00")
    '93600s'
    """
    days, _, clock = walltime.rpartition("-")
    hours, minutes, seconds = map(int, clock.split(":"))
    return f"{((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds}s"


def _quoted(value: str) -> str:
    """Return a value as a word of a shell.

    >>> _quoted("16 MiB")
    "'16 MiB'"
    """
    return "'" + value.replace("'", "'\\''") + "'"
