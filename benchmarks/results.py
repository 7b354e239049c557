"""Results of benchmarks: JSON files with the machine, the versions, and an entry for each measurement."""

import json
import os
import platform
from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Entry = dict[str, Any]

PACKAGES = (
    *(
        "novelty-dask",
        "numpy",
        "scipy",
        "numba",
        "dask",
        "zarr",
        "sp_matmul_rs",
        "sparse-dot-topn",
        "scikit-learn",
    ),
    *("faiss-cpu", "annoy", "chroma-hnswlib", "usearch", "voyager", "pynndescent", "scann", "torch"),
)
CPU_INFO = Path("/proc/cpuinfo")
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def describe_machine() -> dict[str, Any]:
    """Return the hardware and system that figures depend on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "caches": _caches(),
        "system": platform.system(),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter, as far as they are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def add_entries(output: Path | None, corpus: str, entries: Sequence[Entry], key: Sequence[str]) -> None:
    """Write entries to a JSON file; those of the same key that it has already are replaced.

    So a long benchmark can write after each measurement, and be done in pieces.

    Raises
    ------
    SystemExit
        What the file holds was measured on another machine or corpus.
    """
    if output is None:
        return
    about = {"corpus": corpus, "machine": describe_machine()}
    kept = _read(output, about)
    new = [_key(entry, key) for entry in entries]
    merged: list[Entry] = [*(entry for entry in kept if _key(entry, key) not in new), *entries]
    content = {**about, "versions": versions(), "entries": sorted(merged, key=partial(_key, key=key))}
    aside = output.with_name(f"{output.name}.part")
    aside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    aside.replace(output)


def _read(output: Path, about: Entry) -> list[Entry]:
    """Return the entries of a file, which must be of the same machine and corpus."""
    if not output.exists():
        return []
    content = json.loads(output.read_text(encoding="utf-8"))
    for name, value in about.items():
        if content[name] != value:
            raise SystemExit(f"{output} holds results of another {name}; name another file as --output.")
    entries: list[Entry] = content["entries"]
    return entries


def _key(entry: Entry, key: Sequence[str]) -> tuple[Any, ...]:
    """Return the values that identify an entry."""
    return tuple(entry[name] for name in key)


def _processor() -> str:
    """Return the name of the processor."""
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _caches() -> dict[str, str]:
    """Return the sizes of the caches that hold data, as the system names them."""
    found = {}
    for cache in sorted(CACHES.glob("index*")):
        level, kind, size = ((cache / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found[f"L{level}"] = size
    return found
