"""Columns of rows, as a user chooses some of them."""

from collections.abc import Sequence

from novelty_dask.errors import SettingsError


def check_columns(columns: Sequence[str], names: Sequence[str]) -> None:
    """Refuse columns that are not there, and a list of none or of one twice.

    Raises
    ------
    SettingsError
        It says which, and which columns there are.
    """
    missing = [name for name in columns if name not in names]
    # One name without brackets would be taken for the list of its letters.
    if missing or isinstance(columns, str):
        *first, last = names
        wrong = repr(columns if isinstance(columns, str) else missing[0])
        message = f"There is no column {wrong}; choose some of {', '.join(first)} and {last}."
        raise SettingsError(message)
    if not columns or len(set(columns)) < len(columns):
        message = "Name each column once, and one at least (columns)."
        raise SettingsError(message)
