"""What README and docs/ say is what the package does."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import zarr

import novelty_dask
from novelty_dask.cli import main
from novelty_dask.cli.failures import MEANINGS
from novelty_dask.settings import ResultSettings, Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in DOCUMENTS}
README, ARCHITECTURE = TEXTS["README.md"], TEXTS["docs/explanation/architecture.md"]
REFERENCE = {Path(name).stem: text for name, text in TEXTS.items() if name.startswith("docs/reference/")}
OF_RUNS = {"commits/", "crawl/", "jobs/", "manifest/", "owners/", "past/", "references/", "strips/", "work/"}
"""Folders that pages name and that are not in the repository."""
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -q -c .ci/constraints.txt -e"
FIRST_BLOCK = f"""\
{INSTALL} . && .venv/bin/novelty demo
{INSTALL} '.[test]' && .venv/bin/python -m pytest -q
"""


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def table(text: str, header: str) -> list[list[str]]:
    """Cells of the table whose first column has that header."""
    rows = re.search(rf"^\| {header} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert rows, header
    return [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in rows[1].splitlines()]


def names(cell: str) -> list[str]:
    """What stands in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def test_readme_opens_with_two_lines_to_paste() -> None:
    title, nothing, rest = README.split("\n", 2)
    assert (title, nothing) == ("# novelty_dask", "")
    assert rest.startswith(f"```sh\n{FIRST_BLOCK}```\n")


@pytest.mark.sampled(2)
@pytest.mark.parametrize("document", [name for name, text in TEXTS.items() if blocks(text, "python")])
def test_python_blocks_run(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    urls, _ = novelty_dask.datasets.make_urls(300)
    Path("urls.txt").write_text("\n".join(urls), encoding="utf-8")
    novelty_dask.score("urls.txt", "run.zarr")
    scope: dict[str, object] = {}
    for block in blocks(TEXTS[document], "python"):
        exec(compile(block, document, "exec"), scope)


INSTALLING = ("python3 -m venv ", ".venv/bin/pip install ", ".venv/bin/python -m pytest ")


def without_installing(line: str) -> str:
    """A line to paste without what makes the environment and tests it."""
    return " && ".join(part for part in line.split(" && ") if not part.startswith(INSTALLING))


def stub_environment(folder: Path) -> None:
    """Make a virtual environment, as an installation leaves it."""
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "novelty").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m novelty_dask "$@"\n')
    (programs / "novelty").chmod(0o755)
    (programs / "activate").write_text(f'PATH="{programs}:$PATH"\n')


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
@pytest.mark.parametrize(
    "name", ["docs/getting-started.md", pytest.param("README.md", marks=pytest.mark.long)]
)
def test_commands_can_be_pasted_one_after_the_other(name: str, tmp_path: Path) -> None:
    """All lines of the page, and no other; only that which installs is done already."""
    stub_environment(tmp_path)
    lines = [line for block in blocks(TEXTS[name], "sh") for line in block.splitlines()]
    pasted = "\n".join(map(without_installing, lines))
    assert pasted.count("novelty demo") == 1
    command = ["env", f"PATH={os.defpath}", "bash", "-e", "-o", "pipefail", "-c", pasted]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"urls.txt", "run.zarr", "rows.csv"} <= {path.name for path in tmp_path.iterdir()}


def documented_commands() -> list[str]:
    """Command lines of ``novelty`` in fenced blocks, without pipes and comments."""
    lines = [line for text in TEXTS.values() for block in blocks(text, "sh") for line in block.splitlines()]
    parts = [part.strip() for line in lines for part in line.split("|")]
    return sorted({part for part in parts if part.startswith("novelty ")})


@pytest.mark.parametrize("line", documented_commands())
def test_documented_commands_can_be_given(line: str) -> None:
    _, name, *arguments = shlex.split(line, comments=True)
    main.commands[name].make_context(name, arguments)


def test_the_first_use_prints_every_url(tmp_path: Path) -> None:
    urls, _ = novelty_dask.datasets.make_urls(200)
    command = [sys.executable, "-m", "novelty_dask", "score", "-"]
    text = "".join(f"{url}\n" for url in urls)
    done = subprocess.run(command, input=text.encode(), cwd=tmp_path, capture_output=True, check=True)
    printed = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert {url for _, url in printed} == set(urls)
    novelty = [float(value) for value, _ in printed]
    assert novelty == sorted(novelty, reverse=True)


def options() -> Iterator[tuple[str, str]]:
    """Every option of every command, by its longest name."""
    for command in [main, *main.commands.values()]:
        with click.Context(command) as context:
            for parameter in command.get_params(context):
                if isinstance(parameter, click.Option):
                    yield str(command.name), max(parameter.opts, key=len)


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_is_in_the_reference(command: str) -> None:
    stated = table(REFERENCE["command-line"], "command")
    assert any(cell.startswith(f"`novelty {command}") for cell, _ in stated)


