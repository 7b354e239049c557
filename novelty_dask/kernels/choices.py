"""Named choices of the kernels, in a module that imports nothing, for settings and the command line."""

from typing import Literal, get_args

NormalForm = Literal["raw", "web", "page", "template"]
"""Form in which lines are compared, and equal ones are one row.

As they were written, as a browser would request them, as the page that their spellings have in common, or
as the template that pages have in common.
"""

InputFormat = Literal[
    "lines",
    "csv",
    "tsv",
    "jsonl",
    "parquet",
    "arrow",
    "cdx",
    "cdxj",
    "warc",
    "wat",
    "sitemap",
    "log",
    "har",
    "bookmarks",
    "misp",
    "hosts",
    "memory",
]
"""Format of sources."""
MEMORY: InputFormat = "memory"
"""Format in which a run keeps URLs that were in memory; files never have it."""
FILE_FORMATS: tuple[InputFormat, ...] = tuple(form for form in get_args(InputFormat) if form != MEMORY)
TABLES: tuple[InputFormat, ...] = ("csv", "tsv", "jsonl", "parquet", "arrow")
"""Formats with columns, one to be named; the others tell where their URLs are."""

HARMLESS = ("blank", "comment")
"""Reasons for which lines are rejected that nobody took for a URL."""

Invalid = Literal["reject", "keep"]
"""What happens to lines that are not UTF-8."""

FeatureSet = Literal["url", "ngrams"]
"""What of a line is compared: its character n-grams, or the parts of its URL."""

VECTORIZER = "vectorizer:"
"""Beginning of the name of features that a vectorizer of the user makes: its class and fingerprint follow."""
AS_IS = ":as_is"
"""End of such a name, if rows are not weighted."""
GIVEN_NAME = rf"^{VECTORIZER}\w{{1,100}}:[0-9a-f]{{16}}({AS_IS})?$"
"""Such names, as a regular expression."""

FEATURE_VERSIONS: dict[FeatureSet, int] = {"ngrams": 1, "url": 2}
"""Versions of the definitions of features; a run of another version can't be compared or gone on with."""

Metric = Literal["cosine", "euclidean", "inner_product"]
"""Measure of how close two vectors are: the cosine of their angle, their distance, or their product."""

View = Literal["novelty", "novelty_nearest", "novelty_kth", "uncovered", "lof"]
"""Number of a row that is computed from its neighbors, as the column that holds it; the higher, the newer."""
VIEWS: tuple[View, ...] = get_args(View)
