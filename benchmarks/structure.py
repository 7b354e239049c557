"""Figures of the code's structure, read from the source text: no module of the package is imported.

Run ``python benchmarks/structure.py``, with ``--folder`` for another checkout and ``--json`` for a program.
Each figure is defined beside its name in `DEFINITIONS`.
"""

import ast
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import click

ROOT = Path(__file__).parents[1]
PACKAGE = "novelty_dask"
TESTS = "tests"
STAGES = frozenset({"ingest", "sort", "rejected", "vectorize", "columns", "weigh", "compare", "merge"})
QUESTION = re.compile(r"(What|Whether|Where|Who|How|That|Which|When)\b")

DEFINITIONS = {
    "modules": "Python files of the package, each __init__.py included",
    "lines": "lines of these files, blank ones included",
    "largest_module": "lines of the longest file",
    "functions": "functions and methods, nested ones included, lambdas not",
    "median_function": "median lines of a function's body, without its docstring",
    "p90_function": "90th percentile of the same",
    "longest_function": "longest of the same",
    "most_parameters": "parameters of one function, self, cls, *args and **kwargs included",
    "annotated": "% of functions whose parameters, but for self and cls, and result all have a type",
    "edges": "pairs (importing module, imported module), see below",
    "edges_a_module": "edges divided by modules",
    "largest_fan_out": "edges that leave one module",
    "largest_fan_out_module": "the module that they leave, the first by name of several",
    "cycles": "groups of modules that import one another in a circle",
    "typing_edges": "pairs of the same kind, under if TYPE_CHECKING, that only type checkers see",
    "lazy_imports": "imports of the package's own modules within functions",
    "stage_literals": "string constants that equal the name of a stage, docstrings left out",
    "docstrings": "docstrings of modules, classes and functions",
    "question_docstrings": "% of them that begin with What, Whether, Where, Who, How, That, Which or When",
    "comments": "% of lines that begin with #, after spaces",
    "comments_in_search": "% of the same in kernels/search, 0 if there is no such folder",
    "test_imports": "imports of one test module (test_*.py) from another file of the tests",
}

EDGES = """\
An edge is counted once however often it is written.  It is an import of the package's own modules that runs
when the importing module is imported: not one in a function, and not one under `if TYPE_CHECKING`.  Names
resolve to the module that is meant: `from package import module` to the module, `from package.module import
name` to package.module.  The __init__.py files of the folders above an imported module are no edges."""


class Module(NamedTuple):
    """A parsed file.

    Parameters
    ----------
    name : str
        Dotted name; that of the folder for an __init__.py.
    path : Path
        The file.
    text : str
        Its content.
    tree : ast.Module
        Its syntax tree.
    """

    name: str
    path: Path
    text: str
    tree: ast.Module


Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def read_modules(folder: Path, package: str) -> list[Module]:
    """Parse all Python files of a package or of the tests."""
    modules = []
    for path in sorted((folder / package).rglob("*.py")):
        name = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
        text = path.read_text(encoding="utf-8")
        modules.append(Module(name, path, text, ast.parse(text)))
    return modules


def measure(folder: Path) -> dict[str, Any]:
    """Return every figure of `DEFINITIONS` for one checkout.

    Parameters
    ----------
    folder : Path
        The root of the checkout.

    Raises
    ------
    SystemExit
        If the package is not there.
    """
    modules = read_modules(folder, PACKAGE)
    if not modules:
        raise SystemExit(f"{folder} holds no {PACKAGE}; name the root of a checkout as --folder.")
    figures = {
        **_sizes(modules),
        **_functions(modules),
        **_imports(modules),
        **_words(modules),
        "test_imports": len(imports_between_tests(read_modules(folder, TESTS))),
    }
    return {name: figures[name] for name in DEFINITIONS}


def _sizes(modules: list[Module]) -> dict[str, int]:
    """Return the number of files and their lines."""
    lines = [len(module.text.splitlines()) for module in modules]
    return {"modules": len(modules), "lines": sum(lines), "largest_module": max(lines)}


def _functions(modules: list[Module]) -> dict[str, Any]:
    """Return the figures of functions."""
    functions = [node for module in modules for node in ast.walk(module.tree) if isinstance(node, Function)]
    lengths = sorted(map(body_lines, functions))
    return {
        "functions": len(functions),
        "median_function": int(median(lengths)),
        "p90_function": lengths[math.ceil(0.9 * len(lengths)) - 1],
        "longest_function": lengths[-1],
        "most_parameters": max(len(_parameters(function)) for function in functions),
        "annotated": _percent(sum(map(is_annotated, functions)), len(functions)),
    }


def body_lines(function: Function) -> int:
    """Return how many lines the statements of a function take, its docstring left out."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def _parameters(function: Function) -> list[ast.arg]:
    """Return all parameters of a function."""
    arguments = function.args
    variable = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *variable]


def is_annotated(function: Function) -> bool:
    """Return whether all parameters, but for self and cls, and the result have a type."""
    parameters = (argument for argument in _parameters(function) if argument.arg not in {"self", "cls"})
    return function.returns is not None and all(argument.annotation for argument in parameters)


def _imports(modules: list[Module]) -> dict[str, Any]:
    """Return the figures of the package's imports of itself."""
    edges = import_edges(modules)
    fan_outs = Counter(source for source, _ in sorted(edges))
    module, fan_out = fan_outs.most_common(1)[0]
    return {
        "edges": len(edges),
        "edges_a_module": round(len(edges) / len(modules), 2),
        "largest_fan_out": fan_out,
        "largest_fan_out_module": module,
        "cycles": len(find_cycles(edges)),
        "typing_edges": len(typing_edges(modules) - edges),
        "lazy_imports": len(lazy_imports(modules)),
    }


