"""Files that describe a cluster: the place where it is started, and its workers."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from novelty_dask.errors import SettingsError
from novelty_dask.planning.quantities import parse_bytes, shown

Bytes = Annotated[int, BeforeValidator(parse_bytes)]


def _clock(value: object) -> object:
    """Return a time as batch systems write it, from one that YAML took for a number of base 60.

    >>> _clock(36_000)
    '10:00:00'
    """
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    minutes, seconds = divmod(value, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


class Place(BaseModel):
    """Cluster as a file describes it, with what all places have in common.

    Parameters
    ----------
    place : str
        One of `PLACES`.
    minimum, maximum : int
        Workers; where they are equal, one that dies is replaced.
    threads : int
        Threads of each worker.
    memory : int
        Bytes of each worker.
    certs : str or None
        Folder of certificates, relative to the file; all machines must see it under the same name.
    host : str or None
        Address at which the scheduler listens, if not at all of this machine.
    port : int
        Port at which it listens; 0 for any.
    dashboard : int
        Port of its dashboard on this machine's own address; 0 for any.
    wait : int
        Seconds in which a worker must have joined.
    python : str
        Interpreter that starts workers.
    environment : dict of str to str
        Variables of the workers' environment.
    logs : str or None
        Folder for the logs of workers, relative to the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    place: str
    minimum: int = Field(1, ge=1, le=10_000)
    maximum: int = Field(ge=1, le=10_000)
    threads: int = Field(1, ge=1, le=1_024)
    memory: Bytes = Field(ge=1)
    certs: str | None = None
    host: str | None = None
    port: int = Field(0, ge=0, le=65_535)
    dashboard: int = Field(8787, ge=0, le=65_535)
    wait: int = Field(120, ge=1)
    python: str = sys.executable
    environment: dict[str, str] = {}
    logs: str | None = None

    @property
    def protocol(self) -> str:
        """Protocol of the scheduler's address."""
        return "tls://" if self.certs else "tcp://"


class LocalPlace(Place):
    """Processes of this machine."""

    place: Literal["local"]
    host: str | None = "127.0.0.1"


class SshPlace(Place):
    """Processes on machines that the program ``ssh`` reaches without a question.

    Parameters
    ----------
    hosts : list of str
        Names by which ssh reaches them; workers are spread over them in this order.
    ssh : list of str
        The program and its options.
    """

    place: Literal["ssh"]
    hosts: list[str] = Field(min_length=1)
    ssh: list[str] = Field(["ssh", "-o", "BatchMode=yes"], min_length=1)
    python: str = "python3"


class BatchPlace(Place):
    """Jobs of a batch system, each of them a worker.

    Parameters
    ----------
    queue, account : str or None
        Where jobs are submitted, and to whom they are charged.
    walltime : str
        Most time of a job, such as "04:00:00".
    directives : list of str
        Further options of the batch system, one a line of the script.
    prologue : list of str
        Lines of shell before the worker.
    interface : str or None
        Network interface over which workers and scheduler talk, such as "ib0".
    """

    place: Literal["slurm", "pbs"]
    queue: str | None = None
    account: str | None = None
    walltime: Annotated[str, BeforeValidator(_clock), Field(pattern=r"^(\d+-)?\d+:\d\d:\d\d$")]
    directives: list[str] = []
    prologue: list[str] = []
    interface: str | None = None


PLACES: dict[str, type[Place]] = {
    "local": LocalPlace,
    "ssh": SshPlace,
    "slurm": BatchPlace,
    "pbs": BatchPlace,
}


def read_place(name: str) -> Place:
    """Read the file of a cluster; folders in it are relative to it.

    Raises
    ------
    SettingsError
        The file can't be read, has an unknown key, or an impossible value.
    """
    path = Path(name).absolute()
    try:
        # The safe loader makes plain values alone.
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"Can't read the cluster file {name!r}: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError) as error:
        line = " ".join(str(error).split())
        raise SettingsError(f"The cluster file {name!r} is not YAML: {line}.") from None
    known = f"name one of {', '.join(PLACES)}; for Kubernetes and containers see the folder cluster/"
    if not isinstance(values, dict) or values.get("place") not in PLACES:
        found = values.get("place") if isinstance(values, dict) else None
        raise SettingsError(f"The cluster file {name!r} has place: {shown(found)}; {known}.")
    place = _checked(name, PLACES[values["place"]], values)
    folders = {
        key: str(path.parent / value)
        for key in ("certs", "logs")
        if (value := getattr(place, key)) is not None
    }
    return place.model_copy(update=folders)


def _checked(name: str, kind: type[Place], values: dict[str, Any]) -> Place:
    """Return a place, or refuse its first bad value."""
    try:
        place = kind(**{str(key): value for key, value in values.items()})
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            known = ", ".join(kind.model_fields)
            message = f"The cluster file {name!r} has an unknown key {shown(key)}; known are {known}."
        else:
            what = problem["msg"].removeprefix("Value error, ")
            message = f"The cluster file {name!r} has a bad {key}: {what[0].lower()}{what[1:]}."
        raise SettingsError(message) from None
    if place.minimum > place.maximum:
        message = f"The cluster file {name!r} has minimum above maximum; make them equal for a fixed size."
        raise SettingsError(message)
    return place
