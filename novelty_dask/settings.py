"""One frozen, validated set of settings, from flags, a TOML file or Python."""

import re
import reprlib
import tomllib
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)

from novelty_dask.errors import SettingsError

UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?([a-z]{0,3})", re.ASCII)
FILE_BYTES = 2**20
"""Larger than any file of settings."""

RESULT_SETTINGS = ("n_neighbors", "score", "ngram_range", "n_features", "normal_form")
"""Settings that change numbers; all others change only how the work is done."""


def parse_bytes(size: object) -> object:
    """Bytes of a size such as ``"2 GB"`` or ``"512MiB"``; anything else as it is.

    >>> parse_bytes("1.5 kB"), parse_bytes("2GiB"), parse_bytes(7)
    (1500, 2147483648, 7)
    """
    if not isinstance(size, str):
        return size
    match = SIZE.fullmatch(str.strip(size).lower())
    if match is None or match[2] not in UNITS:
        message = f"{_shown(size)} is no size; write for example '2 GB' or '512MiB'"
        raise ValueError(message)
    return int(float(match[1]) * UNITS[match[2]])


def parse_range(value: object) -> object:
    """Two numbers from ``"3,5"``; anything else as it is."""
    parts = str.split(value, ",") if isinstance(value, str) else value
    if isinstance(parts, Set | Mapping) or (isinstance(parts, list | tuple) and len(parts) != 2):
        message = "must be two numbers, such as 3,3"
        raise ValueError(message)
    return parts


Bytes = Annotated[int, BeforeValidator(parse_bytes)]


class Settings(BaseModel):
    """What a run does, and with how much.

    Parameters
    ----------
    n_neighbors : int
        Nearest neighbors kept for each row, 1 to 1,000.
    score : {"mean", "nearest", "kth"}
        Novelty is 1 minus the mean similarity of the neighbors, or minus that of the
        nearest, or of the k-th.
    ngram_range : (int, int)
        Shortest and longest character n-grams.
    n_features : int
        Columns of the hashed matrix, 1 to 2**24.
    normal_form : {"raw", "web"}
        Compare lines as they stand, or in the WHATWG normal form of their URL.
    block_rows : int or None
        Rows of a block; chosen from the corpus and the memory limit if None.
    memory_limit : int, str or None
        Bytes that one worker may use, as in ``"2 GB"``.
    workers, threads : int or None, int
        Worker processes, and threads of each; ``workers=0`` works inside this process.
    scheduler : str or None
        Address of a running Dask scheduler to use instead of local workers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_neighbors: int = Field(10, ge=1, le=1_000)
    score: Literal["mean", "nearest", "kth"] = "mean"
    ngram_range: Annotated[tuple[int, int], BeforeValidator(parse_range)] = (3, 3)
    n_features: int = Field(2**20, ge=1, le=2**24)
    normal_form: Literal["raw", "web"] = "raw"
    block_rows: int | None = Field(None, ge=1, le=1_048_576)
    memory_limit: Bytes | None = Field(None, ge=1)
    workers: int | None = Field(None, ge=0, le=10_000)
    threads: int = Field(1, ge=1, le=1_024)
    scheduler: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value(cls, value: object) -> object:
        if isinstance(value, bool):
            message = "must be no truth value"
            raise ValueError(message)
        return value

    @field_validator("ngram_range")
    @classmethod
    def _ascending(cls, ngram_range: tuple[int, int]) -> tuple[int, int]:
        shortest, longest = ngram_range
        if not 1 <= shortest <= longest <= 16:
            message = "must be two numbers with 1 <= shortest <= longest <= 16, such as 3,3"
            raise ValueError(message)
        return ngram_range

    @classmethod
    def make(cls, /, **values: Any) -> Self:
        """Validate settings, naming the first bad one.

        Raises
        ------
        SettingsError
            A key is unknown or its value impossible.

        >>> Settings.make(n_neighbors=0)
        Traceback (most recent call last):
        novelty_dask.errors.SettingsError: Setting n_neighbors=0: input should be greater than or equal to 1.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise SettingsError(_sentence(error)) from None

    @classmethod
    def read(cls, path: str | Path, /, **overrides: Any) -> Self:
        """Settings of a TOML file, with values given here taking precedence."""
        try:
            values = tomllib.loads(_read(Path(path)))
        except OSError as error:
            raise SettingsError(f"Can't read the settings file {str(path)!r}: {error.strerror}.") from None
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"The settings file {str(path)!r} is not TOML: {error}.") from None
        return cls.make(**{**values, **overrides})

    @property
    def result(self) -> dict[str, Any]:
        """The settings that change numbers."""
        return self.model_dump(mode="json", include=set(RESULT_SETTINGS))


def _read(path: Path) -> str:
    """The text of a file, which may be a pipe and endless."""
    with path.open("rb") as file:
        content = file.read(FILE_BYTES + 1)
    if len(content) > FILE_BYTES:
        message = f"it has more than {FILE_BYTES:,} bytes"
        raise ValueError(message)
    return content.decode("utf-8-sig")


def _sentence(error: ValidationError) -> str:
    """One sentence on the first fault that pydantic found."""
    fault = error.errors()[0]
    name = str(fault["loc"][0])
    if fault["type"] == "extra_forbidden":
        return f"Unknown setting {_shown(name)}; known are {', '.join(Settings.model_fields)}."
    message = fault["msg"].removeprefix("Value error, ")
    return f"Setting {name}={_shown(fault['input'])}: {message[0].lower()}{message[1:]}."


def _shown(value: object) -> str:
    """A value, shortened and on one line."""
    try:
        return " ".join(reprlib.repr(value).split())
    except ValueError:  # An integer of more digits than Python prints.
        return f"<{type(value).__name__}>"
