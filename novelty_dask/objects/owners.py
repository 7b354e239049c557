"""Ownership of a run by one client at a time, by records that are created once.

Epochs are numbered from 1.  The owner of the newest epoch is active unless it has released it or its process
is dead.  A worker commits only while the epoch in which its task was sent is the newest.

No decision rests on the time of the calendar, which may be set forward or back at any moment, on each host
by itself.  See docs/decisions/015-owners-without-clocks.md.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from novelty_dask.errors import OwnedError, StoreError, reason
from novelty_dask.objects.creation import create_object, make_token
from novelty_dask.objects.processes import State, describe, state_of, this_process

if TYPE_CHECKING:
    from novelty_dask.objects.protocol import Objects

OWNERS_FOLDER = "owners/"
JOBS_FOLDER, DRIVER_START = "jobs/", "start-"
"""Where the records of jobs are, and how the names of those begin that drivers store at their start."""
CLOCK = f"{OWNERS_FOLDER}clock."
"""Beginning of the keys of objects that are stored for a moment, to read the clock of the store."""
HEARTBEAT_SECONDS = 10.0
SILENT_SECONDS = 60.0
"""Time without a heartbeat, by the clock of the store, after which an unseen owner counts as silent."""
WATCH_SECONDS = 30.0
"""Time for which a client then waits for a heartbeat itself, before it takes over."""
CLAIM_ATTEMPTS = 5

LOGGER = logging.getLogger(__name__)


class JobToken(NamedTuple):
    """Token of a job, by which its drivers know each other.

    Parameters
    ----------
    job : str
        Token of the job, which no other has.
    scheduler : str
        Name of the scheduler that started the driver; it starts another once it has lost the one before.
    """

    job: str
    scheduler: str = ""


class Owner:
    """Right to work on a run, held until it is released; a context manager.

    Parameters
    ----------
    objects : Objects
        Of the run.
    epoch : int
        The epoch that was claimed.
    token : str
        That of the record of the claim.
    """

    def __init__(self, objects: Objects, epoch: int, token: str) -> None:
        self.objects = objects
        self.epoch = epoch
        self.token = token
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="novelty-heartbeat", daemon=True)
        # Heartbeats in a row that could not be stored.
        self._missed = 0

    def __enter__(self) -> Self:
        self._beating.start()
        return self

    def stop_beating(self) -> None:
        """Store no heartbeat any more, before what it would make anew is removed."""
        self._ended.set()
        # One may be under way.
        self._beating.join()

    def __exit__(self, *_: object) -> None:
        self.stop_beating()
        if self._missed:
            LOGGER.warning("Heartbeats of this client that could not be stored at the end: %d.", self._missed)
        try:
            # A removal, not a record of the release: it succeeds on a full disk, too.
            self.objects.remove(owner_key(self.epoch, "alive"))
        except Exception as error:  # noqa: BLE001 - each store has its own
            # Not raised: it would hide the error that ended the work, or make a failure of work that is done.
            LOGGER.warning("This client could not release the run: %s.", reason(error))

    def _beat(self) -> None:
        """Record every few seconds that this process is alive."""
        while not self._ended.wait(HEARTBEAT_SECONDS):
            try:
                # Where the run was moved away, a heartbeat would make its folder anew.
                if _exists(self.objects, owner_key(self.epoch, "json")):
                    _record_alive(self.objects, self.epoch, self.token)
                self._missed = 0
            except BaseException as error:  # noqa: BLE001 - whatever it is, the next may be stored
                # Said once, not every ten seconds of an outage; one that is missing makes nobody silent.
                if not self._missed:
                    LOGGER.warning("A heartbeat could not be stored and is tried again: %s.", reason(error))
                self._missed += 1


def claim(
    objects: Objects,
    name: str,
    *,
    take_over: bool = False,
    command: str = "novelty resume",
    job: JobToken | None = None,
) -> Owner:
    """Become the owner of a run.

    Parameters
    ----------
    objects : Objects
        Of the run.
    name : str
        The run, as the user knows it.
    take_over : bool
        True to succeed an owner on another host that has been silent for a minute.
    command : str
        The command that then goes on.
    job : JobToken, optional
        The job that the client drives.  It succeeds a driver of the same job and scheduler at once, and one
        of another scheduler, wherever it was, after half a minute without a sign of life.

    Raises
    ------
    OwnedError
        Another client is active, or may be.
    """
    for _ in range(CLAIM_ATTEMPTS):
        newest, token = newest_epoch(objects), make_token()
        if newest:
            _check_free(objects, newest, name, command, take_over=take_over, job=job)
        if _create_record(objects, newest + 1, token, job):
            # The records stay.  Were one removed, a client that looked before it existed could create it
            # anew, and take itself for the owner; and `check_epoch` would have to list them.
            for old in range(max(1, newest - 1), newest):
                objects.remove(owner_key(old, "alive"))
            return Owner(objects, newest + 1, token)
        # Another client was a moment faster: look again, to name it.
    message = f"Another client has just begun to work on {name!r}; wait for it, or stop it."
    raise OwnedError(message)


def _create_record(objects: Objects, epoch: int, token: str, job: JobToken | None) -> bool:
    """Create the record of this client as the owner of an epoch; return whether it is the first."""
    driven = job._asdict() if job else {}
    me = json.dumps({**this_process(), **driven, "since": time.time(), "token": token}).encode()
    # The heartbeat comes first: an epoch without one counts as released.  It stays if another client is the
    # first, which may rely on it; the token tells whose it is.
    _record_alive(objects, epoch, token)
    is_first = create_object(objects, owner_key(epoch, "json"), me)
    # A client that claimed at the same time would otherwise wait for the next heartbeat to be refused.
    if is_first and not _is_by(objects, epoch, token):
        with suppress(Exception):
            _record_alive(objects, epoch, token)
    return is_first


def newest_epoch(objects: Objects, known: int = 0) -> int:
    """Return the newest epoch of a run; 0 if there was none.

    Parameters
    ----------
    objects : Objects
        Of the run.
    known : int
        An epoch that was claimed, as far as the caller knows.
    """
    claims = [key for key in objects.sizes(OWNERS_FOLDER) if key.endswith(".json")]
    numbers = [key.removeprefix(OWNERS_FOLDER).partition(".")[0] for key in claims]
    newest = max((int(number) for number in numbers if number.isdecimal()), default=0)
    # The listing of a store may lag behind, but reading does not.
    if known > newest and _exists(objects, owner_key(known, "json")):
        newest = known
    while _exists(objects, owner_key(newest + 1, "json")):
        newest += 1
    return newest


def check_epoch(objects: Objects, epoch: int) -> None:
    """Refuse to continue after a newer client has taken over.

    Raises
    ------
    OwnedError
        It has.
    StoreError
        The run is gone.
    """
    # Whoever takes over has the next record, which is never removed: two reads, where a listing costs a store
    # as much as storing an object, and each commit comes by here.
    if not _exists(objects, owner_key(epoch + 1, "json")) and _exists(objects, owner_key(epoch, "json")):
        return
    newest = newest_epoch(objects, epoch)
    if newest == epoch:
        return
    if not newest:
        message = "The run is gone: it was moved or removed while it was worked on; this client stops."
        raise StoreError(message)
    message = f"Another client, of epoch {newest}, has taken over from epoch {epoch}; this one stops."
    raise OwnedError(message)


def holder(objects: Objects) -> str | None:
    """Return a description of the client that is active on a run, or may be; None if there is none."""
    active = _find_active(objects)
    return None if active is None else describe(*active)


def find_driven(objects: Objects) -> str | None:
    """Return the token of the job that the active client of a run drives; None if there is none."""
    active = _find_active(objects)
    return None if active is None else active[0].get("job")


def _find_active(objects: Objects) -> tuple[dict[str, Any], float | None] | None:
    """Return the record of the active client, and its silence in seconds; None if there is none."""
    newest = newest_epoch(objects)
    if not newest or _heartbeat(objects, newest) is None:
        return None
    owner, heard = _record(objects, newest), _silence(objects, newest, time.time())
    state = state_of(owner)
    # These are words: nothing is decided by the clock of this host, which may differ from the store's.
    is_doubtful = _is_doubtful(objects, newest, owner, state)
    is_gone = state is State.DEAD or (is_doubtful and (heard or 0) > SILENT_SECONDS)
    return None if is_gone else (owner, heard)


def _check_free(
    objects: Objects, epoch: int, name: str, command: str, *, take_over: bool, job: JobToken | None
) -> None:
    """Refuse if the owner of an epoch is active, or may be."""
    if _heartbeat(objects, epoch) is None:
        return
    owner = _record(objects, epoch)
    is_heir = bool(job and owner.get("job") == job.job)
    # The scheduler has lost the driver before this one; cut off and still at work, it commits nothing more.
    if is_heir and job and owner.get("scheduler") == job.scheduler != "":
        return
    state, silent = state_of(owner), False
    heard = _silence(objects, epoch, time.time())
    if state is State.UNSEEN:
        # The state of a process on another host can't be seen, and a silent one may only be slow: somebody
        # who knows that it is dead has to say so.
        heard = _silence(objects, epoch, _store_time(objects))
        # A heartbeat of the future shows that the clock of the store was set back, and nothing else.
        silent = heard is None or not 0 <= heard <= SILENT_SECONDS
    is_request = _is_doubtful(objects, epoch, owner, state) or is_heir or (silent and take_over)
    if state is State.DEAD or (is_request and _stays_silent(objects, epoch, name)):
        return
    hint = "wait for it, or stop it"
    if silent and not take_over:
        hint = f"if it is dead, `{command} --take-over` goes on"
    message = f"{name!r} is being worked on by {describe(owner, heard)}; {hint}."
    raise OwnedError(message)


def _stays_silent(objects: Objects, epoch: int, name: str) -> bool:
    """Return whether no heartbeat of an epoch comes for a while, by a clock that is never set."""
    LOGGER.warning("Waiting %.0f s for a sign of life of the client of %r.", WATCH_SECONDS, name)
    before, deadline = _heartbeat(objects, epoch), time.monotonic() + WATCH_SECONDS
    while before is not None and time.monotonic() < deadline:
        time.sleep(min(1.0, WATCH_SECONDS / 10))
        now = _heartbeat(objects, epoch)
        if now != before:
            # One that is gone means that the run was released meanwhile.
            return now is None
    return True


def _silence(objects: Objects, epoch: int, now: float | None) -> float | None:
    """Return the seconds from the last heartbeat of an owner until now; None if they can't be told."""
    heard = objects.modified(owner_key(epoch, "alive"))
    return None if now is None or heard is None else now - heard


