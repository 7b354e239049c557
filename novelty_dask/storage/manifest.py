"""The manifest of a run, in the attributes of its Zarr group.

It states what the run is, which all numbers follow from (`RunIdentity`), and how far it is: the plan, the
totals of the input, and what each complete stage took.  Its owner alone replaces it, as a whole.  Commits,
not the manifest, decide what is done.
"""

import json
import zlib
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from novelty_dask.errors import StoreError
from novelty_dask.planning.periods import are_possible
from novelty_dask.planning.stages import CALIBRATE, IMPORT, LAST_STAGE, VECTORIZE, RunShape, Stage, TaskId
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.settings import ResultSettings
from novelty_dask.sources.find import Source
from novelty_dask.storage.identity import FORMAT_VERSION, RunIdentity, features_version_of
from novelty_dask.storage.totals import Growth, Part, Reference, Text, Totals

ATTRIBUTE = "novelty_dask"
CHECKSUM = "checksum"
WRITER = "novelty_dask_writer"
"""Attribute beside the manifest, by which a client recognizes the run that it has just created."""
GROUP = {"zarr_format": 3, "node_type": "group"}
MAXIMUM_ROWS = MAXIMUM_BLOCKS = 2**20
"""Rows of a block, and blocks of a run, beyond which a plan can't have been made by this package."""

StageMetrics = dict[str, int | float]
"""What a stage took: numbers by name."""


class Failure(Part):
    """A task that was given up, and the reason."""

    model_config = ConfigDict(frozen=True)
    stage: Text
    item: Text
    reason: Text

    @property
    def task(self) -> TaskId:
        """The task."""
        return TaskId(self.stage, self.item)


class Manifest(Part):
    """The state of a run: what it is, and how far it is.

    Parameters
    ----------
    identity : RunIdentity
        Everything that the numbers follow from.
    plan : TilePlan or None
        Blocks and tiles; None until the rows are counted.
    memory : dict of str to int
        Most bytes that a task of each stage holds, as projected.
    totals : Totals or None
        Lines of the input; None until they are counted.
    widest_block : int or None
        Non-zeros of the block that has the most; None until all blocks are counted.
    stages : dict
        Complete stages, each with its tasks, wall seconds, core seconds, projected and measured bytes, and
        the sums of the metrics of its tasks: of finished tasks in any session, and the rest of the last one.
    earlier : dict
        The same of stages that were complete and are being done again in part.
    failures : list of Failure
        Tasks that were given up.
    growth : Growth or None
        The runs that this one is made of; None once it is complete, and if it is made of sources alone.
    """

    identity: RunIdentity
    plan: TilePlan | None = None
    memory: dict[str, int] = Field(default_factory=dict)
    totals: Totals | None = None
    widest_block: Annotated[int, Field(ge=0, le=2**40)] | None = None
    stages: dict[str, StageMetrics] = Field(default_factory=dict)
    earlier: dict[str, StageMetrics] = Field(default_factory=dict)
    failures: list[Failure] = Field(default_factory=list)
    growth: Growth | None = None

    @model_validator(mode="after")
    def _check_plan(self) -> Self:
        """Refuse a plan that this package can't have made, and rows without a plan."""
        # A manifest may come from anybody, and loops over blocks and tiles follow from these numbers: with a
        # block of 0 rows, or with 2**60 blocks, they would not end.
        plan, matrix = self.plan, self.identity.matrix
        if plan is None:
            is_possible = not self.has(VECTORIZE) and not self.has(IMPORT)
        else:
            is_positive = min(plan.n_rows, plan.block_rows, plan.span_blocks, plan.group_blocks) >= 1
            is_possible = is_positive and plan.block_rows <= MAXIMUM_ROWS and plan.n_blocks <= MAXIMUM_BLOCKS
            # No span is without a block.
            is_possible = is_possible and all(a < b for a, b in pairwise((0, *plan.cuts, plan.n_blocks)))
            reference = self.reference
            known = (reference.n_rows, reference.block_rows, reference.n_left) if reference else (0, 0, 0)
            planned = (plan.known_rows, plan.known_block_rows, plan.known_left)
            is_possible = is_possible and planned == known and are_possible(plan.periods, plan.n_rows)
            is_possible = is_possible and bool(plan.periods) == (self.settings.time_column is not None)
            is_possible = is_possible and plan.compared.n_blocks <= MAXIMUM_BLOCKS
            is_possible = is_possible and (matrix is None or matrix.n_rows == plan.n_rows)
        is_possible = is_possible and (matrix is None or matrix.is_possible)
        if not is_possible:
            message = "no such plan is ever made"
            raise ValueError(message)
        return self

    @property
    def settings(self) -> ResultSettings:
        """The settings that change numbers."""
        return self.identity.settings

    @property
    def sources(self) -> tuple[Source, ...]:
        """The files that hold the lines."""
        return self.identity.sources

    def replace_source(self, number: int, source: Source) -> None:
        """Replace a source by one with more known about it; the fingerprint changes."""
        # A new identity, and not a changed one: its fingerprint is computed once and kept.
        sources = (*self.sources[:number], source, *self.sources[number + 1 :])
        self._replace_identity(sources=sources)

    def move_reference(self, reference: Reference) -> None:
        """Replace the reference by itself at another place; the fingerprint stays."""
        self._replace_identity(reference=reference)

    def _replace_identity(self, **parts: Any) -> None:
        """Replace parts of the identity."""
        known = {name: getattr(self.identity, name) for name in RunIdentity.model_fields}
        self.identity = RunIdentity(**{**known, **parts})

    @property
    def reference(self) -> Reference | None:
        """The run whose rows are the candidates."""
        return self.identity.reference

    @property
    def is_joined(self) -> bool:
        """True if the candidates are the rows of several references."""
        return self.reference is not None and bool(self.reference.parts)

    @property
    def shape(self) -> RunShape:
        """The numbers from which tasks and arrays follow; the pieces are not known to it."""
        return RunShape(
            n_features=self.settings.n_features,
            n_neighbors=self.settings.n_neighbors,
            n_rejected=self.totals.n_rejected if self.totals else None,
            plan=self.plan,
            widest_block=self.widest_block,
            n_kept=len(self.settings.keep or ()),
            growth=("extended" if self.identity.segments else "refreshed") if self.growth else "",
            is_grouped=self.settings.outside_groups is not None,
            is_joined=self.is_joined,
            matrix=self.identity.matrix,
        )

    def has(self, stage: Stage) -> bool:
        """Return whether a stage is complete."""
        return stage.name in self.stages

    @property
    def has_rows(self) -> bool:
        """True if the rows are stored, so that the sources are not needed any more."""
        return self.has(VECTORIZE) or self.has(IMPORT) or self.growth is not None

    @property
    def lacks_copy(self) -> bool:
        """True if a source can be read but once, and the run has no whole copy of it."""
        return any(source.is_stream and not source.version for source in self.sources)

    @property
    def is_over(self) -> bool:
        """True if the last stage is complete, but for tasks that were given up."""
        return self.has(CALIBRATE if self.reference else LAST_STAGE)

    @property
    def is_complete(self) -> bool:
        """True if every row has its novelty."""
        return self.is_over and not self.failures

    @property
    def is_partial(self) -> bool:
        """True if every row has its novelty but those of tasks that were given up."""
        return self.is_over and bool(self.failures)

    @property
    def failed_tasks(self) -> list[TaskId]:
        """Tasks whose results are missing for good in a partial run."""
        return [failure.task for failure in self.failures]


