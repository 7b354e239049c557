"""Sources as a stranger names them, and what is said of those that can't be read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.errors import InputError
from tests.support.files import COMPRESSORS, write
from tests.support.fixtures import Novelty
from tests.support.listeners import at_start

TWO = b"http://a.example/\nhttp://b.example/\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "~nouser/x"],
        ["score", "~nouser/x"],
        *([name, "~nouser/x"] for name in ("status", "top", "resume")),
    ],
)
def test_the_home_of_nobody_holds_nothing(novelty: Novelty, arguments: list[str]) -> None:
    result = novelty(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(
        ("Error: Nothing matches '~nouser/x'", "Error: '~nouser/x' does not hold a ")
    )


@pytest.mark.parametrize(
    "arguments", [["plan", "foo://x"], ["score", "urls.txt", "-o", "foo://x"], ["status", "foo://x"]]
)
def test_an_unknown_scheme_is_named_with_what_could_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, novelty: Novelty, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "urls.txt", TWO)
    result = novelty(*arguments)
    assert result.exit_code == 2
    assert "'foo://x': no file system is known for foo://; name a f" in result.stderr
    assert "s3://bucket/" in result.stderr


def test_paths_may_hold_two_colons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, novelty: Novelty) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a::b.txt", TWO)
    for name in ("a::b.txt", f"{tmp_path}/a::b.txt", f"file://{tmp_path}/a::b.txt", "*::*", "./a::*"):
        assert novelty("plan", name).exit_code == 0
    assert novelty("score", "a::b.txt", "-q", "-o", "c::d.zarr").exit_code == 0
    assert novelty("export", "c::d.zarr", "-o", "e::f.csv").exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"a::b.txt", "c::d.zarr", "e::f.csv"}


def test_a_source_that_was_touched_is_named(tmp_path: Path, novelty: Novelty) -> None:
    source, out = write(tmp_path / "urls.txt", TWO), tmp_path / "run.zarr"
    write(tmp_path / "more.txt", TWO)
    assert novelty("score", source, "-q", "-o", out).exit_code == 0
    os.utime(source, (1, 1))
    result = novelty("score", source, "-q", "-o", out)
    assert result.exit_code == 2
    assert f"{source}' has the same size, but another modification time" in result.stderr
    result = novelty("score", tmp_path / "more.txt", "-q", "-o", out)
    assert "more.txt' is new, and 1 other change); name another output path." in result.stderr


def test_a_source_that_grows_is_being_written_to(tmp_path: Path) -> None:
    source = write(tmp_path / "urls.txt", TWO)

    def grow() -> None:
        source.write_bytes(TWO * 2)

    expected = (
        r"urls\.txt' is being written to, .* it had 36 bytes and has 72; repeat the command when it is "
    )
    with pytest.raises(InputError, match=expected):
        novelty_dask.score(source, tmp_path / "run.zarr", listener=at_start("ingest", grow))
    assert not (tmp_path / "run.zarr").exists()
    assert len(novelty_dask.score(source, tmp_path / "run.zarr")) == 2


@pytest.mark.sampled
@pytest.mark.parametrize("pack", COMPRESSORS.values(), ids=COMPRESSORS)
def test_standard_input_may_be_compressed(
    tmp_path: Path, novelty: Novelty, pack: Callable[[bytes], bytes]
) -> None:
    plain = novelty("score", "-", "-q", stdin=TWO)
    result = novelty("score", "-", "-q", "-o", tmp_path / "run.zarr", stdin=pack(TWO))
    assert result.exit_code == 0
    assert novelty("score", "-", "-q", stdin=pack(TWO)).stdout == plain.stdout
    assert novelty("score", "-", "-q", "-o", tmp_path / "run.zarr", stdin=TWO).exit_code == 0


def test_what_is_no_text_on_standard_input_is_named_so(novelty: Novelty) -> None:
    result = novelty("score", "-", stdin=b"PK\x03\x04" + bytes(99))
    assert result.exit_code == 2
    assert result.stderr == "Error: Standard input is an archive; unpack it and name its files.\n"


def test_a_folder_says_what_it_took_unless_quiet(tmp_path: Path, novelty: Novelty) -> None:
    write(tmp_path / "urls" / "a.txt", TWO)
    write(tmp_path / "urls" / ".hidden")
    said = f"'{tmp_path}/urls': 1 file taken (1 .txt), 1 left (1 hidden).\n"
    assert novelty("plan", tmp_path / "urls").stderr == said
    assert novelty("score", tmp_path / "urls", "-o", tmp_path / "run.zarr").stderr.startswith(said)
    assert novelty("score", tmp_path / "urls", "-q", "-o", tmp_path / "run.zarr").stderr == ""