@pytest.mark.parametrize(("command", "option"), sorted(set(options())))
def test_every_option_is_in_the_reference(command: str, option: str) -> None:
    stated = REFERENCE["command-line"] + REFERENCE["settings"]
    assert re.search(rf"`{option}[` ]", stated), f"{command} {option}"


def test_the_settings_table_is_that_of_the_code() -> None:
    rows = table(REFERENCE["settings"], "setting")
    fields = Settings.model_fields
    assert [names(setting) for setting, *_ in rows] == [[name] for name in fields]
    assert tuple(fields)[:16] == tuple(ResultSettings.model_fields)
    of_score = {parameter.name: parameter.opts for parameter in main.commands["score"].params}
    for setting, option, default, _ in rows:
        field = fields[names(setting)[0]]
        assert names(option) == of_score[names(setting)[0]]
        value = field.default
        stated = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        assert value is None or field.default_factory or default == stated


@pytest.mark.parametrize("block", [block for text in TEXTS.values() for block in blocks(text, "toml")])
def test_settings_files_are_valid(block: str, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(block, encoding="utf-8")
    assert Settings.read(tmp_path / "run.toml").model_fields_set == set(tomllib.loads(block))


def test_exit_codes_are_those_of_the_code() -> None:
    stated = table(REFERENCE["exit-codes"], "exit code")
    assert stated == [[f"{code:d}", meaning] for code, meaning in MEANINGS.items()]


def test_the_sample_is_what_the_demo_prints(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "novelty_dask", "demo", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, encoding="utf-8")
    *rows, summary = done.stdout.splitlines()
    [_, *sample, last] = blocks(README, "text")[0].splitlines()
    assert last == summary
    for shown, row in zip(sample, rows, strict=False):
        novelty, url, similarity, nearest = shown.split()
        cells = row.split("\t")
        assert float(novelty) == pytest.approx(float(cells[0]), abs=2e-6)
        assert float(similarity) == pytest.approx(float(cells[2]), abs=2e-6)
        for short, full in ((url, cells[1]), (nearest, cells[3])):
            assert re.fullmatch(re.escape(short).replace("…", ".*"), full)


def anchors(text: str) -> set[str]:
    """Where links into a document may lead."""
    titles = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", TEXTS)
def test_relative_links_resolve(document: str) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", prose(TEXTS[document])):
        if "://" not in link:
            target, _, anchor = link.partition("#")
            path = (ROOT / document).parent / target if target else ROOT / document
            assert path.exists(), link
            assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("document", TEXTS)
def test_files_and_folders_that_are_named_exist(document: str) -> None:
    named = re.findall(r"`([\w.-]+/[\w./-]*\.(?:py|yaml|yml|ipynb|txt)|[\w/-]+/)(?:::\w+)?`", TEXTS[document])
    for path in set(named) - OF_RUNS:
        places = [ROOT, ROOT / "novelty_dask", ROOT / "tests"]
        assert any((place / path).exists() for place in places), path


def test_the_layers_are_those_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    [checked] = [
        each["layers"] for each in contracts["contracts"] if each.get("containers") == ["novelty_dask"]
    ]
    [drawn] = [block for block in blocks(ARCHITECTURE, "text") if block.startswith("cli ")]
    stated = [re.split(r"\s{2,}", line)[0] for line in drawn.splitlines()]
    assert [set(layer.split(" | ")) for layer in stated] == [set(layer.split(" | ")) for layer in checked]


def test_the_arrays_are_those_of_a_run(tmp_path: Path) -> None:
    source = tmp_path / "urls.csv"
    source.write_text("url,seen\nhttps://a.example/1,1\nhttps://a.example/2,2\n\n", encoding="utf-8")
    run = novelty_dask.score(source, tmp_path / "run.zarr", column="url", keep=["seen"])
    other = novelty_dask.score(urls=["https://a.example/1"])
    new = novelty_dask.score(source, tmp_path / "new.zarr", column="url", against=[run, other])
    stored: set[str] = set()
    grouped = novelty_dask.score(source, tmp_path / "grouped.zarr", column="url", outside_groups=0.8)
    dated = source.with_name("dated.csv")
    dated.write_text("url,seen\nhttps://a.example/1,2026-01-01\n", encoding="utf-8")
    in_time = novelty_dask.score(dated, tmp_path / "in_time.zarr", column="url", time_column="seen")
    np.savez(tmp_path / "x.npz", x=np.eye(4), names=np.arange(4))
    vectors = novelty_dask.score_vectors(
        tmp_path / "x.npz", tmp_path / "v.zarr", metric="euclidean", column="x", label_column="names"
    )
    for each in (run, new, grouped, in_time, vectors):
        members = zarr.open_group(each.url, mode="r").members(max_depth=None)
        stored |= {name for name, member in members if isinstance(member, zarr.Array)}
    assert {name for cell, *_ in table(REFERENCE["run-format"], "array") for name in names(cell)} == stored
