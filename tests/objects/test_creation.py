"""Objects that are created once, by stores that lose answers."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from novelty_dask.errors import StoreError
from novelty_dask.objects import creation, owners
from novelty_dask.objects.creation import CREATION_ATTEMPTS, create_object, make_token
from novelty_dask.objects.local import LocalObjects
from novelty_dask.objects.owners import claim
from novelty_dask.objects.protocol import Data, Objects
from novelty_dask.objects.remote import RemoteObjects
from tests.support.clocks import clock_of

Answer = Callable[[bool], bool]


def refuse(_created: bool) -> bool:
    """Say that something is there, as who repeats a request is told."""
    return False


def fail(_created: bool) -> bool:
    """Say nothing, as where a network is cut."""
    raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


def fail_oddly(_created: bool) -> bool:
    """Raise what no system call does, as clients of object stores do."""
    raise RuntimeError("the server disconnected")


def answer_for(objects: Objects, answer: Answer) -> Objects:
    """Let a store create what it is asked to, and give another answer."""
    create = objects.create

    def answering(key: str, data: Data) -> bool:
        return answer(create(key, data))

    objects.create = answering  # type: ignore[method-assign]
    return objects


@pytest.fixture(params=["local", "remote"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "local":
        return LocalObjects(tmp_path / "run.zarr")
    return RemoteObjects(f"memory:/{tmp_path}/run.zarr")


answers = pytest.mark.parametrize("answer", [refuse, fail, fail_oddly])


def test_only_the_first_creates(objects: Objects) -> None:
    assert create_object(objects, "a/b", b"first")
    assert not create_object(objects, "a/b", b"second")
    assert create_object(objects, "a/b", b"first")
    assert objects.read("a/b") == b"first"


@answers
def test_what_was_created_is_ours_whatever_the_answer(objects: Objects, answer: Answer) -> None:
    answer_for(objects, answer)
    assert create_object(objects, "a/b", b"ours")
    assert objects.read("a/b") == b"ours"


@answers
def test_what_another_created_is_not_ours(objects: Objects, answer: Answer) -> None:
    objects.write("a/b", b"theirs")
    answer_for(objects, answer)
    if answer is refuse:
        assert not create_object(objects, "a/b", b"ours")
    else:
        with pytest.raises((ConnectionResetError, RuntimeError)):
            create_object(objects, "a/b", b"ours")
    assert objects.read("a/b") == b"theirs"


@pytest.mark.parametrize("answer", [fail, fail_oddly])
def test_an_error_of_what_was_not_created_is_raised(objects: Objects, answer: Answer) -> None:
    objects.create = lambda key, data: answer(False)  # type: ignore[method-assign]
    with pytest.raises((ConnectionResetError, RuntimeError)):
        create_object(objects, "a/b", b"ours")
    assert objects.sizes() == {}


@pytest.mark.parametrize("answer", [fail, fail_oddly])
def test_what_can_not_be_read_is_no_success(objects: Objects, answer: Answer) -> None:
    def unreadable(key: str) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    answer_for(objects, answer)
    objects.read = unreadable  # type: ignore[method-assign]
    with pytest.raises((ConnectionResetError, RuntimeError)):
        create_object(objects, "a/b", b"ours")


@pytest.mark.parametrize("refused", range(CREATION_ATTEMPTS + 1))
def test_a_refusal_of_nothing_is_tried_again(
    objects: Objects, refused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an object store answers while the object is being removed."""
    monkeypatch.setattr(creation, "PAUSE_SECONDS", 0.0)
    create, calls = objects.create, []

    def busy(key: str, data: Data) -> bool:
        calls.append(key)
        return len(calls) > refused and create(key, data)

    objects.create = busy  # type: ignore[method-assign]
    if refused < CREATION_ATTEMPTS:
        assert create_object(objects, "a/b", b"ours")
    else:
        with pytest.raises(StoreError, match=r"^Can't create 'a/b': the store refuses it as existing, but "):
            create_object(objects, "a/b", b"ours")


def test_tokens_differ() -> None:
    assert len({make_token() for _ in range(1_000)}) == 1_000


@answers
def test_a_client_that_hears_no_answer_owns_its_run(objects: Objects, answer: Answer) -> None:
    answer_for(objects, answer)
    for epoch in (1, 2):
        with claim(objects, "run.zarr") as owner:
            assert owner.epoch == epoch
            with pytest.raises(StoreError, match=r"^'run\.zarr' is being worked on by process "):
                claim(objects, "run.zarr")


def test_two_clients_that_are_alike_are_not_taken_for_one(
    objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have the same host, process number and clock, and both have seen that nobody is at work."""
    alike = {"host": "a", "namespace": "", "pid": 1, "started": 1.0}
    monkeypatch.setattr(owners, "this_process", lambda: alike)
    monkeypatch.setattr(owners, "newest_epoch", lambda objects, known=0: 0)
    refused = pytest.raises(StoreError, match=r"^Another client has just begun to work on 'run\.zarr'; ")
    with clock_of(lambda: 7.0):
        claim(objects, "run.zarr")
        with refused:
            claim(objects, "run.zarr")
