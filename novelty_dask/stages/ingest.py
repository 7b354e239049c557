"""Lines of text to distinct URLs, sorted by reversed host and path.

::

    pieces of bytes ── dask.bag ──► tables of distinct lines ── shuffle ──► tables of distinct rows,
                                    (bounded bytes each)                    one after the other in
                                                                            sort order

A piece is read as a stream, so that neither a file nor its lines are ever held whole.
The shuffle is Dask's own, between ranges of the sort key that hold about equal bytes.
Lines that can't be scored are kept aside with their reason.
"""

from __future__ import annotations

import zlib
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from novelty_dask.execution.advances import reported
from novelty_dask.execution.usage import measured
from novelty_dask.kernels.text.normal_forms import normalize_array, reject_nameless
from novelty_dask.kernels.text.urls import sort_key, spelling_key
from novelty_dask.kernels.text.wrapped import count_wrapped
from novelty_dask.planning.stages import INGEST
from novelty_dask.readers.batches import read_batches
from novelty_dask.stages.tasks import open_on_worker
from novelty_dask.storage.runs import WORK_FOLDER
from novelty_dask.storage.tables import KEPT, TIMES, Table, join_times, write_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from novelty_dask.kernels.choices import NormalForm
    from novelty_dask.kernels.text.lines import LineBatch
    from novelty_dask.objects.commits import Commits, Draft, Metrics
    from novelty_dask.settings import ResultSettings
    from novelty_dask.sources.find import Source
    from novelty_dask.sources.pieces import Piece
    from novelty_dask.storage.runs import StoredRun

TABLE_BYTES = 16 * 2**20
"""Lines that are gathered in memory before they are made distinct and written as a table."""
LINE_OVERHEAD_BYTES = 60
"""Bytes that a gathered line takes besides its text."""
TEXT_COPIES = 3
"""Copies of the text of a gathered line: as it was read, in a table, and as its key.  A form is one more."""
BYTES_PER_KEY = 16 * 2**10
"""Text of a sorted table for each sort key that it reports; the keys cut the ranges of the shuffle."""

LINE_SCHEMA = pa.schema(
    [("key", pa.string()), ("url", pa.string()), ("position", pa.int64()), ("count", pa.int64())]
)
KEPT_FIELD = pa.field(KEPT, pa.string())
TIME_FIELDS = [pa.field(name, pa.int64()) for name in TIMES]
REJECTED_SCHEMA = pa.schema([("line", pa.int64()), ("reason", pa.string()), ("sample", pa.string())])


class PieceRead(NamedTuple):
    """Results of reading one piece; positions and lines count from the piece's first.

    Parameters
    ----------
    number, source : int
        Numbers of the piece and of its source.
    n_lines, n_skipped, n_wrapped : int
        Lines read, those of them that are neither accepted nor rejected, and those accepted that hold a URL
        inside other text.
    tables, rejected : list of Table
        Tables of distinct lines, and of rejected lines.
    reasons : dict of str to int
        Rejected lines by reason.
    keys : list of str
        Sort keys at even distances of text.
    """

    number: int
    source: int
    n_lines: int
    n_skipped: int
    n_wrapped: int
    tables: list[Table]
    rejected: list[Table]
    reasons: dict[str, int]
    keys: list[str]

    @classmethod
    def of(cls, metrics: Metrics) -> Self:
        """Return them as they are in the metrics of a commit."""
        read = cls(**{name: metrics[name] for name in cls._fields})
        tables, rejected = ([Table(*table) for table in part] for part in (read.tables, read.rejected))
        return read._replace(tables=tables, rejected=rejected)


def read_results(commits: Commits) -> list[PieceRead]:
    """Return the results of all pieces that were read, in the order of the pieces.

    Raises
    ------
    DamageError
        A commit is damaged.
    """
    return sorted(PieceRead.of(commits.get(task).metrics) for task in commits.tasks(INGEST.name))


