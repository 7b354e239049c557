"""The command that explains prints marks for people, carets for pipes, and JSON for programs."""

import json
import math
import re
from pathlib import Path

import click
import pytest

import novelty_dask
from tests.support.files import write_lines
from tests.support.fixtures import Novelty
from tests.support.processes import terminal_output

LINES = [f"https://a.example/item/{letter}" for letter in "abcdefgh"] + ["https://a.example/item/a?admin"]
SECRET = "https://me:pw@a.example/item/a?token=abcdef"
RED = re.compile(r"\x1b\[31m\x1b\[4m(.*?)\x1b\[0m")


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explained")
    novelty_dask.score(write_lines(folder / "urls.txt", LINES), folder / "run.zarr", n_neighbors=3)
    return folder / "run.zarr"


def test_a_terminal_shows_marks_and_a_pipe_carets(explained: Path, novelty: Novelty) -> None:
    shown = terminal_output("explain", explained, LINES[-1], columns=200)
    assert "?admin" in RED.findall(shown)
    piped = novelty("explain", explained, LINES[-1]).output
    assert "\x1b" not in piped
    first, second, *_ = piped.splitlines()
    assert first.endswith(LINES[-1])
    assert second.count("^") == len("?admin")
    assert "^" not in click.unstyle(shown)


def test_json_has_all_that_adds_up(explained: Path, novelty: Novelty) -> None:
    document = json.loads(novelty("explain", explained, LINES[-1], "--json", "--by", "uncovered").output)
    total = math.fsum(each["contributions"]["uncovered"] for each in document["features"])
    assert document["views"]["uncovered"] == pytest.approx(total, abs=1e-12)
    assert (document["by"], document["is_new"], document["url"]) == ("uncovered", False, LINES[-1])
    assert document["row"] is not None
    assert len(document["neighbors"]) == 3


def test_a_new_url_is_said_to_be_new(explained: Path, novelty: Novelty) -> None:
    output = novelty("explain", explained, "https://b.example/\x1b[31m\u202e").output
    assert "the run does not hold it" in output
    assert r"\x1b[31m\u202e" in output
    assert "\x1b" not in output


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_secrets_and_links_are_hidden_where_it_is_asked(
    explained: Path, novelty: Novelty, form: tuple[str, ...]
) -> None:
    output = novelty("explain", explained, SECRET, "--redact", "--defang", *form).output
    assert "me:pw" not in output
    assert "abcdef" not in output
    assert "a[.]example" in output
    assert "https://" not in output


def test_what_is_no_url_is_refused_in_a_sentence(explained: Path, novelty: Novelty) -> None:
    refused = novelty("explain", explained, " ")
    assert refused.exit_code != 0
    assert "a run would reject it (blank)" in refused.output
