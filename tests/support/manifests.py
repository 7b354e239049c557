"""Runs that say something else of themselves than they should."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from novelty_dask.storage.manifest import ATTRIBUTE, CHECKSUM, checksum


def alter(run: str | Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest of a run, and its checksum with it."""
    path = Path(run) / "zarr.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    said = values["attributes"][ATTRIBUTE]
    del said[CHECKSUM]
    change(said)
    said[CHECKSUM] = checksum(said)
    path.write_text(json.dumps(values, indent=2), encoding="utf-8")
