"""Named choices of the kernels, in a module that imports nothing, for settings and the command line."""

from typing import Literal

NormalForm = Literal["raw", "web"]
"""Form in which lines are compared: as they were written, or as a browser would request their URL."""

FeatureSet = Literal["ngrams", "url"]
"""What of a line is compared: its character n-grams, or the parts of its URL."""

FEATURE_VERSIONS: dict[FeatureSet, int] = {"ngrams": 1, "url": 1}
"""Versions of the definitions of features; a run of another version can't be compared or gone on with."""

Score = Literal["mean", "nearest", "kth"]
"""Similarity that is subtracted from 1 to give the novelty of a row."""
