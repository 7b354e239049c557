"""The figures of benchmarks/structure.py: measured rightly, and held to their limits."""

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parents[2]

# The largest value allowed, with the aim beside it where that is not reached: tighten when a figure falls.
AT_MOST: dict[str, float] = {
    "lines": 51_000,  # aim: 11,497, which is 5 % above 10,950
    "largest_module": 349,  # aim: 250
    "median_function": 6,
    "p90_function": 14,
    "longest_function": 40,
    "most_parameters": 9,  # aim: 6, but for score() and neighbors(), whose users name what they need
    "edges_a_module": 3.32,  # aim: 2.6
    "largest_fan_out": 14,  # aim: 10, but for readers/choose.py, which names every reader
    "cycles": 0,
    "lazy_imports": 18,
    "stage_literals": 13,
    "question_docstrings": 0.5,
    "test_imports": 0,
}

# The smallest value allowed.
AT_LEAST: dict[str, float] = {
    "annotated": 100,
    "comments": 2.7,  # aim: 3
    "comments_in_search": 4,
}

CODE = {
    "novelty_dask/__init__.py": '"""Package."""\n',
    "novelty_dask/a.py": '''"""What a is."""

from typing import TYPE_CHECKING

from novelty_dask import b
from novelty_dask.b import first, second

if TYPE_CHECKING:
    from novelty_dask import c


class A:
    """A class."""

    def merge(self, x: int, *, y: int) -> int:
        """Merge.

        In two lines.
        """
        # Why it is so.
        stages = {"merge": x}
        return stages["merge"] + (
            first + second + b.first + y
        )


def untyped(x):
    """Whether x."""
    from novelty_dask import c
    return c
''',
    "novelty_dask/b.py": '"""sort"""\n\nfrom .kernels.search import scan\n\nfirst = second = scan.third\n',
    "novelty_dask/c.py": '"""Module c."""\n\nNAME = "sort them"\n',
    "novelty_dask/kernels/search/__init__.py": '"""Search."""\n\n# Why.\n\n',
    "novelty_dask/kernels/search/scan.py": '"""Scan."""\n\nimport novelty_dask.a\n\nthird = 3\n',
    "tests/test_a.py": "from tests.support import one\n",
    "tests/test_b.py": "def test() -> None:\n    from tests.test_a import one\n",
    "tests/support.py": "import tests.test_a\n\none = 1\n",
}

EXPECTED: dict[str, Any] = {
    "modules": 6,
    "lines": 48,
    "largest_module": 30,
    "functions": 2,
    "median_function": 3,
    "p90_function": 4,
    "longest_function": 4,
    "most_parameters": 3,
    "annotated": 50.0,
    "edges": 3,
    "edges_a_module": 0.5,
    "largest_fan_out": 1,
    "largest_fan_out_module": "novelty_dask.a",
    "cycles": 1,
    "typing_edges": 1,
    "lazy_imports": 1,
    "stage_literals": 2,
    "docstrings": 9,
    "question_docstrings": 22.2,
    "comments": 4.2,
    "comments_in_search": 11.1,
    "test_imports": 2,
}


@pytest.fixture
def structure(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("structure")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, text in CODE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_code_is_within_its_limits(structure: ModuleType) -> None:
    figures = structure.measure(ROOT)
    assert {name: figures[name] for name, limit in AT_MOST.items() if figures[name] > limit} == {}
    assert {name: figures[name] for name, limit in AT_LEAST.items() if figures[name] < limit} == {}


def test_figures_are_what_they_are_defined_to_be(structure: ModuleType, checkout: Path) -> None:
    assert structure.measure(checkout) == EXPECTED


def test_a_cycle_is_found_once_and_named_whole(structure: ModuleType, checkout: Path) -> None:
    edges = structure.import_edges(structure.read_modules(checkout, "novelty_dask"))
    circle = {"novelty_dask.a", "novelty_dask.b", "novelty_dask.kernels.search.scan"}
    assert structure.find_cycles(edges) == {frozenset(circle)}


def test_figures_are_printed_for_people_and_for_programs(structure: ModuleType, checkout: Path) -> None:
    arguments = ["--folder", str(checkout)]
    printed = CliRunner().invoke(structure.main, arguments, catch_exceptions=False).output
    assert "stage_literals" in printed
    assert structure.EDGES in printed
    written = CliRunner().invoke(structure.main, [*arguments, "--json"], catch_exceptions=False).output
    assert json.loads(written) == EXPECTED


def test_a_folder_without_the_package_is_refused(structure: ModuleType, tmp_path: Path) -> None:
    refused = CliRunner().invoke(structure.main, ["--folder", str(tmp_path)])
    assert refused.exit_code == 1
    assert "name the root of a checkout" in refused.output
