"""Run a command of novelty_dask in this process, and say where its CPU time and its seconds went.

    python benchmarks/dissect.py RESULT.json score urls.txt

Imports only what Python itself has, as imports are measured too, by top-level package, each
without those that it makes in turn.  They count there, wherever they happen, and not in the stage in which
they do.  What the command prints goes where it always goes.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

Times = list[float]


def now() -> Times:
    """Return the CPU seconds of this process so far, and the seconds of the clock."""
    return [time.process_time(), time.perf_counter()]


def less(times: Times, *others: Times) -> Times:
    """Return the difference of two readings."""
    return [each - sum(rest) for each, *rest in zip(times, *others, strict=True)]


class Account:
    """Times by name; what is measured inside counts there alone."""

    def __init__(self) -> None:
        self.spent: dict[str, Times] = {}
        self.inside = [[0.0, 0.0]]

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Measure what is done here under a name."""
        began = self.begin()
        try:
            yield
        finally:
            self.end(name, began)

    def begin(self) -> Times:
        """Start to measure."""
        self.inside.append([0.0, 0.0])
        return now()

    def end(self, name: str, began: Times) -> None:
        """Charge the time that has passed to a name."""
        passed = less(now(), began)
        own = less(passed, self.inside.pop())
        for total, more in ((self.inside[-1], passed), (self.spent.setdefault(name, [0.0, 0.0]), own)):
            total[:] = [a + b for a, b in zip(total, more, strict=True)]


class TimedLoader(Loader):
    """Loads a module as another loader does, on account of its package."""

    def __init__(self, loader: Any, account: Account) -> None:
        self.loader, self.account = loader, account

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the loader itself."""
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create a module; for compiled ones, that loads a library."""
        with self.account.on(f"import {spec.name.partition('.')[0]}"):
            module: ModuleType | None = self.loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run it."""
        with self.account.on(f"import {module.__name__.partition('.')[0]}"):
            self.loader.exec_module(module)


class TimedFinder:
    """Finds modules on the path."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find a module, and give it a loader that is timed."""
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = TimedLoader(spec.loader, self.account)
        return spec


class Stages:
    """Takes the events of a run, and keeps an account of its stages."""

    def __init__(self, account: Account, listener: Any) -> None:
        self.account, self.listener = account, listener
        self.began: Times = []

    def __call__(self, event: Any) -> None:
        """Start the clock of each stage."""
        if type(event).__name__ == "StageStarted":
            self.began = self.account.begin()
        if type(event).__name__ == "StageFinished":
            self.account.end(f"stage {event.stage}", self.began)
        self.listener(event)


def dissect(arguments: list[str]) -> dict[str, Times]:
    """Run a command; return what its parts took."""
    account = Account()
    sys.meta_path.insert(0, TimedFinder(account))
    with account.on("rest"):
        import novelty_dask  # noqa: PLC0415
        from novelty_dask.cli import main  # noqa: PLC0415

        score = novelty_dask.score

        def scored(*sources: Any, listener: Any, **options: Any) -> Any:
            with account.on("start and end of a run"):
                load_compiled(account)
                return score(*sources, listener=Stages(account, listener), **options)

        vars(novelty_dask)["score"] = scored
        with account.on("read and print"):
            main(arguments, standalone_mode=False)
    return account.spent


def load_compiled(account: Account) -> None:
    """Load compiled code for the first time, for which Numba prepares itself."""
    from novelty_dask.kernels.text.ngrams import count_ngrams  # noqa: PLC0415

    with account.on("Numba's start"):
        count_ngrams(["abc"], (3, 3), 8)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(dissect(sys.argv[2:])), encoding="utf-8")
