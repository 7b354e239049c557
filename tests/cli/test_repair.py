"""Runs whose metadata are damaged: found by `verify`, mended by `resume`, never read as if all were well."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import zarr

from novelty_dask.storage.identity import FORMAT_VERSION
from tests.support.files import snapshot
from tests.support.fixtures import Novelty

COPY = Path("manifest") / "zarr.json"


def overwrite_first(path: Path) -> None:
    path.write_bytes(b"X" + path.read_bytes()[1:])


def flip_totals(path: Path) -> None:
    """Flip a bit of the manifest itself: what of Zarr's metadata stands in the middle depends on versions."""
    data = path.read_bytes()
    where = data.index(b'"rows": 295') + len('"rows": ')
    path.write_bytes(data[:where] + bytes([data[where] ^ 1]) + data[where + 1 :])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def empty_group(path: Path) -> None:
    path.write_text('{"attributes": {}, "zarr_format": 3, "node_type": "group"}')


DAMAGES = [Path.unlink, overwrite_first, cut]


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """A complete run to be damaged, under a name that a shell would take apart."""
    return shutil.copytree(run, tmp_path / "my run.zarr")


def kept(run: Path) -> dict[str, bytes]:
    """All that a run holds, but who worked on it."""
    return {path: data for path, data in snapshot(run).items() if not path.startswith("owners/")}


def resume(run: Path) -> str:
    """The command that mends a run."""
    return f"`novelty resume {shlex.quote(str(run))}`"


def members(run: Path) -> set[str]:
    group = zarr.open_group(run, mode="r", use_consolidated=False)
    return {
        f"{name}/{each}"
        for name in ("rows", "neighbors", "columns", "weights")
        for each in group.require_group(name)
    }


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("group", ["rows", "neighbors", "columns", "weights", "rejected", "rejected/line"])
def test_a_damaged_group_is_found_and_written_again(
    copy: Path, novelty: Novelty, group: str, damage: Callable[[Path], None]
) -> None:
    before, listed = kept(copy), members(copy)
    damage(copy / group / "zarr.json")
    found = novelty("verify", copy)
    assert (found.exit_code, found.stdout) == (4, "7 tasks read, 1 damage found.\n")
    assert found.stderr == f"Damage: '{group}/zarr.json' was altered; {resume(copy)} writes it again.\n"
    assert novelty("resume", copy).exit_code == 0
    assert novelty("verify", copy).exit_code == 0
    assert kept(copy) == before
    assert members(copy) == listed


@pytest.mark.parametrize("damage", [*DAMAGES, flip_totals, empty_group])
def test_a_damaged_manifest_is_found_and_written_again_from_its_copy(
    copy: Path, novelty: Novelty, damage: Callable[[Path], None]
) -> None:
    before = kept(copy)
    damage(copy / "zarr.json")
    damaged = snapshot(copy)
    found = novelty("verify", copy)
    assert found.exit_code == 4
    assert found.stderr == f"Damage: 'zarr.json' was altered; {resume(copy)} writes it again.\n"
    for command in (
        ["top", copy],
        ["export", copy, "-o", copy.with_name("x.csv")],
        ["status", copy],
        ["clean", copy],
    ):
        refused = novelty(*command)
        assert (refused.exit_code, refused.stdout) == (4, "")
        sentence = (
            r"Error: The run '.*' is damaged: its zarr.json is lost or altered; `novelty (.*)` writes it "
        )
        said = re.fullmatch(f"{sentence}again from its copy\\.\n", refused.stderr)
        assert said
        command_said = shlex.split(said[1])
    assert snapshot(copy) == damaged
    # The command that was printed, as it was printed.
    assert novelty(*command_said).exit_code == 0
    assert kept(copy) == before
    assert novelty("verify", copy).exit_code == 0


def test_the_same_command_mends_a_damaged_manifest_too(corpus: Path, copy: Path, novelty: Novelty) -> None:
    before = kept(copy)
    flip_totals(copy / "zarr.json")
    assert novelty("score", corpus, "-o", copy).exit_code == 0
    assert kept(copy) == before


@pytest.mark.parametrize("damage", [*DAMAGES, flip_totals, empty_group])
def test_a_damaged_copy_is_found_and_written_again_and_disturbs_nobody(
    copy: Path, novelty: Novelty, damage: Callable[[Path], None]
) -> None:
    before, top = kept(copy), novelty("top", copy).stdout
    damage(copy / COPY)
    found = novelty("verify", copy)
    assert found.exit_code == 4
    assert found.stderr == f"Damage: 'manifest/zarr.json' was altered; {resume(copy)} writes it again.\n"
    assert novelty("top", copy).stdout == top
    assert novelty("resume", copy).exit_code == 0
    assert kept(copy) == before


def test_a_run_without_a_sound_manifest_is_refused_and_stays_as_it_is(
    corpus: Path, copy: Path, novelty: Novelty
) -> None:
    for path in (copy / "zarr.json", copy / COPY):
        path.write_text(path.read_text().replace('"rows": 295', '"rows": 296'))
    before = snapshot(copy)
    for command in (["verify", copy], ["resume", copy], ["top", copy], ["score", corpus, "-o", copy]):
        refused = novelty(*command)
        assert refused.exit_code == 2
        assert "is damaged: " in refused.stderr
        assert "resume" not in refused.stderr
    assert snapshot(copy) == before


def test_a_copy_of_older_days_counts_for_nothing_beside_a_sound_manifest(
    copy: Path, novelty: Novelty
) -> None:
    text = (copy / COPY).read_text()
    older = text.replace(f'"format_version": {FORMAT_VERSION}', f'"format_version": {FORMAT_VERSION - 1}')
    assert older != text
    (copy / COPY).write_text(older)
    assert novelty("top", copy).exit_code == 0
    assert novelty("verify", copy).exit_code == 4
    flip_totals(copy / "zarr.json")
    for command in ("top", "verify", "resume"):
        assert novelty(command, copy).exit_code == 2
