"""What a run says of itself, in the attributes of its Zarr group.

The manifest says what the run is: the format's version, the settings that change numbers, the sources,
the plan, what was counted, and what each stage took.  Its owner alone replaces it, as a whole.  What is
done is not told by it but by commits.
"""

import hashlib
import json
import zlib
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from importlib.metadata import version
from typing import Any

from novelty_dask.errors import StoreError
from novelty_dask.objects.commits import TaskId
from novelty_dask.planning.tiles import TilePlan

FORMAT_VERSION = 4
ATTRIBUTE = "novelty_dask"
CHECKSUM = "checksum"
FAILURE = {"stage", "item", "reason"}
GROUP = {"zarr_format": 3, "node_type": "group"}
MAXIMUM_ROWS = MAXIMUM_BLOCKS = 2**20
"""Rows of a block, and blocks of a run, beyond which a plan is no plan of ours."""


@cache
def this_version() -> str:
    """The version that is installed here."""
    return version("novelty-dask")


@dataclass
class Manifest:
    """What a run says of itself.

    Parameters
    ----------
    settings : dict
        The settings that change numbers.
    sources : list of dict
        URL, bytes, compression and version of each source.
    plan : dict
        Rows, rows of a block, blocks of a span, blocks of a group.
    memory : dict
        Most bytes that a task of each stage holds, as projected from the plan.
    counts : dict
        Lines read, distinct rows, duplicates, and rejected lines by reason.
    stages : dict
        Complete stages, each with its tasks, wall seconds, core seconds, projected and measured bytes: all
        that finished tasks took in whichever session, and the rest of the last one.
    earlier : dict
        The same of stages that were complete, and of which something is being done again.
    failures : list of dict
        Tasks that were given up: stage, item and reason.
    """

    settings: dict[str, Any]
    sources: list[dict[str, Any]]
    plan: dict[str, int] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    earlier: dict[str, dict[str, float]] = field(default_factory=dict)
    failures: list[dict[str, str]] = field(default_factory=list)
    format_version: int = FORMAT_VERSION
    novelty_dask_version: str = field(default_factory=this_version)

    @property
    def has_rows(self) -> bool:
        """Whether the rows are stored, so that the sources are not needed any more."""
        return "vectorize" in self.stages

    @property
    def is_complete(self) -> bool:
        """Whether every row has its novelty."""
        return "merge" in self.stages and not self.failures

    @property
    def is_partial(self) -> bool:
        """Whether every row has its novelty but those of tasks that were given up."""
        return "merge" in self.stages and bool(self.failures)

    @property
    def fingerprint(self) -> str:
        """What all numbers of the run follow from, as 32 hexadecimal digits."""
        known = [self.settings, self.sources, self.format_version, self.novelty_dask_version]
        return hashlib.blake2b(json.dumps(known, sort_keys=True).encode(), digest_size=16).hexdigest()

    @property
    def absent(self) -> list[TaskId]:
        """Tasks whose results are missing for good in a partial run."""
        return [TaskId(failure["stage"], failure["item"]) for failure in self.failures]


def write_manifest(manifest: Manifest) -> bytes:
    """The metadata of a Zarr group with a manifest and its checksum."""
    said = asdict(manifest)
    attributes = {ATTRIBUTE: {**said, CHECKSUM: checksum(said)}}
    return json.dumps({**GROUP, "attributes": attributes}, indent=2).encode()


def has_manifest(values: Any) -> bool:
    """Whether the metadata of a group hold a manifest, of whatever format and whether sound or not."""
    attributes = (
        values.get("attributes") if isinstance(values, dict) and {**values, **GROUP} == values else None
    )
    return isinstance(attributes, dict) and ATTRIBUTE in attributes


def read_manifest(url: str, values: Any) -> Manifest:
    """The manifest in the metadata of a group.

    Raises
    ------
    StoreError
        There is none, or it was written in another format, or is damaged.
    """
    if not has_manifest(values):
        message = f"{url!r} is no run; check the path."
        raise StoreError(message)
    manifest = values["attributes"][ATTRIBUTE]
    found = manifest.get("format_version") if isinstance(manifest, dict) else None
    if found != FORMAT_VERSION:
        message = (
            f"The run {url!r} has format {found}, and this version reads format {FORMAT_VERSION}; use the "
            "version that wrote it, or score again to another path."
        )
        raise StoreError(message)
    said = {name: value for name, value in manifest.items() if name != CHECKSUM}
    if manifest.get(CHECKSUM) != checksum(said):
        message = (
            f"The run {url!r} is damaged: what it says of itself has another checksum than is written there; "
            "restore its zarr.json, or score again to another path."
        )
        raise StoreError(message)
    if not _is_sound(said):
        message = (
            f"The run {url!r} is damaged: what it says of itself makes no sense; score again to another path."
        )
        raise StoreError(message)
    return Manifest(**said)


def checksum(said: dict[str, Any]) -> int:
    """CRC-32 of a manifest without its checksum, as JSON in the order of the names.

    >>> checksum({"counts": {}, "plan": {}}) == checksum({"plan": {}, "counts": {}})
    True
    """
    return zlib.crc32(json.dumps(said, sort_keys=True).encode())


def _is_sound(manifest: dict[str, Any]) -> bool:
    """Whether a manifest has the types that it should, and a plan that can be gone through."""
    default = Manifest({}, [])
    if manifest.keys() != {each.name for each in fields(Manifest)}:
        return False
    if any(type(manifest[each.name]) is not type(getattr(default, each.name)) for each in fields(Manifest)):
        return False
    return _is_possible(manifest["plan"], planned="vectorize" in manifest["stages"]) and all(
        isinstance(failure, dict) and failure.keys() == FAILURE and {*map(type, failure.values())} == {str}
        for failure in manifest["failures"]
    )


def _is_possible(plan: dict[str, int], *, planned: bool) -> bool:
    """Whether a plan, or that there is none yet, is what a run can have."""
    if not plan:
        return not planned
    if plan.keys() != {each.name for each in fields(TilePlan)}:
        return False
    if not all(type(number) is int and number >= 1 for number in plan.values()):
        return False
    n_blocks = -(-plan["n_rows"] // plan["block_rows"])
    return plan["block_rows"] <= MAXIMUM_ROWS and n_blocks <= MAXIMUM_BLOCKS
