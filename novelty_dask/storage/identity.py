"""The identity of a run: everything that its numbers follow from."""

import hashlib
import json
from collections.abc import Iterator
from functools import cache, cached_property
from importlib.metadata import version
from typing import Annotated, Any, Self

from pydantic import (
    ConfigDict,
    Field,
    PlainValidator,
    SerializerFunctionWrapHandler,
    field_serializer,
    model_serializer,
)

from novelty_dask.kernels.choices import FEATURE_VERSIONS
from novelty_dask.planning.matrix import Matrix
from novelty_dask.settings import ResultSettings
from novelty_dask.sources.changes import describe_changes
from novelty_dask.sources.find import Source
from novelty_dask.storage.totals import Part, Reference, Segment

FORMAT_VERSION = 10


@cache
def this_version() -> str:
    """Return the version that is installed here."""
    return version("novelty-dask")


def features_version_of(name: str) -> int:
    """Return the version of the definition of features; that of a vectorizer is in its name."""
    return next((version for known, version in FEATURE_VERSIONS.items() if known == name), 0)


def _make_sources(values: object) -> tuple[Source, ...]:
    """Return sources from what JSON has for them."""
    # By hand, as pydantic refuses the lone surrogates that names of files may have.
    if isinstance(values, tuple):
        return values
    if not isinstance(values, list):
        raise TypeError
    return tuple(Source(**fields) for fields in values)


class RunIdentity(Part):
    """Everything that the numbers of a run follow from.

    Parameters
    ----------
    settings : ResultSettings
        The settings that change numbers.
    features_version : int
        The version of the definition of its features.
    sources : tuple of Source
        Where the lines are; passwords and tokens are left out of their URLs.
    novelty_dask_version : str
        The version that began the run.
    reference : Reference or None
        The run whose rows are the candidates; None if the rows are compared with each other.
    segments : tuple of Segment
        The rows that it was scored from, and those that were added since, in the order of the sources; none
        if nothing was added since its weights were computed.
    matrix : Matrix or None
        The matrix whose rows it compares; None if it compares lines.
    """

    model_config = ConfigDict(frozen=True)

    settings: ResultSettings
    features_version: int = Field(
        default_factory=lambda given: features_version_of(given["settings"].features)
    )
    sources: Annotated[tuple[Source, ...], PlainValidator(_make_sources)]
    novelty_dask_version: str = Field(default_factory=this_version)
    reference: Reference | None = None
    segments: tuple[Segment, ...] = ()
    matrix: Matrix | None = None

    @model_serializer(mode="wrap")
    def _leave_out(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the matrix of runs of lines, whose fingerprints are older than it."""
        values: dict[str, Any] = handler(self)
        return {name: value for name, value in values.items() if name != "matrix" or value}

    @field_serializer("sources")
    def _name_fields(self, sources: tuple[Source, ...]) -> list[dict[str, Any]]:
        """Store sources as objects, whose fields have names, instead of lists."""
        return [source._asdict() for source in sources]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of it and of the format, as 32 hexadecimal digits; commits of the run carry it."""
        # With the format, so that no commit of a run counts in a run of another format.
        values = self.model_dump()
        if self.reference:
            # By its content alone, so that a run can be resumed when its reference was moved.
            values["reference"] = self.reference.content
        known = json.dumps([FORMAT_VERSION, values], sort_keys=True)
        return hashlib.blake2b(known.encode(), digest_size=16).hexdigest()

    def find_differences(self, other: Self) -> Iterator[str]:
        """Yield what another has of settings, reference and sources that this one has not."""
        if (self.matrix is None) != (other.matrix is None):
            yield f"it is of {'vectors' if self.matrix else 'lines'}"
        pairs: list[tuple[Any, Any]] = [(self.settings, other.settings)]
        pairs += [(self.matrix, other.matrix)] if self.matrix and other.matrix else []
        for one, another in pairs:
            for name, there in vars(one).items():
                if (here := getattr(another, name)) != there:
                    yield f"{name} is {there!r} there and {here!r} here"
        known = [each.reference for each in (self, other)]
        if len({each.content if each else "" for each in known}) > 1:
            there, here = (repr(each.url) if each else "none" for each in known)
            changed = f"{there} has changed" if there == here else f"is {there} there and {here} here"
            yield f"its reference {changed}"
        if self.sources != other.sources:
            yield f"its sources differ: {describe_changes(self.sources, other.sources)}"
        elif self.segments != other.segments:
            yield "sources were added to it since it was scored"
