"""Lines of text to distinct URLs, sorted by reversed host and path.

::

    pieces of bytes ── dask.bag ──► tables of distinct lines ── shuffle ──► tables of distinct rows,
                                    (bounded bytes each)                    one after the other in
                                                                            sort order

A piece is read as a stream, so that neither a file nor its lines are ever held whole.
The shuffle is Dask's own, between ranges of the sort key that hold about equal bytes.
Lines that can't be scored are kept aside with their reason.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from novelty_dask.execution.executors import Figures
from novelty_dask.execution.usage import measured
from novelty_dask.kernels.text.lines import MAX_BYTES, LineBatch, Reason, Rejected, read_lines, sample_of
from novelty_dask.kernels.text.urls import NormalForm, normalize, sort_key
from novelty_dask.objects.commits import Draft, TaskId
from novelty_dask.sources.find import Source
from novelty_dask.sources.pieces import Piece, read_chunks
from novelty_dask.stages.tasks import reach
from novelty_dask.storage.runs import WORK_FOLDER
from novelty_dask.storage.tables import Table, write_table

TABLE_BYTES = 16 * 2**20
"""What is gathered before it is made distinct and written."""
LINE_BYTES = 100
"""What a line takes there besides its text."""
SAMPLE_BYTES = 16 * 2**10
"""Text of a sorted table for each key that is reported, to cut the ranges of the shuffle."""

LINES = pa.schema(
    [("key", pa.string()), ("url", pa.string()), ("position", pa.int64()), ("count", pa.int64())]
)
REJECTED = pa.schema([("line", pa.int64()), ("reason", pa.string()), ("sample", pa.string())])


class PieceRead(NamedTuple):
    """What reading one piece left; positions and lines count from the piece's first."""

    number: int
    n_lines: int
    tables: list[Table]
    rejected: list[Table]
    keys: list[str]

    @classmethod
    def of(cls, figures: Figures) -> Self:
        """As it is in the figures of a commit."""
        read = cls(**{name: figures[name] for name in cls._fields})
        tables, rejected = ([Table(*table) for table in part] for part in (read.tables, read.rejected))
        return read._replace(tables=tables, rejected=rejected)


def _normalized(batch: LineBatch, form: NormalForm) -> LineBatch:
    """The batch in a normal form; what has none is rejected."""
    kept, refused, keep = [], [], np.zeros(len(batch.texts), bool)
    for place, (number, text) in enumerate(zip(batch.numbers, batch.texts, strict=True)):
        normal = normalize(text, form)
        if normal is not None and len(normal) <= MAX_BYTES:
            kept.append(normal)
            keep[place] = True
        else:
            # What is escaped in a URL makes it longer.
            reason = Reason.NOT_A_URL if normal is None else Reason.TOO_LONG
            refused.append(Rejected(int(number), reason, sample_of(text.encode())))
    return LineBatch(batch.numbers[keep], kept, sorted([*batch.rejected, *refused]))


def ingest(
    numbered: Iterable[tuple[int, Piece, Source]], run: str, epoch: int, form: NormalForm
) -> list[Figures]:
    """Write the lines of pieces as tables of distinct lines, each of bounded size, and commit each piece."""
    stored = reach(run)
    return [
        stored.once(
            TaskId("ingest", str(number)),
            epoch,
            lambda draft, piece=piece, source=source: measured(  # type: ignore[misc]
                _ingest_piece, draft, read_batches(piece, source, form)
            ),
        )
        for number, piece, source in numbered
    ]


def read_batches(piece: Piece, source: Source, form: NormalForm) -> Iterator[LineBatch]:
    """The lines of a piece, as they are read."""
    batches = read_lines(read_chunks(source, piece), first_chunk_is_start=piece.start == 0)
    return batches if form == "raw" else (_normalized(batch, form) for batch in batches)


def _ingest_piece(draft: Draft, batches: Iterable[LineBatch]) -> Figures:
    """Write the lines of one piece."""
    read = PieceRead(int(draft.task.item), 0, [], [], [])
    gathered: list[LineBatch] = []
    n_bytes = 0
    for batch in batches:
        read = read._replace(n_lines=read.n_lines + batch.n_lines)
        gathered.append(batch)
        n_bytes += sum(map(len, batch.texts)) + LINE_BYTES * batch.n_lines
        if n_bytes >= TABLE_BYTES:
            _flush(gathered, read, draft)
            gathered, n_bytes = [], 0
    if gathered:
        _flush(gathered, read, draft)
    return read._asdict()


def _flush(batches: list[LineBatch], read: PieceRead, draft: Draft) -> None:
    """Write what was gathered of a piece."""
    lines = distinct(_line_table(batches))
    if lines.num_rows:
        key = f"{WORK_FOLDER}lines/{read.number:06d}-{len(read.tables):06d}.parquet"
        read.tables.append(write_table(draft, key, lines))
        read.keys.extend(_sample_keys(lines))
    rejected = [reject for batch in batches for reject in batch.rejected]
    if rejected:
        key = f"{WORK_FOLDER}rejected/{read.number:06d}-{len(read.rejected):06d}.parquet"
        table = pa.table(list(map(list, zip(*rejected, strict=True))), schema=REJECTED)
        read.rejected.append(write_table(draft, key, table, text="sample"))


def _line_table(batches: list[LineBatch]) -> pa.Table:
    """Lines as a table, each counted once; keys come when the lines are distinct."""
    urls = pa.chunked_array([pa.array(batch.texts, pa.string()) for batch in batches], pa.string())
    positions = np.concatenate([batch.numbers for batch in batches])
    return pa.table({"url": urls, "position": positions, "count": np.ones(len(positions), np.int64)})


def distinct(lines: pa.Table) -> pa.Table:
    """Distinct URLs with count and first position, sorted by key, then URL.

    >>> lines = {"url": ["b.example", "a.example", "b.example"], "position": [0, 1, 2], "count": [1, 1, 1]}
    >>> distinct(pa.table(lines)).select(["url", "position", "count"]).to_pylist()[1]
    {'url': 'b.example', 'position': 0, 'count': 2}
    """
    grouped = lines.group_by("url", use_threads=False).aggregate([("position", "min"), ("count", "sum")])
    urls = grouped["url"].combine_chunks() if grouped.num_rows else pa.array([], pa.string())
    keys = pa.array(map(sort_key, urls.to_pylist()), pa.string())
    columns = [keys, urls, grouped["position_min"], grouped["count_sum"]]
    return pa.table(columns, schema=LINES).sort_by([("key", "ascending"), ("url", "ascending")])


def _sample_keys(lines: pa.Table) -> list[str]:
    """Keys of a sorted table at even distances of text, from where it differs between tables.

    So those tables that are shorter than the distance are sampled in proportion, too.
    """
    ends = np.cumsum(pc.binary_length(lines["url"]).to_numpy())
    start = zlib.crc32(lines["url"][0].as_buffer()) % SAMPLE_BYTES
    picked = np.searchsorted(ends, np.arange(start, int(ends[-1]), SAMPLE_BYTES), side="right")
    keys: list[str] = lines["key"].take(pa.array(picked)).to_pylist()
    return keys


def line_offsets(reads: Sequence[PieceRead]) -> NDArray[np.int64]:
    """Lines before each piece, in the order of the pieces."""
    return np.cumsum([0, *(read.n_lines for read in reads)], dtype=np.int64)[:-1]
