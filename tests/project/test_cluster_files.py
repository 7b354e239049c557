"""The files of cluster/: what they say is what the programs that read them take, and all of them encrypt."""

import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from novelty_dask.execution.clusters.places import PLACES, read_place

CLUSTER = Path(__file__).parents[2] / "cluster"
FOLDERS = sorted(path for path in CLUSTER.iterdir() if path.is_dir())
TEXTS = sorted(path for path in CLUSTER.rglob("*") if path.is_file())
KUBERNETES = CLUSTER / "kubernetes"
KINDS = {"cluster.yaml": "daskcluster", "job.yaml": "daskjob"}


def documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def strict(schema: Any) -> Any:
    """A schema in which an unknown key is an error: the server would drop it without a word."""
    if isinstance(schema, list):
        return [strict(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if made.get("type") == "object" and "properties" in made:
        made.setdefault("additionalProperties", False)
    if made.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
        made["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    return made


def validator(kind: str) -> Draft7Validator:
    """What the operator of Dask takes, from its own package."""
    try:
        package = files("dask_kubernetes")
    except ModuleNotFoundError:
        pytest.skip("dask-kubernetes is not installed")
    folder = package / "operator/deployment/helm/dask-kubernetes-operator/crds"
    text = (folder / f"{kind}.yaml").read_text(encoding="utf-8")
    schema = strict(
        yaml.load(text, Loader=yaml.CSafeLoader)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    )
    schema["properties"].update(
        apiVersion={"type": "string"}, kind={"type": "string"}, metadata={"type": "object"}
    )
    return Draft7Validator(schema)


@pytest.mark.parametrize("name", KINDS)
def test_the_operator_takes_every_key(name: str) -> None:
    [document] = documents(KUBERNETES / name)
    check = validator(KINDS[name])
    assert [error.message for error in check.iter_errors(document)] == []
    # A check that finds nothing may look at nothing: two errors are planted.
    cluster = document["spec"]["cluster"]["spec"] if "job" in document["spec"] else document["spec"]
    cluster["worker"]["replica"] = 3
    cluster["scheduler"]["spec"]["containers"][0]["imagePulPolicy"] = "Always"
    found = " ".join(error.message for error in check.iter_errors(document))
    assert "'replica' was unexpected" in found
    assert "'imagePulPolicy' was unexpected" in found


def test_kubernetes_takes_the_other_documents() -> None:
    validate = pytest.importorskip("kubernetes_validate").validate
    kinds = []
    for document in documents(KUBERNETES / "policy.yaml"):
        validate(document, "1.27", strict=True)
        kinds.append(document["kind"])
    assert kinds == ["NetworkPolicy", "PodDisruptionBudget"]


def pods() -> list[dict[str, Any]]:
    """All pods of the files for Kubernetes."""
    found = []
    for name in KINDS:
        [document] = documents(KUBERNETES / name)
        spec = document["spec"]
        cluster = spec["cluster"]["spec"] if "job" in spec else spec
        found += [cluster["scheduler"]["spec"], cluster["worker"]["spec"]]
        found += [spec["job"]["spec"]] if "job" in spec else []
    return found


def test_pods_have_no_more_rights_than_they_need() -> None:
    assert len(pods()) == 5
    for pod in pods():
        [container] = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        [secret] = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
        # Each has the authority and its own certificate, and no other.
        assert len(secret["items"]) == 2
        assert container["resources"]["limits"]["memory"]


def test_containers_of_compose_have_no_more_rights_than_they_need() -> None:
    [compose] = documents(CLUSTER / "compose" / "cluster.yaml")
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        if name != "store":
            assert service["read_only"] is True, name
            assert service["environment"]["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "true", name
            assert len(service["secrets"]) == 2, name


def test_every_place_has_the_same_files() -> None:
    assert [folder.name for folder in FOLDERS] == ["compose", "kubernetes", "local", "pbs", "slurm", "ssh"]
    for folder in FOLDERS:
        names = {path.name for path in folder.iterdir()}
        assert (
            {"README.md", "cluster.yaml"}
            <= names
            <= {"README.md", "cluster.yaml", "job.sh", "job.yaml", "policy.yaml"}
        )
        assert len((folder / "README.md").read_text(encoding="utf-8").splitlines()) <= 16
        assert f"`{folder.name}/`" in (CLUSTER / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_every_place_encrypts(folder: Path) -> None:
    text = (folder / "cluster.yaml").read_text(encoding="utf-8")
    assert "certs" in text
    if folder.name in PLACES:
        place = read_place(str(folder / "cluster.yaml"))
        assert place.place == folder.name
        assert place.certs == str(folder / "certs")
        assert place.protocol == "tls://"
        assert place.minimum == place.maximum


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(CLUSTER).as_posix())
def test_no_file_allows_open_connections(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "insecure" not in text
    assert "latest" not in text
    if path.name != "dask.yaml":
        assert "tcp://" not in text


@pytest.mark.parametrize("path", sorted(CLUSTER.rglob("*.sh")), ids=lambda path: path.parent.name)
def test_scripts_are_shell(path: Path) -> None:
    subprocess.run(["bash", "-n", path], check=True)
    assert path.stat().st_mode & 0o111


def test_the_image_is_built_in_two_stages_and_runs_as_nobody_special() -> None:
    lines = (CLUSTER / "Containerfile").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("FROM")] == ["FROM ${BASE} AS build", "FROM ${BASE}"]
    assert "USER 1000:1000" in lines
    assert any(line.startswith("HEALTHCHECK") for line in lines)
