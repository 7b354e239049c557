"""Checks of a cluster and of a store: what each worker needs for a run, and whether strangers are refused."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from novelty_dask.api import plan
from novelty_dask.doctor import LEAST_MEMORY, OK, PROBLEM, WARNING, Check
from novelty_dask.errors import BudgetError
from novelty_dask.execution.clusters import probes
from novelty_dask.execution.clusters.reach import connect, reach

if TYPE_CHECKING:
    from distributed import Client

    from novelty_dask.planning.summary import RunPlan
    from novelty_dask.settings import Settings

MOST_SECONDS = 5.0
"""Difference of two clocks that is worth a word."""
DASHBOARD_PORT = 8787


def examine_cluster(
    settings: "Settings",
    store: str | None = None,
    sources: Sequence[str] = (),
    against: Sequence[str] = (),
) -> list[Check]:
    """Check the cluster that settings name, and a store with all of its workers.

    Parameters
    ----------
    settings : Settings
        With a scheduler, a file of one, or a cluster, which is started for the checks.
    store : str, optional
        Folder or URL in which runs are to be stored; what is written there is removed.
    sources, against : sequence of str
        As for `plan`: the memory of the workers must suffice for a run of these.

    Raises
    ------
    InputError, SettingsError, StoreError
        The sources can't be planned for.
    SettingsError, ClusterError
        There is no such cluster, or it can't be reached.
    """

    def plan_on(client: "Client") -> "RunPlan | None":
        return plan(sources, against=against, client=client, settings=settings) if sources else None

    with reach(None, settings, lambda _event: None) as client:
        return list(_checks(client, settings, store, plan_on))


def _checks(
    client: "Client",
    settings: "Settings",
    store: str | None,
    plan_on: "Callable[[Client], RunPlan | None]",
) -> Iterator[Check]:
    """Yield the checks."""
    address = str(client.scheduler_info()["address"])
    yield _encryption(address, connect.encryption_warning(client), probes.open_ways(address))
    resources = connect.client_resources(client, settings.memory_limit)
    answers = probes.ask_workers(client)
    known = {worker: answer for worker, answer in answers.items() if isinstance(answer, dict)}
    yield _versions(answers, probes.describe_worker()["versions"])
    yield _memory(resources.memory_limit, resources.workers, lambda: plan_on(client))
    yield _cores(known, resources.threads)
    yield _requests(known, resources.threads)
    yield _clocks(known)
    yield _compiled(known)
    if store is not None:
        yield _store(store, probes.try_store(client, store, uuid.uuid4().hex[:8]))
    yield _dashboard(connect.dashboard_link(client), address)


def _encryption(address: str, warning: str | None, ways: list[str]) -> Check:
    """Return whether others on the network get an answer of the scheduler, as was tried."""
    advice = "Give it certificates: novelty cluster certs."
    if warning:
        return Check("encryption", PROBLEM, f"{address} is open to the network", advice)
    if address.startswith("tls://"):
        if ways:
            return Check("encryption", PROBLEM, f"{address} answers strangers {' and '.join(ways)}", advice)
        return Check("encryption", OK, f"{address} refuses strangers, with and without encryption")
    return Check("encryption", OK, f"{address} is reached from this machine alone")


def _versions(answers: dict[str, Any], here: dict[str, str]) -> Check:
    """Return whether all workers have the versions of this process."""
    for worker, answer in answers.items():
        advice = "Install the same versions as here on all workers."
        if not isinstance(answer, dict):
            return Check("workers", PROBLEM, f"{worker} can't import this version of novelty_dask", advice)
        found = answer["versions"]
        differing = [
            f"{name} {found.get(name, 'is missing')}" for name in here if found.get(name) != here[name]
        ]
        if differing:
            return Check("workers", PROBLEM, f"{worker} has {', '.join(differing)}", advice)
    return Check("workers", OK, f"{len(answers)} with the versions of this machine")


def _memory(limit: int, n_workers: int, make_plan: "Callable[[], RunPlan | None]") -> Check:
    """Return whether the memory of the smallest worker suffices, for the plan of a run if there is one."""
    name, found = "worker memory", f"{n_workers} with {limit // 10**6:,} MB, or more"
    try:
        planned = make_plan()
    except BudgetError as error:
        return Check(name, PROBLEM, f"{found}, which is too little for the sources", str(error))
    if planned is None:
        advice = "Name the sources of a run, to see what it needs."
        return Check(name, PROBLEM, found, advice) if limit < LEAST_MEMORY else Check(name, OK, found)
    return Check(name, OK, f"{found}; the sources need {-(-planned.worker_bytes // 10**6):,} MB of a worker")


def _cores(answers: dict[str, dict[str, Any]], threads: int) -> Check:
    """Return whether the workers of each host have as many cores as threads."""
    needed: dict[str, int] = {}
    cores: dict[str, int] = {}
    for answer in answers.values():
        host = answer["host"]
        needed[host] = needed.get(host, 0) + threads
        cores[host] = max(cores.get(host, 0), answer["cores"])
    crowded = [host for host, count in needed.items() if count > cores[host]]
    if crowded:
        found = f"{needed[crowded[0]]} threads on the {cores[crowded[0]]} cores of {crowded[0]}"
        return Check("worker cores", WARNING, found, "Start fewer workers there, or with fewer threads.")
    return Check("worker cores", OK, f"{sum(needed.values())} threads, a core for each")


def _requests(answers: dict[str, dict[str, Any]], threads: int) -> Check:
    """Return whether each thread of a worker can have a request to a store in flight."""
    least = min((answer["requests"] for answer in answers.values()), default=threads)
    found = f"at least {least} at once of a worker, by at most {threads} of its threads"
    if least < threads:
        return Check("worker requests", WARNING, found, "Set ZARR_THREADING__MAX_WORKERS there.")
    return Check("worker requests", OK, found)


def _clocks(answers: dict[str, dict[str, Any]]) -> Check:
    """Return the largest difference of the clock of a worker from that of this machine."""
    ahead = max((answer["ahead"] for answer in answers.values()), key=abs, default=0.0)
    found = f"differ by {abs(ahead):.1f} s at most"
    doubt = max((answer["doubt"] for answer in answers.values()), default=0.0)
    if abs(ahead) > MOST_SECONDS + doubt:
        return Check(
            "clocks", WARNING, found, "Set the clocks, as with NTP; signed requests to stores may fail."
        )
    return Check("clocks", OK, found)


def _compiled(answers: dict[str, dict[str, Any]]) -> Check:
    """Return whether each worker has a folder for compiled code."""
    for worker, answer in answers.items():
        if not answer["compiled"]:
            found = f"{worker} keeps none ({answer['problem']})"
            return Check("worker code", WARNING, found, "Name a folder of its own there in NUMBA_CACHE_DIR.")
    return Check("worker code", OK, "compiled code is kept by each worker")


def _store(url: str, answers: dict[str, Any]) -> Check:
    """Return whether each worker wrote, was refused to overwrite, and read, and one of them was the first."""
    advice = "Runs need a store that refuses to overwrite, and credentials on each worker."
    for worker, answer in answers.items():
        if not isinstance(answer, dict):
            return Check("store", PROBLEM, f"{worker} can't use {url!r}: {_short(answer)}", advice)
        missing = [name for name in ("created", "refused", "read") if not answer[name]]
        if missing:
            return Check("store", PROBLEM, f"{url!r} of {worker} fails: not {', '.join(missing)}", advice)
    n_first = sum(answer["shared"] for answer in answers.values())
    if n_first != 1:
        found = f"{n_first} workers are the first to create one object in {url!r}: they see different stores"
        return Check("store", PROBLEM, found, "Name a store that is the same for all workers.")
    return Check("store", OK, f"{url!r} is written and read by each of {len(answers)} workers")


def _short(error: object) -> str:
    """Return an error in a few words."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _dashboard(link: str | None, address: str) -> Check:
    """Return the link of the dashboard, whether it opens, and how to open it from elsewhere."""
    if link is None:
        return Check("dashboard", OK, "there is none")
    parts = urlsplit(link)
    host = urlsplit(address).hostname or "HOST"
    port = parts.port or DASHBOARD_PORT
    is_there, problem = probes.open_page(link)
    if is_there and problem:
        return Check("dashboard", WARNING, f"{link} answers {problem}", "Look at the log of the scheduler.")
    opens = f"does not open here ({problem})" if problem else "opens"
    return Check("dashboard", OK, f"{link} {opens}; from elsewhere: ssh -L {port}:127.0.0.1:{port} {host}")