def ingest(parts: Iterable[tuple[int, Piece, Source]], run: str, epoch: int) -> list[Metrics]:
    """Write the lines of pieces as tables of distinct lines, each of bounded size, and commit each piece.

    Parameters
    ----------
    parts : iterable of (int, Piece, Source)
        Number of each piece, the piece, and its source.
    run : str
        URL of the run.
    epoch : int
        Of its owner.

    Returns
    -------
    list of dict
        The metrics of each piece, for `PieceRead.of`.
    """
    stored = open_on_worker(run)
    return [_ingest_once(stored, epoch, part) for part in parts]


def _ingest_once(run: StoredRun, epoch: int, part: tuple[int, Piece, Source]) -> Metrics:
    """Write the lines of a piece, unless that is done; report how far it is read."""
    number, piece, source = part
    work = partial(measured, partial(_ingest_piece, piece, source, run.manifest.settings))
    with reported(run.url, INGEST.name, str(number)):
        return run.once(INGEST.task(str(number)), epoch, work)


def _ingest_piece(piece: Piece, source: Source, settings: ResultSettings, draft: Draft) -> Metrics:
    """Write the lines of one piece."""
    read = PieceRead(int(draft.task.item), piece.source, 0, 0, 0, [], [], {}, [])
    gathered: list[LineBatch] = []
    form = settings.normal_form
    copies, n_bytes = TEXT_COPIES + (form != "raw"), 0
    for batch in read_batches(piece, source, settings, reject_nameless):
        # Positions count from the first line of the piece.
        gathered.append(batch)
        read = read._replace(
            n_lines=read.n_lines + batch.n_lines,
            n_skipped=read.n_skipped + batch.n_skipped,
            n_wrapped=read.n_wrapped + count_wrapped(batch.texts),
        )
        n_bytes += copies * sum(map(len, batch.texts)) + LINE_OVERHEAD_BYTES * batch.n_lines
        n_bytes += copies * sum(map(len, batch.kept or ()))
        # Distinct lines are fewest when many lines are gathered, but memory must not depend on the piece.
        if n_bytes >= TABLE_BYTES:
            _flush(gathered, form, read, draft)
            gathered, n_bytes = [], 0
    if gathered:
        _flush(gathered, form, read, draft)
    return read._asdict()


def _flush(batches: list[LineBatch], form: NormalForm, read: PieceRead, draft: Draft) -> None:
    """Write what was gathered of a piece."""
    lines = distinct(_line_table(batches), form)
    if lines.num_rows:
        key = f"{WORK_FOLDER}lines/{read.number:06d}-{len(read.tables):06d}.parquet"
        read.tables.append(write_table(draft, key, lines, text=text_columns(form)))
        read.keys.extend(_sample_keys(lines))
    rejected = [reject for batch in batches for reject in batch.rejected]
    if rejected:
        key = f"{WORK_FOLDER}rejected/{read.number:06d}-{len(read.rejected):06d}.parquet"
        table = pa.table(list(map(list, zip(*rejected, strict=True))), schema=REJECTED_SCHEMA)
        read.rejected.append(write_table(draft, key, table, text=["sample"]))
        for reject in rejected:
            read.reasons[reject.reason] = read.reasons.get(reject.reason, 0) + 1


def _line_table(batches: list[LineBatch]) -> pa.Table:
    """Return lines as a table, each counted once; keys come when the lines are distinct."""
    urls = pa.chunked_array([pa.array(batch.texts, pa.string()) for batch in batches], pa.string())
    positions = np.concatenate([batch.numbers for batch in batches])
    columns = {"url": urls, "position": positions, "count": np.ones(len(positions), np.int64)}
    if any(batch.kept for batch in batches):
        kept = [pa.array(batch.kept or [], pa.string()) for batch in batches]
        columns[KEPT] = pa.chunked_array(kept, pa.string())
    times = [batch.times for batch in batches if batch.times is not None]
    columns |= dict.fromkeys(TIMES, np.concatenate(times)) if times else {}
    return pa.table(columns)


def line_schema(settings: ResultSettings) -> pa.Schema:
    """Return the schema of the lines of a run."""
    fields = [KEPT_FIELD] if settings.keep else []
    fields += TIME_FIELDS if settings.time_column is not None else []
    return with_fields(LINE_SCHEMA, fields)


