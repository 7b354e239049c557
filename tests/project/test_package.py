"""The package is described in one place, and its workflows run nothing that can change unseen."""

import doctest
import importlib.util
import os
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from novelty_dask.storage.identity import this_version

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
NEEDS_CLONE = pytest.mark.skipif(not WORKFLOWS, reason="a source distribution has no workflows")


LARGEST = 300_000
"""Bytes of the largest file that may be one of the project: results of benchmarks have half of that."""


def script(name: str) -> ModuleType:
    """Return a script of the checks as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@NEEDS_CLONE
def test_nothing_large_lies_among_the_sources() -> None:
    """Such as packages that somebody has downloaded, which a clone would have for ever."""
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split()]
    large = []
    for folder, folders, names in os.walk(ROOT):
        kept = [
            name
            for name in (*folders, *names)
            if name != ".git" and not any(fnmatch(name, pattern) for pattern in ignored)
        ]
        folders[:] = [name for name in folders if name in kept]
        paths = [Path(folder, name) for name in names if name in kept]
        large += [path for path in paths if path.suffix == ".whl" or path.stat().st_size > LARGEST]
    assert large == []


def test_the_version_stands_in_one_place() -> None:
    assert this_version() == PROJECT["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changelog, re.MULTILINE)[0] == PROJECT["version"]
    assert not re.search(r"^version:", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_versions_of_python_are_those_that_may_install() -> None:
    versions = script("pythons").supported_versions((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert versions == sorted(versions, key=lambda version: int(version.partition(".")[2]))
    assert PROJECT["requires-python"] == f">={versions[0]}"


def test_scripts_do_as_their_examples_say() -> None:
    assert doctest.testmod(script("lowest")) == (0, 1)


def test_each_requirement_has_a_lowest_version() -> None:
    lowest = script("lowest").lowest_versions((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    requirements = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]
    assert len(lowest) == len(requirements)
    for line, requirement in zip(lowest, requirements, strict=True):
        assert re.fullmatch(r"[\w.-]+==[\d.]+(; .*)?", line), requirement


@NEEDS_CLONE
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_and_jobs_have_limits(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    actions = re.findall(r"uses: (\S+)(.*)", text)
    assert actions
    for action, comment in actions:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action
    assert text.count("runs-on:") == text.count("timeout-minutes:")
    assert "\npermissions: {}\n" in text


def test_the_license_and_the_authors_are_the_same_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"license: {PROJECT['license']}\n" in citation
    assert f"- name: {PROJECT['authors'][0]['name']}\n" in citation
    assert f"repository-code: {PROJECT['urls']['Source']}\n" in citation
