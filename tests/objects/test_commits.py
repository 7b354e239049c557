from pathlib import Path

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from novelty_dask.errors import DamageError, StoreError
from novelty_dask.objects.address import open_objects
from novelty_dask.objects.commits import Commit, Commits, Digest, Draft, commit_key, digest
from novelty_dask.planning.stages import TaskId

TASK = TaskId("merge", "3")
DIGESTS = st.builds(Digest, st.integers(0, 2**50), st.integers(0, 2**32 - 1))
FIGURES = st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False) | st.text() | st.none())


def items(commits: Commits, stage: str) -> dict[str, Commit]:
    """The commits of a stage that count, by item."""
    found = {task.item: commits.find(task) for task in commits.tasks(stage)}
    return {item: commit for item, commit in found.items() if commit}


@pytest.fixture
def commits(tmp_path: Path) -> Commits:
    return Commits(open_objects(f"memory:/{tmp_path}"), "f" * 32)


def commit(commits: Commits, data: bytes = b"1", **figures: int) -> Commit:
    return Commit(commits.fingerprint, 1, {"novelty/c/3": digest(data)}, figures)


@given(st.text(), st.integers(1), st.dictionaries(st.text(), DIGESTS), FIGURES)
def test_a_commit_comes_back(
    fingerprint: str, epoch: int, objects: dict[str, Digest], figures: dict[str, object]
) -> None:
    commits = Commits(open_objects("memory://commits"), fingerprint)
    commits.forget(TASK)
    made = Commit(fingerprint, epoch, objects, figures)
    assert commits.add(TASK, made) == made
    assert commits.find(TASK) == made


def test_every_flipped_bit_of_a_record_is_found(commits: Commits) -> None:
    commits.add(TASK, commit(commits, nonzeros=7))
    record = commits.objects.read(commit_key(TASK))
    for bit in range(8 * len(record)):
        flipped = bytearray(record)
        flipped[bit // 8] ^= 1 << bit % 8
        commits.objects.write(commit_key(TASK), flipped)
        assert commits.find(TASK) is None
    assert items(commits, "merge") == {}


def test_a_record_that_is_cut_or_longer_does_not_count(commits: Commits) -> None:
    commits.add(TASK, commit(commits))
    record = commits.objects.read(commit_key(TASK))
    others = [record[:length] for length in range(len(record))]
    others += [record + b"\n", record * 2, b" " + record, bytes(len(record)), b"{}\n", b"\xff\n\n"]
    for other in others:
        commits.objects.write(commit_key(TASK), other)
        assert commits.find(TASK) is None


def test_a_commit_of_another_run_does_not_count_and_gives_way(commits: Commits) -> None:
    other = Commits(commits.objects, "0" * 32)
    other.add(TASK, commit(other, b"2"))
    assert commits.find(TASK) is None
    assert items(commits, "merge") == {}
    own = commit(commits, b"1")
    assert commits.add(TASK, own) == own
    assert commits.find(TASK) == own
    assert other.find(TASK) is None


def test_a_damaged_commit_gives_way(commits: Commits) -> None:
    commits.objects.write(commit_key(TASK), b"nonsense")
    assert commits.add(TASK, commit(commits)) == commit(commits) == commits.find(TASK)


def test_the_first_committer_wins_if_the_bytes_are_the_same(commits: Commits) -> None:
    first = commit(commits, seconds=1)
    commits.add(TASK, first)
    second = commit(commits, seconds=2)._replace(epoch=2)
    assert commits.add(TASK, second) == first
    assert commits.find(TASK) == first


@pytest.mark.parametrize(
    "objects", [{"novelty/c/3": digest(b"2")}, {}, {"novelty/c/3": digest(b"1"), "novelty/c/4": digest(b"1")}]
)
def test_other_bytes_are_an_alarm(commits: Commits, objects: dict[str, Digest]) -> None:
    commits.add(TASK, commit(commits))
    with pytest.raises(
        StoreError, match=r"^Task '3' of stage 'merge' gave a different result than before, "
    ) as alarm:
        commits.add(TASK, commit(commits)._replace(objects=objects))
    assert not isinstance(alarm.value, DamageError)
    assert commits.find(TASK) == commit(commits)


def test_the_items_of_a_stage_are_those_with_a_commit_that_counts(commits: Commits) -> None:
    for item in ("10", "9", "2-0"):
        commits.add(TaskId("compare", item), commit(commits, item=len(item)))
    commits.add(TASK, commit(commits))
    commits.objects.write(commit_key(TaskId("compare", "7")), b"nonsense")
    assert items(commits, "compare") == {item: commit(commits, item=len(item)) for item in ("10", "9", "2-0")}
    assert items(commits, "nothing") == {}
    commits.forget(TaskId("compare", "9"))
    commits.forget(TaskId("compare", "missing"))
    assert list(items(commits, "compare")) == ["10", "2-0"]


# Objects, as they were when they were committed.


def test_an_object_is_read_as_it_was_committed_or_not_at_all(commits: Commits) -> None:
    draft = Draft(TASK, commits.objects)
    draft.write("novelty/c/3", b"0123456789")
    assert draft.digests == {"novelty/c/3": digest(b"0123456789")}
    with pytest.raises(
        DamageError, match=r"^'novelty/c/3' is not committed; `novelty resume` computes it again\.$"
    ):
        commits.read(TASK, "novelty/c/3")
    commits.add(TASK, Commit(commits.fingerprint, 1, draft.digests, {}))
    assert commits.read(TASK, "novelty/c/3") == b"0123456789"
    with pytest.raises(DamageError, match="'novelty/c/4' was not written by its task"):
        commits.read(TASK, "novelty/c/4")
    for data, what in (
        (b"", "has 0 bytes instead of 10"),
        (b"012345678", "has 9 bytes instead of 10"),
        (b"0123456788", "does not match its checksum"),
        (bytes(10), "does not match its checksum"),
    ):
        commits.objects.write("novelty/c/3", data)
        with pytest.raises(DamageError, match=what) as damage:
            commits.read(TASK, "novelty/c/3")
        assert (damage.value.stage, damage.value.item) == TASK
    commits.objects.remove("novelty/c/3")
    with pytest.raises(DamageError, match="is missing"):
        commits.read(TASK, "novelty/c/3")


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_bytes_that_end_in_their_own_checksum_are_told_apart(one: bytes, other: bytes) -> None:
    ended = [data + google_crc32c.value(data).to_bytes(4, "little") for data in (one, other)]
    assert (digest(ended[0]) == digest(ended[1])) == (one == other)
