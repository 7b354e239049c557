"""The matrix whose rows a run compares, in place of lines of text."""

from dataclasses import dataclass
from typing import Literal

from novelty_dask.kernels.choices import Metric
from novelty_dask.kernels.text.lines import MAX_BYTES

MOST_COLUMNS = 2**31 - 2
"""Most columns that rows may have, whose numbers are of 32 bits."""


@dataclass(frozen=True)
class Matrix:
    """Numbers of a matrix, and how its rows are compared: all that its run follows from but its values.

    Parameters
    ----------
    n_rows, n_columns : int
        Of the rows that are compared, which are the columns of the source if `axis` is 1.
    dtype : {"float32", "float64"}
        In which values are stored, without loss.
    metric : {"cosine", "euclidean", "inner_product"}
        What close rows are.
    axis : {0, 1}
        1 if the columns of the source are compared.
    column : str or None
        Column of lists of the source, or its array in an archive.
    label_column : str or None
        Column of labels, or their array in an archive.
    label_type : {"", "str", "int64"}
        What labels are; empty without any.
    label_bytes : int
        Most bytes of a label that is text; 0 otherwise.
    """

    n_rows: int
    n_columns: int
    dtype: Literal["float32", "float64"]
    metric: Metric
    axis: Literal[0, 1] = 0
    column: str | None = None
    label_column: str | None = None
    label_type: Literal["", "str", "int64"] = ""
    label_bytes: int = 0

    @property
    def value_name(self) -> str:
        """Name of the array of values of neighbors."""
        return "distances" if self.metric == "euclidean" else "similarities"

    @property
    def has_novelty(self) -> bool:
        """True if rows have a novelty; a product says nothing of how far away a row is."""
        return self.metric != "inner_product"

    @property
    def is_possible(self) -> bool:
        """True if there can be such a matrix."""
        has_texts = self.label_type == "str"
        are_labels_possible = has_texts <= self.label_bytes <= MAX_BYTES * has_texts
        return 1 <= self.n_rows <= 2**50 and 1 <= self.n_columns <= MOST_COLUMNS and are_labels_possible
