"""Shared fixtures."""

import os
import signal
from pathlib import Path

import pytest

CORPORA = Path(os.environ.get("NOVELTY_CORPORA", Path(__file__).parents[2] / "shared" / "corpora"))


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Folder of real corpora, which are not part of the project."""
    if not (CORPORA / "urls_1m.txt.xz").exists():
        pytest.skip(f"no real corpora in {CORPORA}; set NOVELTY_CORPORA to their folder")
    return CORPORA


def pytest_configure() -> None:
    """Hear Ctrl-C again where the tests run in the background, as the processes that they start shall."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
