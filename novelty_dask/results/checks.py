"""Checks of what an export is asked for, before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from novelty_dask.errors import SettingsError, StoreError
from novelty_dask.results.ordering import ORDERS
from novelty_dask.results.outputs import STDOUT_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from novelty_dask.results.selection import Selection

FORMATS = ("csv", "tsv", "jsonl", "parquet", "arrow", "npz")
WITH_LISTS = ("jsonl", "parquet", "arrow")
TEXT = ("csv", "tsv", "jsonl")
STREAM_FORMAT = "csv"
"""Format of standard output, if none is named."""
ENDINGS = {**{name: name for name in FORMATS}, "feather": "arrow"}
COMPRESSIONS = {"gz": "gzip", "zst": "zstd"}
"""Compressions of text by the last ending of a name; the other formats have their own."""


class Format(NamedTuple):
    """Format of a file: what it holds, and how it is compressed.

    Parameters
    ----------
    name : str
        One of `FORMATS`.
    compression : {"gzip", "zstd"}, optional
    """

    name: str
    compression: str | None = None

    @property
    def has_lists(self) -> bool:
        """True if it has all neighbors of each row."""
        return self.name in WITH_LISTS

    @property
    def is_binary(self) -> bool:
        """True if a terminal can't show it."""
        return self.name not in TEXT or self.compression is not None


def choose_format(out: str, format: str | None) -> Format:  # noqa: A002 - named as the option
    """Return the format of an output, by its name or by that of its file.

    >>> choose_format("rows.CSV.gz", None), choose_format("-", None)
    (Format(name='csv', compression='gzip'), Format(name='csv', compression=None))

    Raises
    ------
    SettingsError
        It can't be told, or is unknown.
    StoreError
        The name is that of no local file.
    """
    if "\0" in out:
        message = f"Can't write {out!r}: a file name can't contain NUL."
        raise StoreError(message)
    if "://" in out:
        message = f"Can't write {out!r}: exports are local files; name one, and copy it there."
        raise StoreError(message)
    *others, ending = ["", *(suffix.removeprefix(".").lower() for suffix in Path(out).suffixes)]
    compression = COMPRESSIONS.get(ending)
    if compression:
        ending = others[-1]
    chosen = format or (STREAM_FORMAT if out in STDOUT_NAMES else ENDINGS.get(ending))
    if chosen not in FORMATS:
        *first, last = FORMATS
        endings = f".{', .'.join(first)} or .{last}"
        message = f"Can't tell the format of {Path(out).name!r}; end it in {endings}, or give --format."
        raise SettingsError(message)
    if compression and chosen not in TEXT:
        message = f"A file of {chosen} is compressed in itself; leave out .{Path(out).suffix[1:]}."
        raise SettingsError(message)
    return Format(chosen, compression)


def check_order(
    format: str,  # noqa: A002
    order: str,
    selection: Selection,
    columns: Sequence[str] | None = None,
    *,
    every_line: bool = False,
) -> None:
    """Refuse an unknown order, and an order, a selection or columns that the format can't have.

    Every line goes with the order of the input alone, and with no selection.

    Raises
    ------
    SettingsError
        It says which.
    """
    if order not in ORDERS:
        *first, last = ORDERS
        message = f"Order {order!r} is unknown; it is {', '.join(first)} or {last}."
        raise SettingsError(message)
    if selection.least and order == "input":
        message = "The order of the input has no least rows; choose a column (order)."
        raise SettingsError(message)
    if every_line:
        _check_every_line(format, order, selection)
    if format == "npz":
        _check_arrays(order, selection, columns)


def _check_arrays(order: str, selection: Selection, columns: Sequence[str] | None) -> None:
    """Refuse an order, a selection and columns of npz, which has all arrays of all rows.

    Raises
    ------
    SettingsError
        It says which.
    """
    if order != "input":
        message = (
            "An npz file keeps the order of the run, which its neighbor_ids refer to; leave out --order."
        )
        raise SettingsError(message)
    if selection.calibrate:
        message = "An npz file has no p-values; choose another format."
        raise SettingsError(message)
    if selection.leaves_out:
        message = "An npz file has all rows, which its neighbor_ids refer to; choose another format."
        raise SettingsError(message)
    if columns is not None:
        message = "An npz file has all arrays; choose another format, or leave out the columns."
        raise SettingsError(message)


def _check_every_line(format: str, order: str, selection: Selection) -> None:  # noqa: A002
    """Refuse a format or an order that can't have every line, and any selection.

    Raises
    ------
    SettingsError
        It says which.
    """
    if format == "npz":
        message = "An npz file has rows and no lines; choose another format, or leave out --every-line."
        raise SettingsError(message)
    if order != "input" or selection.leaves_out:
        message = (
            "Every line is written in the order of the input; leave out --every-line, or what selects or "
            "orders rows (--order, --min-novelty, --per-site, --per-template, --ignore)."
        )
        raise SettingsError(message)
