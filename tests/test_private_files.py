"""Files that a user keeps: where, and whose are taken."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from novelty_dask import private_files

USER = f"novelty-dask-{os.geteuid()}"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home, and a folder for temporary files beside it."""
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "home"


def test_what_is_kept_is_found_again_in_a_folder_of_the_user_alone(home: Path) -> None:
    folder = private_files.keep("version", "name", b"content")
    assert folder == home / ".cache" / USER
    assert private_files.load("version", "name") == b"content"
    assert private_files.load("other", "name") is None
    for path in (folder, folder / "version", folder / "version" / "name"):
        assert path.stat().st_mode & 0o077 == 0
    assert [path.name for path in (folder / "version").iterdir()] == ["name"]


@pytest.mark.parametrize("name", ["NUMBA_CACHE_DIR", "XDG_CACHE_HOME"])
def test_the_environment_names_another_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, str(tmp_path / "named"))
    assert private_files.keep("version", "name", b"") == tmp_path / "named" / USER


def test_a_relative_cache_is_no_cache_as_its_specification_says(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert private_files.user_folders()[0] == home / ".cache" / USER


def test_without_a_home_files_are_kept_with_temporary_ones(home: Path, tmp_path: Path) -> None:
    home.rmdir()
    assert private_files.keep("version", "name", b"content") == tmp_path / "tmp" / USER
    assert private_files.load("version", "name") == b"content"
    assert not home.exists()


def test_without_any_folder_nothing_is_kept_and_the_reason_is_given(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.rmdir()
    monkeypatch.setattr(tempfile, "tempdir", str(home / "tmp"))
    with pytest.raises(FileNotFoundError):
        private_files.keep("version", "name", b"content")
    assert private_files.find_writable("version") == (
        None,
        f"{os.strerror(errno.ENOENT)} at '{home}/.cache'",
    )
    assert not home.exists()


def test_the_current_folder_is_no_folder_for_temporary_files(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python's last resort, when no folder for temporary files takes any.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert private_files.user_folders() == [home / ".cache" / USER]
    # Unless the user names it, or works in the folder for temporary files.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert private_files.user_folders() == [home / ".cache" / USER, tmp_path / USER]


def test_the_current_folder_may_be_gone(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.rmdir()
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert private_files.keep("version", "name", b"") == tmp_path / "tmp" / USER
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_folder_in_tmpdir_that_takes_no_files_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "used").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "used"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / name))
    unused = private_files.unused_temporary_folder()
    assert unused.startswith(f"TMPDIR is not used, as {str(tmp_path / name)!r} takes no files (")
    assert unused.endswith(f"); it is {str(tmp_path / 'used')!r} instead.")


@pytest.mark.parametrize("name", ["", "used", "another"])
def test_nothing_is_said_of_a_tmpdir_that_takes_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for folder in ("used", "another"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "used"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / name) if name else "")
    assert private_files.unused_temporary_folder() == ""


def test_a_probe_leaves_nothing(home: Path) -> None:
    folder = home / ".cache" / USER
    assert private_files.find_writable("version") == (str(folder), "")
    assert list((folder / "version").iterdir()) == []


def test_what_others_may_have_written_is_not_taken(home: Path) -> None:
    folder = private_files.keep("version", "name", b"content")
    path = folder / "version" / "name"
    path.chmod(0o620)
    assert private_files.load("version", "name") is None
    path.chmod(0o600)
    assert private_files.load("version", "name") == b"content"
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
        assert private_files.load("version", "name") is None


def test_a_folder_that_others_may_write_to_is_passed_over(home: Path, tmp_path: Path) -> None:
    folder = private_files.keep("version", "name", b"content")
    folder.chmod(0o770)
    assert private_files.keep("version", "other", b"") == tmp_path / "tmp" / USER


def test_a_folder_that_another_user_put_there_is_passed_over(home: Path, tmp_path: Path) -> None:
    (home / ".cache").mkdir()
    (home / ".cache" / USER).symlink_to(tmp_path)
    assert private_files.keep("version", "name", b"") == tmp_path / "tmp" / USER


def test_links_and_pipes_are_no_files(home: Path, tmp_path: Path) -> None:
    folder = private_files.keep("version", "name", b"content") / "version"
    (folder / "link").symlink_to(folder / "name")
    os.mkfifo(folder / "pipe")
    assert private_files.load("version", "link") is None
    assert private_files.load("version", "pipe") is None


def test_a_file_is_written_whole_or_not_at_all(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        private_files.keep("version", "name", b"content")
    assert list((home / ".cache" / USER / "version").iterdir()) == []


def test_versions_do_not_pile_up(home: Path) -> None:
    names = [f"version-{number}" for number in range(2 * private_files.MOST_VERSIONS)]
    for age, name in enumerate(reversed(names)):
        folder = private_files.keep(name, "file", b"")
        os.utime(folder / name, (10**9 - age, 10**9 - age))
    kept = sorted(path.name for path in (home / ".cache" / USER).iterdir())
    assert len(kept) == private_files.MOST_VERSIONS
    assert names[0] in kept
