"""Parts of the manifest of a run: numbers of lines of the input, the reference, and how it has grown."""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    SerializerFunctionWrapHandler,
    model_serializer,
)


def _check_text(value: object) -> str:
    """Return a string as it is; file names may have lone surrogates, which pydantic itself refuses."""
    if not isinstance(value, str):
        raise TypeError
    return value


Text = Annotated[str, PlainValidator(_check_text)]


class Part(BaseModel):
    """A part of a manifest, without other fields than those that are declared."""

    model_config = ConfigDict(extra="forbid")


class Totals(Part):
    """Numbers of lines of the input.

    Parameters
    ----------
    lines, rows, duplicates : int
        Lines read, distinct URLs, and lines that repeat another.
    rejected : dict of str to int
        Rejected lines by reason.
    skipped : int
        Lines that hold no record, as headers do, and those of a record behind its first.
    source_lines : list of int
        Lines of each source; their sum is `lines`.
    wrapped : int
        Lines that hold a URL inside other text, and were scored with it.
    """

    model_config = ConfigDict(frozen=True)

    lines: int
    rows: int
    duplicates: int
    rejected: dict[Text, int]
    skipped: int = 0
    source_lines: list[int] = []
    wrapped: int = 0

    @property
    def n_rejected(self) -> int:
        """Number of rejected lines."""
        return sum(self.rejected.values())


class Reference(Part):
    """The run whose rows those of another are compared with, instead of with each other.

    Parameters
    ----------
    url : str
        Path or URL, or those of several; it changes no number, as the same run may be moved.
    content : str
        A hash of its identity and of the checksums of all that it keeps.
    n_rows, block_rows, nonzeros, reading_bytes : int
        Its numbers that plans depend on, as in `Known`.
    n_left : int
        Rows that were seen since the time that is asked for; 0 if none is.
    parts : tuple of Reference
        The references whose rows are joined, in the order of their contents; none if there is but one.
    """

    model_config = ConfigDict(frozen=True)

    url: Text
    content: Text
    # Bounded, as loops follow from these numbers, and a manifest may come from anybody.
    n_rows: Annotated[int, Field(ge=1, le=2**50)]
    block_rows: Annotated[int, Field(ge=1, le=2**20)]
    nonzeros: Annotated[int, Field(ge=0, le=2**40)]
    reading_bytes: Annotated[int, Field(ge=0, le=2**50)]
    n_left: Annotated[int, Field(ge=0, le=2**50)] = 0
    parts: "tuple[Reference, ...]" = ()

    @property
    def each(self) -> "tuple[Reference, ...]":
        """The references: the parts, or this one."""
        return self.parts or (self,)

    @model_serializer(mode="wrap")
    def _leave_out_none(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Store the parts where there are any."""
        values: dict[str, Any] = write(self)
        return values if self.parts else {name: values[name] for name in values if name != "parts"}


class Segment(Part):
    """The rows that some consecutive sources of a run brought, all at once.

    Parameters
    ----------
    sources, lines, rows : int
        Sources, lines of these, and rows that no segment before has.
    """

    model_config = ConfigDict(frozen=True)

    sources: Annotated[int, Field(ge=1, le=2**31)]
    lines: Annotated[int, Field(ge=0, le=2**50)]
    rows: Annotated[int, Field(ge=0, le=2**50)]


class Growth(Part):
    """The two complete runs that another is made of.

    Parameters
    ----------
    base : Reference
        The run that grows.
    added : Reference
        The new rows, which were compared with those of the base.
    fresh_rows : int
        Rows of these that the base lacks.
    """

    model_config = ConfigDict(frozen=True)

    base: Reference
    added: Reference
    fresh_rows: Annotated[int, Field(ge=0, le=2**50)]
