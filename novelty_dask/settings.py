"""Frozen, validated settings, from flags, a TOML file or Python.

`ResultSettings` decide numbers and belong to a run, `WorkSettings` how work is done; `Settings` are both.
"""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from novelty_dask.errors import SettingsError
from novelty_dask.kernels.choices import GIVEN_NAME, TABLES, FeatureSet, InputFormat, Invalid, NormalForm
from novelty_dask.planning.quantities import parse_bytes, parse_range, parse_time, shown, write_time
from novelty_dask.settings_file import read_toml

LOG_FIELDS = {"method", "status"}
"""Fields of access logs that rows may keep."""

GivenName = Annotated[str, StringConstraints(pattern=GIVEN_NAME)]
# As text also where it is a number, such as that of a column of CSV.
Name = Annotated[str, BeforeValidator(str), StringConstraints(min_length=1)]
Address = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Bytes = Annotated[int, BeforeValidator(parse_bytes)]


class _Checked(BaseModel):
    """Settings that are refused with one sentence that names the first bad one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_bool(cls, value: object, info: ValidationInfo) -> object:
        # Python counts True as the integer 1.
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            message = "must not be true or false"
            raise ValueError(message)
        return value

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
            raise SettingsError(_sentence(error, cls)) from None


def _default_n_features(values: dict[str, Any]) -> int:
    """Return the number of columns, for settings that are valid so far."""
    return 2**22 if values.get("features") == "url" else 2**20


def _default_normal_form(values: dict[str, Any]) -> NormalForm:
    """Return what one row is: a page where URLs are compared, a line where its characters are."""
    return "page" if values.get("features") == "url" else "raw"


class ReadSettings(_Checked):
    """Settings of how sources are read, which belong to a run.

    Parameters
    ----------
    input_format : {"lines", "csv", "tsv", "jsonl", "parquet", ...} or None
        Format of the sources, one of `InputFormat`; if None, their content tells it where there is a column,
        and else what is no list of URLs is refused.
    column : str or None
        Column to score, by its name, or by its number from 1 in CSV and TSV; fields within fields of JSON,
        Parquet and Arrow are joined by dots.
    host : str or None
        Host of requests in access logs that name none.
    keep : tuple of str or None
        Other columns, which each row keeps of its first record, named in the same way; of access logs
        "method" and "status".
    time_column : str or None
        Column of the time of each record, named in the same way.  Each row is then compared with those that
        were seen before it alone.
    unwrap : bool
        True to take URLs out of quotes, brackets, bullets, links of Markdown and the like.
    refang : bool
        True to read URLs that were defanged, such as ``hxxps://evil[.]example``.
    invalid : {"reject", "keep"}
        Reject lines that are not UTF-8, or keep their bytes as ``%XX``.
    """

    input_format: InputFormat | None = None
    column: Name | None = None
    host: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^\S+$")] | None = None
    keep: Annotated[tuple[Name, ...], Field(min_length=1, max_length=1_000)] | None = None
    time_column: Name | None = None
    unwrap: bool = Field(default=False, strict=True)
    refang: bool = Field(default=False, strict=True)
    invalid: Invalid = "reject"

    @field_validator("host")
    @classmethod
    def _of_logs(cls, host: str | None, info: ValidationInfo) -> str | None:
        if host is not None and info.data.get("input_format") != "log":
            message = "is for input_format='log'; name that too, or leave it out"
            raise ValueError(message)
        return host

    @field_validator("column")
    @classmethod
    def _of_columns(cls, column: str | None, info: ValidationInfo) -> str | None:
        form = info.data.get("input_format")
        if column is not None and form not in (None, *TABLES):
            message = f"the format {form!r} has no columns; leave it out, or name another input_format"
            raise ValueError(message)
        return column

    @field_validator("keep")
    @classmethod
    def _of_records(cls, keep: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        is_log = info.data.get("input_format") == "log"
        if keep is not None and is_log and not LOG_FIELDS.issuperset(keep):
            message = f"of logs rows keep {' and '.join(sorted(LOG_FIELDS))} alone; leave out others"
            raise ValueError(message)
        if keep is not None and not is_log and info.data.get("column") is None:
            message = "is for records with several columns; name the one to score as column, too"
            raise ValueError(message)
        if keep is not None and len(set(keep)) < len(keep):
            message = "names a column twice; name each once"
            raise ValueError(message)
        return keep

    @field_validator("time_column")
    @classmethod
    def _of_times(cls, time_column: str | None, info: ValidationInfo) -> str | None:
        if time_column is not None and info.data.get("column") is None:
            message = "is for records with several columns; name the one to score as column, too"
            raise ValueError(message)
        return time_column

    @property
    def further_columns(self) -> tuple[str, ...]:
        """Columns that are read beside the one to score: those that rows keep, then that of the time."""
        return (*(self.keep or ()), *([self.time_column] if self.time_column is not None else []))


class ResultSettings(ReadSettings):
    """Settings that change numbers, and belong to a run.

    Parameters
    ----------
    n_neighbors : int
        Nearest neighbors kept for each row, 1 to 1,000.
    features : {"url", "ngrams"} or str
        Compare lines by the parts of their URL, or by their character n-grams, as for plain text; or the name
        of a vectorizer that is given with them.
    ngram_range : (int, int) or None
        Shortest and longest character n-grams, by default 3 and 3; None for other features.
    n_features : int
        Columns of the hashed matrix, 1 to 2**24, by default 2**22 for URLs and 2**20 for n-grams.
    normal_form : {"raw", "web", "page", "template"}
        Compare lines as they stand, their URLs as browsers request them, the page that spellings
        have in common, or the template that pages have in common; by default pages with the features of
        URLs, and lines with n-grams.
    outside_groups : float or None
        Least similarity at which rows are of one kind: the neighbors of a row are then those outside its
        group, which such pairs connect.  None keeps all.
    period_rows : int or None
        Rows of a period, with a time column: those in a period have the weights that follow from all rows
        before it.  If None, the first has 4,096, and each other as many as all before it.
    since : str or None
        Time from which on a row of the reference must have been seen to be known; against a reference alone.
    """

    # A validator sees only the fields before its own: those that others are checked against come first.
    n_neighbors: int = Field(10, ge=1, le=1_000)
    features: FeatureSet | GivenName = "url"
    # Checked also where it is not given: its default depends on the features.
    ngram_range: Annotated[tuple[int, int] | None, BeforeValidator(parse_range)] = Field(
        None, validate_default=True
    )
    n_features: int = Field(default_factory=_default_n_features, ge=1, le=2**24)
    normal_form: NormalForm = Field(default_factory=_default_normal_form)
    outside_groups: float | None = Field(None, gt=0, le=1)
    period_rows: int | None = Field(None, ge=1)
    since: Annotated[str | None, BeforeValidator(write_time)] = None

    @field_validator("ngram_range")
    @classmethod
    def _ascending(cls, ngram_range: tuple[int, int] | None, info: ValidationInfo) -> tuple[int, int] | None:
        if info.data.get("features") != "ngrams":
            if ngram_range is not None:
                message = "is for features='ngrams'; choose them too, or leave it out"
                raise ValueError(message)
            return None
        shortest, longest = ngram_range or (3, 3)
        if not 1 <= shortest <= longest <= 16:
            message = "must be two numbers with 1 <= shortest <= longest <= 16, such as 3,3"
            raise ValueError(message)
        return shortest, longest

    @field_validator("outside_groups")
    @classmethod
    def _at_once(cls, outside_groups: float | None, info: ValidationInfo) -> float | None:
        if outside_groups is not None and info.data.get("time_column") is not None:
            message = "is not for rows in time, as groups follow from what came later, too; leave out one"
            raise ValueError(message)
        return outside_groups

    @field_validator("period_rows")
    @classmethod
    def _in_time(cls, period_rows: int | None, info: ValidationInfo) -> int | None:
        if period_rows is not None and info.data.get("time_column") is None:
            message = "is for rows in time; name a time_column, too, or leave it out"
            raise ValueError(message)
        return period_rows

    @property
    def since_time(self) -> int | None:
        """Microseconds of `since`."""
        return None if self.since is None else parse_time(self.since)


class WorkSettings(_Checked):
    """Settings that change how the work is done, and no number.

    Parameters
    ----------
    block_rows : int or None
        Rows of a block; chosen from the corpus and the memory limit if None.
    memory_limit : int, str or None
        Bytes that one worker may use, as in ``"2 GB"``.
    workers : int or None
        Worker processes; 0 works inside this process, None chooses by the size of the sources.
    threads : int
        Threads of each worker; above 1, there is a worker process also for small sources.
    scheduler : str or None
        Address of a running Dask scheduler to use instead of local workers.
    scheduler_file : str or None
        File with the address of a running scheduler, as Dask writes it with ``--scheduler-file``.
    cluster : str or None
        File that names a place and its workers: the cluster is started for the work, and ended after it.
    certs : str or None
        Folder of certificates, as ``novelty cluster certs`` makes it, to show to a scheduler at ``tls://``.
    insecure : bool
        True to allow a scheduler beyond this machine that does not encrypt.
    performance_report : str or None
        File for Dask's performance report of the work on its scheduler, or on local workers.
    strict : bool
        True to refuse sources if a line of them is rejected, unless it is blank or a comment.
    remote : bool
        True to read the lists that lie behind URLs of the web, each by one request.
    """

    block_rows: int | None = Field(None, ge=1, le=1_048_576)
    memory_limit: Bytes | None = Field(None, ge=1)
    workers: int | None = Field(None, ge=0, le=10_000)
    threads: int = Field(1, ge=1, le=1_024)
    scheduler: Address | None = None
    scheduler_file: Address | None = None
    cluster: Address | None = None
    certs: Address | None = None
    insecure: bool = Field(default=False, strict=True)
    performance_report: Annotated[str, StringConstraints(min_length=1)] | None = None
    strict: bool = Field(default=False, strict=True)
    remote: bool = Field(default=False, strict=True)

    @field_validator("threads")
    @classmethod
    def _of_workers(cls, threads: int, info: ValidationInfo) -> int:
        if threads > 1 and info.data.get("workers") == 0:
            raise ValueError(
                "without worker processes there is one thread; leave it out, or ask for a worker"
            )
        return threads

    @field_validator("scheduler_file", "cluster")
    @classmethod
    def _one_place(cls, name: str | None, info: ValidationInfo) -> str | None:
        others = [other for other in ("scheduler", "scheduler_file") if info.data.get(other) is not None]
        if name is not None and others:
            message = f"is another place to work than {others[0]}; leave out one of them"
            raise ValueError(message)
        return name


class Settings(WorkSettings, ResultSettings):
    """All settings: those that change numbers, and those that change how the work is done.

    Parameters
    ----------
    **values
        Fields of `ResultSettings` and of `WorkSettings`.

    Attributes
    ----------
    result : ResultSettings
    work : WorkSettings
    """

    @classmethod
    def read(cls, path: str | Path, /, **overrides: Any) -> Self:
        """Read the settings of a TOML file, with values given here taking precedence."""
        return cls.make(**{**read_toml(path), **overrides})

    @property
    def result(self) -> ResultSettings:
        """Those that change numbers."""
        return ResultSettings(**{name: getattr(self, name) for name in ResultSettings.model_fields})

    @property
    def work(self) -> WorkSettings:
        """Those that change how the work is done."""
        return WorkSettings(**{name: getattr(self, name) for name in WorkSettings.model_fields})


def _sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """Return one sentence on the first problem that pydantic found."""
    problem = error.errors()[0]
    name = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        if name == "score":
            return _name_column(problem["input"])
        if name in ResultSettings.model_fields:
            return f"Setting {name} belongs to the run and can't change; score again into another path."
        return f"Unknown setting {shown(name)}; known are {', '.join(model.model_fields)}."
    message = problem["msg"].removeprefix("Value error, ")
    return f"Setting {name}={shown(problem['input'])}: {message[0].lower()}{message[1:]}."


def _name_column(score: object) -> str:
    """Return a sentence on the column that holds what a score of earlier versions was."""
    columns = {"mean": "novelty", "nearest": "novelty_nearest", "kth": "novelty_kth"}
    column = columns.get(score) if isinstance(score, str) else None
    use = f"column {column!r}" if column else f"one of the columns {', '.join(columns.values())}"
    return f"There is no setting score, as a run stores the novelty by each; leave it out, and use {use}."
