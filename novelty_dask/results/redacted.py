"""Tables of rows without the secrets of their URLs."""

import pyarrow as pa

from novelty_dask.kernels.text.secrets import redact

MARKED = "marked_url"
"""Column that has been redacted already, as marks stand within its URLs."""


def redact_table(table: pa.Table) -> pa.Table:
    """Return a table in which secrets of URLs are hidden, in each column of text, and of lists of text."""
    for number, field in enumerate(table.schema):
        # All text and not only URLs: a column may hold others.
        if field.name != MARKED:
            chunks = [_redact_array(chunk) for chunk in table[number].chunks]
            table = table.set_column(number, field, pa.chunked_array(chunks, field.type))
    return table


def _redact_array(array: pa.Array) -> pa.Array:
    """Return an array whose texts have no secrets; of other types, as it is."""
    if pa.types.is_string(array.type):
        return pa.array([text and redact(text) for text in array.to_pylist()], array.type)
    if pa.types.is_list(array.type) and pa.types.is_string(array.type.value_type):
        lists = [[redact(text) for text in texts] for texts in array.to_pylist()]
        return pa.array(lists, array.type)
    return array
