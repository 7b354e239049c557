"""Nothing under a folder or glob is left out silently, and links lead nowhere endlessly."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from novelty_dask.errors import InputError
from novelty_dask.sources import folders
from novelty_dask.sources.find import find_sources
from tests.support.files import write_all

NOBODY = 65_534


def names(*sources: object) -> list[str]:
    return [Path(source.url).name for source in find_sources(map(str, sources))]


@contextmanager
def unprivileged() -> Iterator[None]:
    """Not as root, who may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may enter."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    if any(not parent.stat().st_mode & 0o001 for parent in path.parents):
        pytest.skip("the temporary folder is not open to everybody")
    yield path
    for folder in path.rglob("*/"):
        folder.chmod(0o755)
    shutil.rmtree(path)


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    write_all(tmp_path / "disk" / "b.txt", tmp_path / "disk" / "more" / "c.txt", tmp_path / "data" / "a.txt")
    (tmp_path / "data" / "linked").symlink_to("../disk")
    for source in ("data", "data/**/*.txt", "data/**"):
        assert names(tmp_path / source) == ["a.txt", "b.txt", "c.txt"]
    assert names(tmp_path / "data" / "*" / "*.txt") == ["b.txt"]
    assert names(tmp_path / "data" / "linked") == ["b.txt", "c.txt"]


def test_links_in_circles_end(tmp_path: Path) -> None:
    write_all(tmp_path / "a" / "1.txt", tmp_path / "b" / "2.txt")
    for name in ("self", "myself"):
        (tmp_path / "a" / name).symlink_to(".")
    (tmp_path / "a" / "there").symlink_to("../b")
    (tmp_path / "b" / "back").symlink_to("../a")
    (tmp_path / "b" / "up").symlink_to("..")
    for source in ("a", "a/**/*.txt"):
        assert names(tmp_path / source) == ["1.txt", "2.txt"]


def test_a_file_is_read_once_whatever_leads_to_it(tmp_path: Path) -> None:
    write_all(tmp_path / "2026" / "a.txt")
    (tmp_path / "latest").symlink_to("2026")
    (tmp_path / "2026" / "b.txt").symlink_to("a.txt")
    assert names(tmp_path) == ["a.txt"]
    assert names(tmp_path / "late*" / "*.txt") == ["a.txt"]
    assert names(tmp_path / "latest" / "b.txt", tmp_path / "2026" / "a.txt") == ["b.txt"]


def test_links_that_multiply_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MOST_FOLDERS", 1_000)
    for level in range(15):
        (tmp_path / str(level)).mkdir()
        for name in ("left", "right"):
            (tmp_path / str(level) / name).symlink_to(f"../{level + 1}")
    write_all(tmp_path / "15" / "a.txt")
    for source in ("0", "0/**"):
        with pytest.raises(
            InputError, match=r"^Can't read '.*/0/?': Too many folders, or links to folders\.$"
        ):
            find_sources([f"{tmp_path}/{source}"])


def test_deep_folders_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(1_050):
        Path("d").mkdir()
        os.chdir("d")
    Path("a.txt").write_text("https://a.example/\n")
    os.chdir(tmp_path)
    assert len(find_sources(["."])) == 1
    for _ in range(1_050):
        os.chdir("d")
    Path("a.txt").unlink()
    for _ in range(1_050):
        os.chdir("..")
        Path("d").rmdir()


@pytest.mark.parametrize("source", ["", "*", "**", "**/*.txt"])
def test_an_unreadable_folder_is_named(public: Path, source: str) -> None:
    write_all(public / "a.txt", public / "open" / "b.txt", public / "shut" / "c.txt")
    (public / "shut").chmod(0)
    with unprivileged():
        if source == "*":
            assert names(public / source) == ["a.txt"]
        else:
            with pytest.raises(InputError, match=r"^Can't read '.*/shut': Permission denied\.$"):
                find_sources([f"{public}/{source}"])


def test_an_unreadable_file_is_named(public: Path) -> None:
    write_all(public / "a.txt", public / "b.txt")
    (public / "b.txt").chmod(0)
    with unprivileged():
        for source in ("", "*.txt", "b.txt"):
            with pytest.raises(InputError, match=r"^Can't read '.*/b\.txt': Permission denied\.$"):
                find_sources([f"{public}/{source}"])


@pytest.mark.parametrize("source", ["socket", "", "*", "link"])
def test_a_socket_is_refused(public: Path, source: str) -> None:
    write_all(public / "a.txt")
    (public / "link").symlink_to("socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(public / "socket"))
        with pytest.raises(InputError, match=r"' is not a regular file; pipe it in, and name - as "):
            find_sources([f"{public}/{source}"])


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="there are no devices")
def test_devices_are_refused_also_through_links(tmp_path: Path) -> None:
    for device in ("null", "zero", "random", "tty"):
        (tmp_path / device).symlink_to(f"/dev/{device}")
        with pytest.raises(InputError, match=rf"/{device}' is not a regular file; "):
            find_sources([str(tmp_path / device)])


@pytest.mark.parametrize(
    "name", [b"\xff.txt", b"a\nb.txt", b"\x1b[31m.txt", b"- -.txt", "\u202e.txt".encode()]
)
def test_files_of_any_name_are_found(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    write_all(path)
    for source in (path, tmp_path, tmp_path / "*.txt"):
        [found] = find_sources([str(source)])
        assert found.url == f"file://{path}"
