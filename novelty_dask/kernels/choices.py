"""Named choices of the kernels, in a module that imports nothing, for settings and the command line."""

from typing import Literal

NormalForm = Literal["raw", "web"]
"""Form in which lines are compared: as they were written, or as a browser would request their URL."""

Score = Literal["mean", "nearest", "kth"]
"""Similarity that is subtracted from 1 to give the novelty of a row."""
