"""The pages on faults and on security name tests that are there, and all of faults/."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGES = TESTS.parent / "docs" / "explanation"
FAULTS, SECURITY = ((PAGES / f"{name}.md").read_text(encoding="utf-8") for name in ("faults", "security"))


def names_of(path: Path) -> set[str]:
    """Names of the tests of a file."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {each.name for each in body if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")}


def locate(name: str, folder: Path) -> Path:
    """Return the one test file of a name, which may begin with its folders; of several, that of a folder."""
    found = [
        path for path in TESTS.rglob("test_*.py") if f"/{path.relative_to(TESTS.parent)}".endswith(f"/{name}")
    ]
    [path] = [path for path in found if path.parent == folder] or found
    return path


def named(part: str, folder: Path, file: str) -> set[tuple[Path, str]]:
    """Return files and tests that a part of the page names; no file means the one before, or a default."""
    found = set()
    for row in part.splitlines():
        last = file
        for path, test in re.findall(r"`([\w/]+\.py)?(?:::(test_\w+))?`", row):
            last = path or last
            if path or test:
                found.add((locate(last, folder), test))
    return found


def test_tests_that_are_named_are_there() -> None:
    both = named(FAULTS, TESTS / "faults", "") | named(SECURITY, TESTS / "system", "test_security.py")
    assert len(both) > 40
    for path, test in both:
        assert not test or test in names_of(path), (path, test)


def test_each_test_of_a_fault_is_named() -> None:
    there = named(FAULTS, TESTS / "faults", "")
    for path in (TESTS / "faults").glob("test_*.py"):
        assert {test for file, test in there if file == path} == names_of(path)
