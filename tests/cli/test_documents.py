"""One document in JSON on standard output, with the fields of docs/reference/json.md."""

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import novelty_dask
from novelty_dask.cli.documents import status_document
from novelty_dask.jobs.status import JobStatus
from novelty_dask.storage.manifest import Failure
from tests.support.fixtures import Novelty
from tests.support.text import refanged

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "json.md").read_text(encoding="utf-8")


def documented(command: str) -> set[str]:
    """Return the fields that the page lists for a command."""
    section = PAGE.split(f"\n## `novelty {command}`\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([\w.\[\]]+)` \|", section, re.MULTILINE))


def fields(value: Any, path: str = "") -> set[str]:
    """Return the names of the fields of a document; the keys of what is a table by name are left out."""
    names: set[str] = set()
    for name, inner in value.items():
        names.add(f"{path}{name}")
        if isinstance(inner, dict) and name not in ("stages", "tasks", "stage_bytes", "rejected"):
            names |= fields(inner, f"{path}{name}.")
        elif isinstance(inner, list):
            names |= {
                field
                for each in inner
                if isinstance(each, dict)
                for field in fields(each, f"{path}{name}[].")
            }
    return names


def test_top(run: Path, novelty: Novelty) -> None:
    result = novelty("top", run, "--json", "-n", "4", "--by", "lof", "--per-site", "1")
    assert (result.exit_code, result.stderr) == (0, "")
    document = json.loads(result.stdout)
    best = novelty_dask.open(run).top(4, by="lof", lists=True, per_site=1)
    assert document["by"] == "lof"
    assert [row["url"] for row in document["rows"]] == best.url.tolist()
    assert [row["lof"] for row in document["rows"]] == best.lof.tolist()
    assert [row["neighbor_urls"] for row in document["rows"]] == [list(urls) for urls in best.neighbor_urls]
    # The run has no reference.
    of_reference = {"rows[].known", "rows[].nearest_reference", "rows[].nearest_row"}
    assert fields(document) == documented("top") - of_reference
    defanged = json.loads(
        novelty("top", run, "--json", "-n", "4", "--by", "lof", "--per-site", "1", "--defang").stdout
    )
    assert [refanged(row["neighbor_urls"][0]) for row in defanged["rows"]] == best.nearest_url.tolist()
    assert json.dumps(defanged).replace("[://]", "").count("://") == 0


def test_groups(run: Path, novelty: Novelty) -> None:
    document = json.loads(novelty("groups", run, "--at-least", "0.7", "--json", "-n", "3", "--quiet").stdout)
    found = novelty_dask.groups(run, at_least=0.7)
    assert found is not None
    assert (document["at_least"], document["groups"]) == (0.7, len(found))
    assert [row["row"] for row in document["rows"]] == found.row[:3].tolist()
    assert fields(document) == documented("groups")


def test_top_of_no_rows_is_a_document_too(run: Path, novelty: Novelty) -> None:
    result = novelty("top", run, "--json", "--min-novelty", "9")
    assert json.loads(result.stdout) == {"by": "novelty", "rows": []}


def test_what_is_undefined_is_null_and_nothing_commands_a_terminal(tmp_path: Path, novelty: Novelty) -> None:
    (tmp_path / "urls.txt").write_text("ab\nhttp://a.example/\x9b\u202e\nhttp://b.example/\n", "utf-8")
    assert (
        novelty("score", tmp_path / "urls.txt", "-o", tmp_path / "r", "--features", "ngrams").exit_code == 0
    )
    result = novelty("top", tmp_path / "r", "--json")
    assert result.stdout.isascii()
    assert "NaN" not in result.stdout
    assert {row["url"] for row in json.loads(result.stdout)["rows"]} == {
        "http://a.example/\x9b\u202e",
        "http://b.example/",
    }


def test_status(run: Path, tmp_path: Path, novelty: Novelty) -> None:
    document = json.loads(novelty("status", run, "--json").stdout)
    assert (document["state"], document["owner"], document["failures"]) == ("complete", None, [])
    counts = {"lines": 300, "rows": 295, "duplicates": 5, "rejected": {}, "skipped": 0, "wrapped": 0}
    assert document["totals"] == {**counts, "source_lines": [300]}
    assert document["stages"]["compare"] == {"done": 1, "total": 1}
    failure = Failure(stage="compare", item="0-0", reason="It failed.")
    failed = dataclasses.replace(novelty_dask.status(run), failures=[failure])
    whole = status_document(failed, JobStatus(1, "running", 1, 0, ""))
    assert fields(document) <= documented("status") == fields(whole)


@pytest.mark.parametrize("command", ["sites", "templates"])
def test_summaries(run: Path, novelty: Novelty, command: str) -> None:
    assert fields(json.loads(novelty(command, run, "--json").stdout)) == documented(command)


def test_plan(corpus: Path, novelty: Novelty) -> None:
    result = novelty("plan", corpus, "--json", "--workers", "0")
    document = json.loads(result.stdout)
    planned = novelty_dask.plan(corpus, workers=0)
    assert (document["n_rows"], document["n_blocks"]) == (planned.n_rows, planned.tiles.n_blocks)
    assert document["stage_bytes"].keys() == planned.stage_bytes.keys()
    assert fields(document) == documented("plan")


def test_verify(run: Path, tmp_path: Path, novelty: Novelty) -> None:
    whole = novelty("verify", run, "--json")
    assert json.loads(whole.stdout) == {"tasks": 7, "recomputed": 0, "damages": []}
    copy = shutil.copytree(run, tmp_path / "run.zarr")
    (copy / "neighbors" / "ids" / "c" / "0" / "0").unlink()
    damaged = novelty("verify", copy, "--json", "--quiet")
    assert damaged.exit_code == 4
    document = json.loads(damaged.stdout)
    [damage] = document["damages"]
    assert damage["stage"] == "merge"
    assert damage["message"].startswith("'neighbors/ids/c/0/0' is missing")
    assert fields(document) == documented("verify")


@pytest.mark.parametrize("command", ["top", "sites", "status", "verify", "plan"])
def test_an_error_prints_no_document(tmp_path: Path, novelty: Novelty, command: str) -> None:
    result = novelty(command, tmp_path / "missing", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: ")
