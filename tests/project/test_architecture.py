import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

import novelty_dask
from tests.support.files import write_lines

ROOT = Path(__file__).parents[2]
PACKAGE = Path(novelty_dask.__file__).parent
MODULES = [
    module.name
    for module in walk_packages(novelty_dask.__path__, "novelty_dask.")
    if module.name != "novelty_dask.__main__"
]


def test_layers_point_down(monkeypatch: pytest.MonkeyPatch) -> None:
    # The linter imports the package from the working directory.
    monkeypatch.chdir(ROOT)
    status = lint_imports(str(ROOT / "pyproject.toml"), cache_dir=None, no_cache=True)
    assert status == EXIT_STATUS_SUCCESS


def test_every_public_name_is_reachable() -> None:
    assert sorted(novelty_dask.__all__) == sorted(dir(novelty_dask))
    for name in novelty_dask._LAZY.keys() | set(novelty_dask.__all__):
        assert getattr(novelty_dask, name) is not None
    assert not hasattr(novelty_dask, "nonsense")


def test_public_names_are_those_that_type_checkers_see() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    own = [node for node in imports if node.module and node.module.startswith("novelty_dask")]
    seen = {alias.asname or alias.name: f"{node.module}:{alias.name}" for node in own for alias in node.names}
    homes = {
        name: home.rstrip(":") for name, home in novelty_dask._LAZY.items() if name in novelty_dask.__all__
    }
    assert {name: home.replace("novelty_dask:", "novelty_dask.") for name, home in seen.items()} == homes


def imported(statement: str) -> set[str]:
    """What a statement imports in a fresh process."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run."""
    folder = tmp_path_factory.mktemp("imports")
    source = write_lines(folder / "urls.txt", novelty_dask.datasets.make_urls(100)[0])
    novelty_dask.score(source, folder / "run.zarr", workers=0)
    return folder / "run.zarr"


@pytest.mark.parametrize(
    "line", ["--help", "--version", "status RUN", "top RUN", "verify RUN", "clean RUN", "doctor"]
)
def test_commands_that_compute_nothing_import_neither_numba_nor_dask(line: str, run: Path) -> None:
    arguments = line.replace("RUN", str(run)).split()
    statement = (
        "from novelty_dask.cli import main\n"
        f"assert main({arguments}, standalone_mode=False, prog_name='novelty') in (None, 0)"
    )
    of_rows = set() if line.startswith("top") else {"ada_url", "pandas", "pyarrow", "scipy"}
    assert imported(statement) & ({"dask", "distributed", "llvmlite", "numba"} | of_rows) == set()


def test_functions_that_compute_nothing_import_neither_numba_nor_dask(run: Path) -> None:
    statement = (
        "import novelty_dask\n"
        f"run = novelty_dask.open({str(run)!r})\n"
        "run.top(), novelty_dask.status(run), novelty_dask.verify(run), novelty_dask.clean(run)"
    )
    assert imported(statement) & {"dask", "distributed", "llvmlite", "numba"} == set()


@pytest.mark.parametrize("module", ["novelty_dask", "novelty_dask.cli"])
def test_the_command_line_answers_before_anything_heavy_is_imported(module: str) -> None:
    heavy = {
        "ada_url",
        "dask",
        "distributed",
        "fsspec",
        "numba",
        "numpy",
        "pandas",
        "pyarrow",
        "scipy",
        "sklearn",
        "zarr",
    }
    assert imported(f"import {module}") & heavy == set()


def test_the_kernels_need_neither_dask_nor_zarr() -> None:
    names = [name for name in MODULES if name.startswith(("novelty_dask.kernels", "novelty_dask.planning"))]
    assert len(names) > 8
    heavy = {"dask", "distributed", "fsspec", "zarr"}
    assert imported(f"import {', '.join(names)}") & heavy == set()


@pytest.mark.parametrize("name", MODULES)
def test_modules_say_what_they_are(name: str) -> None:
    module = import_module(name)
    assert module.__doc__
    assert len(Path(module.__file__ or "").read_text(encoding="utf-8").splitlines()) <= 350
