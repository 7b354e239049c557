"""The tests mirror the package, and share nothing but helpers."""

import ast
from pathlib import Path

import novelty_dask

TESTS = Path(__file__).parents[1]
PACKAGE = Path(novelty_dask.__file__).parent
BESIDES = {"faults", "project", "support", "system"}
"""Folders of tests that are not of one part of the package."""


def folders(root: Path, pattern: str) -> set[str]:
    """Return folders below another that hold files of a pattern."""
    return {path.parent.relative_to(root).as_posix() for path in root.rglob(pattern)} - {"."}


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, also inside functions."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            is_package = (TESTS.parent / str(node.module).replace(".", "/")).is_dir()
            modules |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if is_package else {str(node.module)}
            )
    return modules


def test_no_test_module_imports_another() -> None:
    files = sorted(TESTS.rglob("*.py"))
    ours = {path: {name for name in imported(path) if name.startswith("tests.")} for path in files}
    assert sum(map(len, ours.values())) > 50
    for path, modules in ours.items():
        assert all(name.startswith("tests.support.") for name in modules), path


def test_every_folder_of_the_package_has_its_mirror() -> None:
    package, tests = folders(PACKAGE, "*.py"), folders(TESTS, "test_*.py")
    assert len(package) > 10
    assert package == {folder for folder in tests if folder.partition("/")[0] not in BESIDES}


def test_modules_at_the_root_have_theirs_at_the_root() -> None:
    tests = {path.name.removeprefix("test_") for path in TESTS.glob("test_*.py")}
    assert tests
    assert tests <= {path.name for path in PACKAGE.glob("*.py")}


def test_no_cluster_of_a_test_takes_the_usual_port_of_the_dashboard() -> None:
    """Two tests that run at once would race for it."""
    calls = [
        (path, node)
        for path in TESTS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "LocalCluster"
    ]
    assert len(calls) > 10
    for path, call in calls:
        named = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert named.get("dashboard_address", "").endswith(":0'") or None in named, path
