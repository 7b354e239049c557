"""Every command that is printed works in the state in which it is printed, whatever the paths are called."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import Result

import novelty_dask
from novelty_dask.cli.failures import with_run
from novelty_dask.datasets import make_urls
from novelty_dask.engines import sparse
from novelty_dask.errors import DiskFullError, NoveltyError, shell_quoted
from novelty_dask.objects.local import LocalObjects
from novelty_dask.objects.owners import claim
from tests.support.fixtures import Novelty
from tests.support.listeners import interrupt, stop_at
from tests.support.processes import COMMAND

NAMES = ["run.zarr", "a run #1?.zarr", 'it\'s $(me) & "you";*.zarr', "-o.zarr", "tab\tand\u202e.zarr"]
PRINTED = re.compile(r"`(\S+ .*?)`(?= |\.|,|;|$)|^More +(novelty .*)$", re.M)
BEING_WORKED_ON = re.compile(
    r"Error: '.*/run.zarr' is being worked on by process \d+ on .*; wait until it is complete\.\n"
)
SHELL = 'novelty() {{ {command} "$@"; }}\n{line}'


class State(NamedTuple):
    """A state in which a command prints another one.

    Parameters
    ----------
    folder : Path
        The working folder, which holds ``urls.txt``.
    run : Path
        Where the run is, or is to be.
    novelty : callable
        The command.
    patch : MonkeyPatch
        Undone before the printed command is tried.
    """

    folder: Path
    run: Path
    novelty: Novelty
    patch: pytest.MonkeyPatch

    @property
    def name(self) -> str:
        """The run, as a user names it."""
        return str(self.run.relative_to(self.folder))


def scored(state: State) -> Result:
    return state.novelty("score", "urls.txt", "-o", state.name)


def scored_beside_an_export(state: State) -> Result:
    (state.folder / "rows.csv").write_text("precious")
    (state.folder / "rows-2.csv").symlink_to("nowhere")
    return scored(state)


def demonstrated(state: State) -> Result:
    (state.folder / "urls.txt").unlink()
    return state.novelty("demo", "--n-rows", "100", "-o", state.name)


def stopped(state: State) -> Result:
    state.patch.setattr(sparse, "search", lambda *_, **__: interrupt())
    return scored(state)


def fail(*_: Any, **__: Any) -> None:
    raise ZeroDivisionError


def given_up(state: State) -> Result:
    state.patch.setattr(sparse, "search", fail)
    return scored(state)


def given_up_again(state: State) -> Result:
    given_up(state)
    return state.novelty("resume", state.name)


def without_space(state: State) -> Result:
    def refuse(*_: Any, **__: Any) -> None:
        message = "The disk is full."
        raise DiskFullError(message)

    state.patch.setattr(novelty_dask.pipeline.pipeline.Pipeline, "execute", refuse)
    return scored(state)


def unfinished(state: State) -> Result:
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score("urls.txt", state.run, listener=stop_at("vectorize", 1))
    return state.novelty("top", state.name)


def damaged(command: list[str]) -> Callable[[State], Result]:
    def damage(state: State) -> Result:
        scored(state)
        (state.run / "novelty" / "c" / "0").write_bytes(b"cut")
        return state.novelty(command[0], state.name, *command[1:])

    return damage


def altered(state: State) -> Result:
    scored(state)
    path = state.run / "novelty" / "zarr.json"
    path.write_text(path.read_text().replace("float64", "float32"))
    return state.novelty("top", state.name)


def silent(state: State) -> Result:
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score("urls.txt", state.run, listener=stop_at("vectorize", 1))
    [record] = (state.run / "owners").glob("*.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "host": "elsewhere", "since": 1.0}))
    heard = time.time() - 100
    record.with_suffix(".alive").write_text("1")
    os.utime(record.with_suffix(".alive"), (heard, heard))
    return state.novelty("resume", state.name)


def of_the_web(state: State) -> Result:
    return state.novelty("score", "https://a.example/")


STATES: dict[Callable[[State], Result], int] = {
    scored: 0,
    scored_beside_an_export: 0,
    demonstrated: 0,
    stopped: 130,
    given_up: 4,
    given_up_again: 4,
    without_space: 3,
    unfinished: 2,
    damaged(["top"]): 4,
    damaged(["verify"]): 4,
    damaged(["export", "-o", "rows.csv"]): 4,
    altered: 2,
    silent: 2,
    of_the_web: 2,
}
"""Makers of a state, and the exit codes of the commands that print another one there."""
CASES = [
    *(pytest.param(NAMES[1], state, marks=[pytest.mark.long] * (state is silent)) for state in STATES),
    (NAMES[2], stopped),
    *(pytest.param(name, stopped, marks=pytest.mark.long) for name in (NAMES[0], *NAMES[3:])),
]


def printed(result: Result) -> list[str]:
    """The commands in what was printed."""
    return [quoted or more for quoted, more in PRINTED.findall(result.stderr)]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("name", "make"), CASES)
def test_a_printed_command_works(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    novelty: Novelty,
    name: str,
    make: Callable[[State], Result],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "urls.txt").write_text("\n".join(make_urls(40)[0]), encoding="utf-8")
    with monkeypatch.context() as patch:
        result = make(State(tmp_path, tmp_path / name, novelty, patch))
    assert result.exit_code == STATES[make], result.output
    lines = printed(result)
    assert len(lines) == (2 if make is given_up else 1)
    for line in lines:
        script = ["bash", "-c", SHELL.format(command=" ".join(COMMAND), line=line)]
        done = subprocess.run(script, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert (done.returncode, "Error" in done.stderr) == (0, False), (line, done.stderr)
    if make is not of_the_web:
        assert novelty("verify", f"./{name}").exit_code == 0
    if (tmp_path / "rows-2.csv").is_symlink():
        assert (tmp_path / "rows.csv").read_text() == "precious"
        assert (tmp_path / "rows-3.csv").exists()


@pytest.mark.parametrize("name", [*NAMES, "back\\slash\n'", "é\udc80ü", "", "~", "a=b", "日本"])
def test_a_quoted_path_is_that_path_in_a_shell(tmp_path: Path, name: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"printf %s {shell_quoted(name)}"], capture_output=True, cwd=tmp_path, check=True
    )
    assert done.stdout.removeprefix(b"./" if name.startswith("-") else b"") == name.encode(
        errors="surrogateescape"
    )
    assert shell_quoted(name).isprintable()


def test_no_message_holds_half_a_command() -> None:
    """Whatever the package names in a message as a command is completed with the run by the command line."""
    package = Path(novelty_dask.__file__).parent
    halves = set()
    for path in package.rglob("*.py"):
        halves |= set(re.findall(r"`(novelty [a-z]+(?: --[a-z-]+)*)`", path.read_text(encoding="utf-8")))
    assert halves
    for half in halves:
        assert with_run(f"`{half}`", "a b") == f"`{half} 'a b'`"


def test_a_run_at_work_is_named_by_its_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, novelty: Novelty
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "urls.txt").write_text("\n".join(make_urls(40)[0]), encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score("urls.txt", "run.zarr", listener=stop_at("vectorize", 1))
    with claim(LocalObjects(tmp_path / "run.zarr"), "run.zarr"):
        for command in (["top"], ["export", "-o", "rows.csv"], ["verify", "--recompute", "1"]):
            refused = novelty(command[0], "run.zarr", *command[1:])
            assert refused.exit_code == 2
            assert BEING_WORKED_ON.fullmatch(refused.stderr)
            assert printed(refused) == []
        with pytest.raises(NoveltyError, match="is being worked on by process"):
            novelty_dask.open("run.zarr").to_dataframe()
