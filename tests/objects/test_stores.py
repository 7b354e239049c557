"""Object stores that lose answers, are busy, out of reach, or do not do what they are asked to."""

import pickle
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from novelty_dask.errors import StoreError, UnreachableError
from novelty_dask.objects import failures, remote, stores
from novelty_dask.objects.address import open_objects
from novelty_dask.objects.commits import Commit, Commits, digest
from novelty_dask.objects.creation import create_object
from novelty_dask.objects.owners import check_epoch, claim
from novelty_dask.objects.protocol import Objects, is_partial
from novelty_dask.objects.remote import RemoteObjects
from novelty_dask.planning.stages import TaskId
from novelty_dask.storage.runs import create_run, find_run
from tests.support.runs import make_manifest
from tests.support.stores import (
    BUSY,
    KEYS,
    Answer,
    Careless,
    Proxy,
    Store,
    free_ports,
    is_creation,
    lose_every,
    proxied,
    serving,
)

TASK = TaskId("compare", "1-0")
ON_SERVER = [pytest.mark.process, pytest.mark.xdist_group("seaweedfs")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A real object store."""
    with serving("seaweedfs", tmp_path_factory.mktemp("server")) as store:
        yield store


def lead(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> str:
    """Lead to a store; return the URL of a run that is not there."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)
    return f"s3://bucket/{uuid.uuid4().hex}/run.zarr"


@pytest.fixture
def proxy(server: Store) -> Iterator[Proxy]:
    """What stands before the store."""
    with proxied(server.port) as proxy:
        yield proxy


@pytest.fixture
def far(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> RemoteObjects:
    """Objects behind the proxy."""
    return RemoteObjects(lead(monkeypatch, proxy.endpoint))


# Stores that are out of reach.


REQUESTS: dict[str, Callable[[Objects], object]] = {
    "read": lambda objects: objects.read("a"),
    "write": lambda objects: objects.write("a", b"1"),
    "write_stream": lambda objects: objects.write_stream("a", [b"1"]),
    "create": lambda objects: objects.create("a", b"1"),
    "check_creation": lambda objects: objects.check_creation(),
    "remove": lambda objects: objects.remove("a"),
    "remove all": lambda objects: objects.remove("a/"),
    "sizes": lambda objects: objects.sizes(),
    "lengths": lambda objects: objects.lengths()("a/b"),
    "modified": lambda objects: objects.modified("a"),
    "exists": lambda objects: objects.exists(),
    "sweep": lambda objects: objects.sweep(),
}


@pytest.mark.parametrize("request_of", REQUESTS)
def test_a_store_out_of_reach_is_never_an_empty_one(request_of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "RETRY_SECONDS", 0.2)
    url = lead(monkeypatch, f"http://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(UnreachableError) as raised:
        REQUESTS[request_of](RemoteObjects(url))
    assert str(raised.value) == f"The store of {url!r} fails: Connection refused; try again when it works."


@pytest.mark.parametrize("request_of", REQUESTS)
def test_a_busy_store_is_asked_again_and_never_an_empty_one(
    request_of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "RETRY_SECONDS", 1.0)
    with proxied() as proxy:
        proxy.before = lambda *_: BUSY
        url = lead(monkeypatch, proxy.endpoint)
        with pytest.raises(UnreachableError, match=r" fails: 503 Service Unavailable( \(SlowDown\))?; "):
            REQUESTS[request_of](RemoteObjects(url))
        assert len(proxy.requests) > 1


def test_errors_hold_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers answer with the key of the user, and addresses with a signature."""
    body = b"<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIA</AWSAccessKeyId></Error>"
    with proxied() as proxy:
        proxy.before = lambda *_: Answer(403, [], body)
        objects = RemoteObjects(lead(monkeypatch, proxy.endpoint))
        with pytest.raises(UnreachableError) as raised:
            objects.read("a")
    assert raised.value.__cause__ is None
    assert str(raised.value).endswith(
        " fails: 403 Forbidden (SignatureDoesNotMatch); check its credentials, then try again."
    )
    odd = RuntimeError("Error performing GET http://a.example/b?sig=secret in 1 s")
    assert "secret" not in failures.said_by(odd)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://key:secret@bucket/run.zarr", "a URL must not hold credentials"),
        ("s3://secret@bucket/run.zarr", "a URL must not hold credentials"),
        ("az://container/run.zarr?sig=secret", "a URL must not hold credentials"),
        ("abfs://container:secret@account.dfs.core.windows.net/run.zarr", "a URL must not hold credentials"),
        ("hdfs://host/run.zarr", "no run is kept in hdfs://"),
        ("oss://bucket/run.zarr", "no run is kept in oss://"),
        ("s3:///run.zarr", "it names no bucket"),
        ("simplecache::s3://bucket/run.zarr", "no run is kept behind another file system"),
    ],
)
def test_urls_of_no_store_and_with_credentials_are_refused(url: str, said: str) -> None:
    with pytest.raises(StoreError) as raised:
        open_objects(url)
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)


def test_nobody_is_asked_for_credentials_where_that_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in stores.AWS_CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StoreError, match=r"^There are no credentials for s3://; set AWS_ACCESS_KEY_ID and "):
        open_objects("s3://bucket/run.zarr")


def test_other_processes_get_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = RemoteObjects(lead(monkeypatch, "http://127.0.0.1:1"))
    sent = pickle.dumps(objects)
    assert not any(
        value.encode() in sent for value in (KEYS["AWS_SECRET_ACCESS_KEY"], KEYS["AWS_ACCESS_KEY_ID"])
    )
    assert pickle.loads(sent).url == objects.url


# Stores that ignore the condition.


def test_a_store_that_ignores_the_condition_is_refused_before_anything_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    careless = Careless()
    with proxied() as proxy:
        proxy.before = careless.answer
        url = lead(monkeypatch, proxy.endpoint)
        with pytest.raises(StoreError, match=rf"^The store of {url!r} ignores If-None-Match, so that two "):
            create_run(url, make_manifest())
    changes = [request for request in proxy.requests if request[0] != "GET" and request[0] != "HEAD"]
    *puts, (method, _) = changes
    assert [put for put, _ in puts] == ["PUT", "PUT"]
    # Versions of obstore remove one object in either way.
    assert method in ("DELETE", "POST")
    assert all(is_partial(path) for method, path in changes if method == "PUT")
    assert careless.stored == {}


def test_the_probe_of_a_client_that_was_killed_counts_as_nothing(objects: Objects) -> None:
    objects.check_creation()
    assert (objects.exists(), objects.sweep()) == (False, 0)
    if isinstance(objects, RemoteObjects):
        objects.store.put(f"{objects.root}/probe.{'0' * 32}.partial", b"first")
        assert (objects.exists(), objects.sizes(), objects.sweep()) == (False, {}, 1)


# Answers that are lost, and storms.


def lossy(test: Any) -> Any:
    """A test in which an answer is lost, which never makes a client refuse what it did itself."""
    for mark in (
        *ON_SERVER,
        pytest.mark.parametrize("how", ["cut", "busy"]),
        pytest.mark.parametrize("number", [1, 2, 3]),
    ):
        test = mark(test)
    return test


@lossy
def test_a_run_that_was_created_is_ours(far: RemoteObjects, proxy: Proxy, how: str, number: int) -> None:
    proxy.after = lose_every(number, how)
    run = create_run(far.url, make_manifest())
    found = find_run(far.url)
    assert found is not None
    assert found.manifest == run.manifest


@lossy
def test_an_epoch_that_was_claimed_is_ours(far: RemoteObjects, proxy: Proxy, how: str, number: int) -> None:
    proxy.after = lose_every(number, how)
    for epoch in range(1, 4):
        with claim(far, far.url) as owner:
            assert owner.epoch == epoch
            check_epoch(far, epoch)


@lossy
def test_a_task_that_was_committed_is_ours(far: RemoteObjects, proxy: Proxy, how: str, number: int) -> None:
    proxy.after = lose_every(number, how)
    commits = Commits(far, "f" * 32)
    for item in ("0-0", "1-0", "1-1"):
        commit = Commit("f" * 32, 1, {"a": digest(b"1")}, {})
        assert commits.add(TaskId("compare", item), commit) == commit
        assert commits.find(TaskId("compare", item)) == commit


@pytest.mark.process
@pytest.mark.xdist_group("seaweedfs")
def test_of_another_the_object_is_never_ours(far: RemoteObjects, proxy: Proxy) -> None:
    far.write("a", b"theirs")
    proxy.after = lose_every(1, "cut")
    assert not create_object(far, "a", b"ours")
    assert far.read("a") == b"theirs"


@pytest.mark.process
@pytest.mark.xdist_group("seaweedfs")
def test_a_conflict_is_asked_again(far: RemoteObjects, proxy: Proxy) -> None:
    """As S3 answers while the object is being removed."""
    conflict = Answer(409, [], b"<Error><Code>ConditionalRequestConflict</Code></Error>")
    seen: list[str] = []

    def before(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        if is_creation(method, headers):
            seen.append(path)
            return conflict if len(seen) < 3 else None
        return None

    proxy.before = before
    assert create_object(far, "a", b"ours")
    assert (len(seen), far.read("a")) == (3, b"ours")


@pytest.mark.process
@pytest.mark.xdist_group("seaweedfs")
def test_a_storm_passes(far: RemoteObjects, proxy: Proxy) -> None:
    """Of three requests the store refuses two."""
    counted: list[int] = []

    def before(*_: object) -> Answer | None:
        counted.append(1)
        return BUSY if len(counted) % 3 else None

    proxy.before = before
    far.check_creation()
    with claim(far, far.url) as owner:
        check_epoch(far, owner.epoch)
        far.write("a/b", b"1")
    assert (far.read("a/b"), far.sizes("a/")) == (b"1", {"a/b": 1})


@pytest.mark.process
@pytest.mark.xdist_group("seaweedfs")
def test_of_eight_that_claim_at_once_one_owns(server: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    url = lead(monkeypatch, server.endpoint)
    together, owners, refused = threading.Barrier(8), list[int](), list[str]()

    def claim_it() -> None:
        together.wait()
        try:
            owners.append(claim(RemoteObjects(url), url).epoch)
        except StoreError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=claim_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert owners == [1]
    assert len(refused) == 7
    assert all(" is being worked on by process " in said or "has just begun" in said for said in refused)


# What it costs.


@pytest.mark.process
@pytest.mark.xdist_group("seaweedfs")
def test_no_commit_lists_anything(far: RemoteObjects, proxy: Proxy) -> None:
    with claim(far, far.url) as owner:
        proxy.requests.clear()
        check_epoch(far, owner.epoch)
        Commits(far, "f" * 32).add(TASK, Commit("f" * 32, owner.epoch, {}, {}))
    assert [method for method, path in proxy.requests if "commits" in path or ".json" in path] == [
        "GET",
        "GET",
        "PUT",
    ]
    assert not any("list-type" in path for _, path in proxy.requests)


@pytest.mark.process
@pytest.mark.xdist_group("seaweedfs")
def test_many_keys_are_listed_side_by_side(
    far: RemoteObjects, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {f"{row}-{column}.json" for row in range(0, 40, 3) for column in range(0, 12, 5)} | {"zz", "A"}
    for name in names:
        far.write(f"commits/compare/{name}", b"1")
    far.write("commits/comparex/1", b"1")
    monkeypatch.setattr(remote, "PAGES_IN_LINE", 1)
    monkeypatch.setattr(remote, "PAGE", 5)
    proxy.requests.clear()
    assert far.sizes("commits/compare/") == {f"commits/compare/{name}": 1 for name in names}
    assert len(proxy.requests) > 80