def _store_time(objects: Objects) -> float | None:
    """Return the present time by the clock of the store; None if it does not tell."""
    key = f"{CLOCK}{make_token()}"
    # A store that can't be written to, as on a full disk, tells no time; what follows will say so.
    with suppress(OSError):
        try:
            objects.write(key, b"")
            return objects.modified(key)
        finally:
            objects.remove(key)
    return None


def _record_alive(objects: Objects, epoch: int, token: str) -> None:
    """Store a heartbeat, with a content that differs from the one before, and says whose it is."""
    objects.write(owner_key(epoch, "alive"), f"{time.monotonic():020.6f} {token}".encode())


def _is_doubtful(objects: Objects, epoch: int, owner: dict[str, Any], state: State) -> bool:
    """Return whether an owner is probably gone, or its process lives and has probably released the epoch."""
    if state is not State.ALIVE:
        return state is State.DOUBTFUL
    # A client that was not the first to claim the epoch may have stored this after the release.
    return not _is_by(objects, epoch, str(owner.get("token")))


def _is_by(objects: Objects, epoch: int, token: str) -> bool:
    """Return whether the last heartbeat of an epoch was stored with a token."""
    return (_heartbeat(objects, epoch) or b"").endswith(f" {token}".encode())


def _heartbeat(objects: Objects, epoch: int) -> bytes | None:
    """Return the last heartbeat of an epoch; None if the epoch was released."""
    with suppress(KeyError):
        return objects.read(owner_key(epoch, "alive"))
    return None


def _exists(objects: Objects, key: str) -> bool:
    """Return whether there is an object, also if the listing of the store lags behind."""
    try:
        objects.read(key)
    except KeyError:
        return False
    return True


def _record(objects: Objects, epoch: int) -> dict[str, Any]:
    """Return the record of the owner of an epoch; an empty one if it can't be read."""
    with suppress(KeyError, ValueError, RecursionError):
        owner = json.loads(objects.read(owner_key(epoch, "json")))
        if isinstance(owner, dict):
            return owner
    return {}


def owner_key(epoch: int, kind: str) -> str:
    """Return the key of a record about an epoch."""
    return f"{OWNERS_FOLDER}{epoch:08d}.{kind}"
