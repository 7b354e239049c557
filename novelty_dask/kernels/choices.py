"""Named choices of the kernels, in a module that imports nothing, for settings and the command line."""

from typing import Literal

NormalForm = Literal["raw", "web"]
"""Compare lines as they were written, or in the form in which a browser would ask for their URL."""

Score = Literal["mean", "nearest", "kth"]
"""Which similarity the novelty of a row is the complement of."""