def import_edges(modules: list[Module]) -> set[tuple[str, str]]:
    """Return the pairs (importing module, imported module) as `EDGES` defines them."""
    names = {module.name for module in modules}
    return {
        (module.name, target)
        for module in modules
        for statement in _at_import(module.tree.body)
        for target in _targets(statement, module, names)
    }


def typing_edges(modules: list[Module]) -> set[tuple[str, str]]:
    """Return the pairs (importing module, imported module) of imports under ``if TYPE_CHECKING``."""
    names = {module.name for module in modules}
    return {
        (module.name, target)
        for module in modules
        for block in module.tree.body
        if _is_type_checking(block)
        for statement in ast.walk(block)
        for target in _targets(statement, module, names)
    }


def lazy_imports(modules: list[Module]) -> set[tuple[str, str]]:
    """Return the pairs (importing module, imported module) of imports within functions."""
    names = {module.name for module in modules}
    return {
        (module.name, target)
        for module in modules
        for function in ast.walk(module.tree)
        if isinstance(function, Function)
        for statement in ast.walk(function)
        for target in _targets(statement, module, names)
    }


def imports_between_tests(modules: list[Module]) -> set[tuple[str, str]]:
    """Return the pairs (importing file, imported test module) of the tests, lazy imports included."""
    names = {module.name for module in modules if module.path.name.startswith("test_")}
    return {
        (module.name, target)
        for module in modules
        for statement in ast.walk(module.tree)
        for target in _targets(statement, module, names)
    }


def _at_import(statements: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the statements that run when a module is imported, those inside others too."""
    for statement in statements:
        if isinstance(statement, Function) or _is_type_checking(statement):
            continue
        yield statement
        inner = [node for node in ast.iter_child_nodes(statement) if isinstance(node, ast.stmt)]
        yield from _at_import(inner)


def _is_type_checking(statement: ast.stmt) -> bool:
    """Return whether a statement is ``if TYPE_CHECKING``, which only type checkers look into."""
    return isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING")


def _targets(statement: ast.AST, module: Module, names: set[str]) -> Iterator[str]:
    """Yield those of the named modules that a statement imports."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names if alias.name in names)
    elif isinstance(statement, ast.ImportFrom):
        origin = _origin(statement, module)
        for alias in statement.names:
            full = f"{origin}.{alias.name}"
            if full in names or origin in names:
                yield full if full in names else origin


def _origin(statement: ast.ImportFrom, module: Module) -> str:
    """Return the dotted name from which a statement imports; dots in front count from the module's folder."""
    if not statement.level:
        return statement.module or ""
    parts = module.name.split(".")
    above = statement.level - (module.path.name == "__init__.py")
    return ".".join([*parts[: len(parts) - above], *filter(None, [statement.module])])


def find_cycles(edges: set[tuple[str, str]]) -> set[frozenset[str]]:
    """Return the largest groups of modules in which each is reached from each other.

    Examples
    --------
    >>> [sorted(group) for group in find_cycles({("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")})]
    [['a', 'b', 'c']]
    """
    reached = {source: _reachable(source, edges) for source, _ in edges}
    return {
        frozenset(other for other in found if source in reached.get(other, ()))
        for source, found in reached.items()
        if source in found
    }


def _reachable(source: str, edges: set[tuple[str, str]]) -> set[str]:
    """Return all modules that a module imports, directly or through others."""
    reached: set[str] = set()
    pending = [source]
    while pending:
        module = pending.pop()
        new = {target for origin, target in edges if origin == module} - reached
        reached |= new
        pending.extend(new)
    return reached


def _words(modules: list[Module]) -> dict[str, Any]:
    """Return the figures of docstrings, comments and stage names."""
    texts = [text for module in modules for text in docstrings(module.tree)]
    questions = [text for text in texts if QUESTION.match(text)]
    return {
        "stage_literals": sum(len(stage_literals(module.tree)) for module in modules),
        "docstrings": len(texts),
        "question_docstrings": _percent(len(questions), len(texts)),
        "comments": comment_share(modules),
        "comments_in_search": comment_share([m for m in modules if ".kernels.search" in m.name]),
    }


def docstrings(tree: ast.Module) -> list[str]:
    """Return the docstrings of a module, its classes and its functions."""
    texts = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, Documented))
    return [text for text in texts if text]


def stage_literals(tree: ast.Module) -> list[str]:
    """Return the string constants that equal the name of a stage; strings that are statements don't count."""
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in texts)
    return [node.value for node in constants if isinstance(node.value, str) and node.value in STAGES]


def comment_share(modules: list[Module]) -> float:
    """Return the percentage of lines that begin with #."""
    lines = [line for module in modules for line in module.text.splitlines()]
    return _percent(sum(line.lstrip().startswith("#") for line in lines), len(lines))


def _percent(part: int, whole: int) -> float:
    """Return a share in percent, rounded to one decimal; 0 of nothing."""
    return round(100 * part / whole, 1) if whole else 0.0


@click.command(help=__doc__)
@click.option("--folder", type=click.Path(path_type=Path), default=ROOT, help="A checkout.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(folder: Path, *, as_json: bool) -> None:
    """Measure one checkout and print its figures."""
    figures = measure(folder)
    if as_json:
        print(json.dumps(figures, indent=1))
        return
    for name, value in figures.items():
        print(f"{name:<24}{value!s:>12}   {DEFINITIONS[name]}")
    print(f"\n{EDGES}")


if __name__ == "__main__":
    main()
