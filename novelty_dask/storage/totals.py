"""Numbers of lines of the input, as the manifest of a run states them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainValidator


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
