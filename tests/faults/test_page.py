"""The page on reliability names tests that are there, and all of these."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "reliability.md").read_text(encoding="utf-8")
FAULTS, _, SECURITY = PAGE.partition("## Hostile input and secrets")


def names_of(path: Path) -> set[str]:
    """Names of the tests of a file."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {each.name for each in body if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")}


def named(part: str, folder: Path, file: str) -> set[tuple[Path, str]]:
    """Files and tests that a part of the page names; without a file, it is the one before, or a default."""
    found = set()
    for row in part.splitlines():
        last = file
        for path, test in re.findall(r"`([\w/]+\.py)?(?:::(test_\w+))?`", row):
            last = path or last
            if path or test:
                found.add((folder / last if (folder / last).exists() else TESTS / last, test))
    return found


def test_tests_that_are_named_are_there() -> None:
    both = named(FAULTS, TESTS / "faults", "") | named(SECURITY, TESTS, "test_security.py")
    assert len(both) > 40
    for path, test in both:
        assert not test or test in names_of(path), (path, test)


def test_each_test_of_a_fault_is_named() -> None:
    there = named(FAULTS, TESTS / "faults", "")
    for path in (TESTS / "faults").glob("test_*.py"):
        if path != Path(__file__):
            assert {test for file, test in there if file == path} == names_of(path)