def write_manifest(manifest: Manifest, writer: str = "") -> bytes:
    """Return the metadata of a Zarr group with a manifest and its checksum, and a token of its writer."""
    content = {"format_version": FORMAT_VERSION, **manifest.model_dump()}
    token = {WRITER: writer} if writer else {}
    attributes = {ATTRIBUTE: {**content, CHECKSUM: checksum(content)}, **token}
    return json.dumps({**GROUP, "attributes": attributes}, indent=2).encode()


def has_manifest(values: Any) -> bool:
    """Return whether the metadata of a group hold a manifest, of any format and whether sound or not."""
    attributes = (
        values.get("attributes") if isinstance(values, dict) and {**values, **GROUP} == values else None
    )
    return isinstance(attributes, dict) and ATTRIBUTE in attributes


def read_manifest(url: str, values: Any) -> Manifest:
    """Return the manifest in the metadata of a group.

    Raises
    ------
    StoreError
        There is none, or it was written in another format, or is damaged.
    """
    if not has_manifest(values):
        message = f"{url!r} is not a run; check the path."
        raise StoreError(message)
    content = values["attributes"][ATTRIBUTE]
    # Whatever stands there was written by somebody: nothing is taken for granted.
    content = dict(content) if isinstance(content, dict) else {}
    stored, format_version = content.pop(CHECKSUM, None), content.get("format_version")
    # Before the checksum, which the first formats did not have.
    if format_version != FORMAT_VERSION:
        message = (
            f"The run {url!r} has format {format_version}, and this version of novelty_dask reads format "
            f"{FORMAT_VERSION}; use the version that wrote it, or score again into another path."
        )
        raise StoreError(message)
    if stored != checksum(content):
        message = (
            f"The run {url!r} is damaged: the manifest's checksum does not match; restore zarr.json from a "
            "backup, or score again into another path."
        )
        raise StoreError(message)
    manifest = _parse(content)
    if manifest is None:
        message = f"The run {url!r} is damaged: its manifest is malformed; score again into another path."
        raise StoreError(message)
    name, version = manifest.settings.features, manifest.identity.features_version
    # Vectors have no features.
    if manifest.identity.matrix is None and version != features_version_of(name):
        message = (
            f"The run {url!r} compares by version {version} of the features {name!r}, and this version of "
            f"novelty_dask by version {features_version_of(name)}; use the one that wrote it, or score again "
            "into another path."
        )
        raise StoreError(message)
    return manifest


def _parse(content: dict[str, Any]) -> Manifest | None:
    """Return the manifest of a format that is known; None if it is not as this package writes it."""
    fields = {name: value for name, value in content.items() if name != "format_version"}
    try:
        manifest = Manifest.model_validate(fields)
    except (ValidationError, TypeError):
        return None
    # Pydantic makes numbers of strings, and more of the kind: whatever it converted was not written here.
    return manifest if json.loads(json.dumps(manifest.model_dump())) == fields else None


def checksum(content: dict[str, Any]) -> int:
    """Return the CRC-32 of a manifest without its checksum, as JSON in the order of the names.

    >>> checksum({"totals": {}, "plan": {}}) == checksum({"plan": {}, "totals": {}})
    True
    """
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
