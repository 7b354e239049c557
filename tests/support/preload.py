"""What the process of which clients are forked does once: import all, and compile or load the kernels."""

import tempfile
import threading
from pathlib import Path

from zarr.core.sync import cleanup_resources

import novelty_dask


def warm() -> None:
    """Score a few lines; leave no thread, as a fork would not have it."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "urls.txt")
        source.write_text("\n".join(novelty_dask.datasets.make_urls(50)[0]), encoding="utf-8")
        novelty_dask.score(source, Path(folder, "run.zarr"), workers=0, n_features=2**14)
        novelty_dask.verify(Path(folder, "run.zarr"))
    cleanup_resources()
    ours = [thread.name for thread in threading.enumerate() if thread.name.startswith(("novelty", "zarr"))]
    assert not ours


warm()