def with_fields(schema: pa.Schema, fields: Iterable[pa.Field]) -> pa.Schema:
    """Return a schema with further fields."""
    return pa.schema([*schema, *fields])


def text_columns(form: NormalForm) -> list[str]:
    """Return the columns of a table whose longest tells how much text its rows are."""
    # A key is about as long as the form, which may be longer than the URL: percent-encoded, or in punycode.
    return ["url"] if form == "raw" else ["url", "key"]


def distinct(lines: pa.Table, form: NormalForm = "raw") -> pa.Table:
    """Return distinct URLs with count and first position, sorted by key, then URL.

    >>> lines = {"url": ["b.example", "a.example", "b.example"], "position": [0, 1, 2], "count": [1, 1, 1]}
    >>> distinct(pa.table(lines)).select(["url", "position", "count"]).to_pylist()[1]
    {'url': 'b.example', 'position': 0, 'count': 2}
    """
    # One thread: parallelism is the scheduler's, and an aggregation in several threads would return the
    # groups in any order.
    aggregates = [("position", "min"), ("count", "sum"), *join_times(lines)]
    grouped = lines.group_by("url", use_threads=False).aggregate(aggregates)
    urls = grouped["url"]
    columns = [_keys(_array(urls), form), urls, grouped["position_min"], grouped["count_sum"]]
    rows = with_times(with_kept(pa.table(columns, schema=LINE_SCHEMA), lines), grouped)
    return rows.sort_by([("key", "ascending"), ("url", "ascending")])


def with_kept(rows: pa.Table, lines: pa.Table) -> pa.Table:
    """Return rows with what their first lines keep, if lines keep anything."""
    if KEPT not in lines.column_names:
        return rows
    positions = lines["position"].to_numpy()
    order = np.argsort(positions)
    first = order[np.searchsorted(positions, rows["position"].to_numpy(), sorter=order)]
    return rows.append_column(KEPT_FIELD, lines[KEPT].take(pa.array(first)).cast(pa.string()))


def with_times(rows: pa.Table, grouped: pa.Table) -> pa.Table:
    """Return rows with their times, if the lines that were grouped have any."""
    for field in TIME_FIELDS:
        name = f"{field.name}_{TIMES[field.name]}"
        rows = rows.append_column(field, grouped[name]) if name in grouped.column_names else rows
    return rows


def _array(column: pa.ChunkedArray) -> pa.StringArray:
    """Return a column of text in one piece."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())


def _keys(urls: pa.StringArray, form: NormalForm) -> pa.StringArray:
    """Return the keys by which lines are sorted: by URL, or by the form and then the spelling."""
    if form == "raw":
        return pa.array(map(sort_key, urls.to_pylist()), pa.string())
    forms = normalize_array(urls, form)
    return pa.array(map(spelling_key, forms.to_pylist(), urls.to_pylist()), pa.string())


def _sample_keys(lines: pa.Table) -> list[str]:
    """Return the keys of a sorted table at even distances of text."""
    ends = np.cumsum(pc.binary_length(lines["url"]).to_numpy())
    # Were the first key taken of each table, tables shorter than the distance would be represented too often;
    # so they are sampled in proportion, too.  A start that follows from the content, and not from chance,
    # keeps the ranges the same in every run.
    start = zlib.crc32(lines["url"][0].as_buffer()) % BYTES_PER_KEY
    picked = np.searchsorted(ends, np.arange(start, int(ends[-1]), BYTES_PER_KEY), side="right")
    keys: list[str] = lines["key"].take(pa.array(picked)).to_pylist()
    return keys


def line_offsets(reads: Sequence[PieceRead]) -> NDArray[np.int64]:
    """Return the number of lines before each piece, in the order of the pieces."""
    return np.cumsum([0, *(read.n_lines for read in reads)], dtype=np.int64)[:-1]


def count_source_lines(reads: Iterable[PieceRead], n_sources: int) -> list[int]:
    """Return the number of lines of each source."""
    lines = [0] * n_sources
    for read in reads:
        lines[read.source] += read.n_lines
    return lines
