"""Every thread that the package starts outlives any error, whatever its class."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "novelty_dask"
STARTERS = {"Thread", "Timer", "ThreadPoolExecutor", "PeriodicCallback"}


def called(node: ast.AST) -> str:
    """Return the last name of what is called."""
    function = node.func if isinstance(node, ast.Call) else node
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def unguarded(source: str) -> list[str]:
    """Return the functions that run in threads of their own, and do not catch everything."""
    tree = ast.parse(source)
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    names = []
    # A pool hands each error to whoever takes the answer, and a block that ends waits for its threads.
    blocks = {
        item.context_expr for node in ast.walk(tree) if isinstance(node, ast.With) for item in node.items
    }
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and called(call) in STARTERS and call not in blocks:
            [target] = [called(word.value) for word in call.keywords if word.arg == "target"] or [
                called(call)
            ]
            handlers = ast.walk(functions.get(target, ast.Pass()))
            caught = {
                called(each.type) for each in handlers if isinstance(each, ast.ExceptHandler) and each.type
            }
            names += [] if "BaseException" in caught else [target]
    return names


@pytest.mark.parametrize(
    ("handler", "expected"), [("BaseException", []), ("Exception", ["beat"]), ("OSError", ["beat"])]
)
def test_threads_that_may_die_are_found(handler: str, expected: list[str]) -> None:
    source = f"""
class Owner:
    def start(self):
        threading.Thread(target=self.beat)

    def beat(self):
        try:
            work()
        except {handler}:
            pass
"""
    assert unguarded(source) == expected
    assert unguarded("pool = ThreadPoolExecutor(2)") == ["ThreadPoolExecutor"]
    assert unguarded("with ThreadPoolExecutor(2) as pool:\n    list(pool.map(print, [1]))") == []


def test_no_thread_of_the_package_dies_of_an_error() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert sum("Thread(" in source for source in sources.values()) >= 2
    assert {path.name: names for path, source in sources.items() if (names := unguarded(source))} == {}
