"""The command ``novelty``: parses, calls the package, prints.

Results go to standard output, all else to standard error.  `novelty_dask` imports its heavy
parts when they are first used, so that help comes at once.
"""

from novelty_dask.cli import (  # noqa: F401 - register their commands
    clusters,
    explanations,
    exports,
    jobs,
    maintenance,
    neighbors,
    similar,
)
from novelty_dask.cli.commands import main

__all__ = ["main"]
