"""Controls in URLs, in names of files and runs, and in what a run says of itself: none is ever printed."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from novelty_dask.cli import main
from tests.support.damage import alter

CONTROLS = [chr(code) for code in (*range(1, 32), *range(127, 160))]
"""All 65 but NUL, which no name holds and for which a line is rejected."""
MARKS = [
    chr(code) for code in (0x61C, 0x200B, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
]
COMMANDS = [
    "\x1b]52;c;aGFjaw==\x07",
    "\x1b]8;;http:evil.example\x1b\\text\x1b]8;;\x1b\\",
    "\x9b2J",
    "\x1b[2J",
]
NAMES = ["".join(CONTROLS), "".join([*MARKS, *COMMANDS])]


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_harmless(result: Result) -> None:
    """All that was printed is printable, besides the ends of lines and what separates columns."""
    assert result.stdout + result.stderr
    said = re.sub(r"[\t\n]", "", result.stdout + result.stderr)
    assert said.isprintable(), [char for char in said if not char.isprintable()]


@pytest.fixture(params=NAMES, ids=["controls", "marks and commands"])
def name(request: pytest.FixtureRequest) -> str:
    hostile: str = request.param
    return hostile


@pytest.fixture
def source(tmp_path: Path, name: str) -> Path:
    """A file of such a name with such URLs, and lines with NUL besides, which are rejected."""
    urls = [f"http://{i}.example/{char}{char}/x" for i, char in enumerate(name) if char != "\n"]
    path = tmp_path / f"{name}.txt"
    path.write_text("\n".join([*urls, f"\0{COMMANDS[0]}", ""]), encoding="utf-8", newline="")
    return path


@pytest.mark.sampled
def test_all_that_commands_say_is_printable(tmp_path: Path, name: str, source: Path) -> None:
    run, out = tmp_path / f"{name}.zarr", tmp_path / f"{name}.csv"
    for arguments, code in (
        (("plan", source), 0),
        (("score", source), 0),
        (("score", source, "-o", run), 0),
        (("score", source, "-o", run, "-k", 3), 2),
        (("top", run, "-n", 1_000), 0),
        (("status", run), 0),
        (("verify", run), 0),
        (("resume", run, "--workers", 0), 0),
        (("clean", run), 0),
        (("export", run, "-o", run / "rows.csv"), 2),
        (("export", run, "-o", tmp_path / name), 2),
        (("export", tmp_path / f"{name}.missing", "-o", out), 2),
        (("score", tmp_path / f"{name}.missing"), 2),
        (("score", source, "-o", source), 2),
        (("score", source, "--config", tmp_path / f"{name}.toml"), 2),
        (("score", source, "--memory-limit", name), 2),
        (("score", source, "--score", name), 2),
        (("score", source, "--scheduler", name), 3),
        (("score", source, f"--{name}"), 2),
        (("top", run, name), 2),
        (("score", f"{name}://a.example/", "--debug"), 2),
        ((name,), 2),
    ):
        result = invoke(*arguments)
        assert result.exit_code == code, (arguments, result.stderr)
        assert_harmless(result)


def test_a_run_can_say_nothing_of_itself_that_is_not_printable(
    tmp_path: Path, name: str, source: Path
) -> None:
    run = tmp_path / "run.zarr"
    assert invoke("score", source, "-o", run, "--workers", 0).exit_code == 0
    failures = [{"stage": "merge", "item": name, "reason": name}]
    alter(run, lambda said: said.update(failures=failures, totals={**said["totals"], "rejected": {name: 1}}))
    owner = {"host": name, "namespace": name, "pid": 1, "started": 1.0, "since": 1.0}
    (run / "owners" / "00000001.json").write_text(json.dumps(owner), encoding="utf-8")
    (run / "owners" / "00000001.alive").write_text("1.0", encoding="utf-8")
    for arguments, code in ((("status", run), 0), (("resume", run), 2), (("clean", run), 2)):
        result = invoke(*arguments)
        assert result.exit_code == code, (arguments, result.stderr)
        assert_harmless(result)
        assert r"\x1b" in result.stdout + result.stderr
