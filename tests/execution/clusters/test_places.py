from pathlib import Path

import pytest

from novelty_dask.errors import SettingsError
from novelty_dask.execution.clusters.certificates import make_certificates
from novelty_dask.execution.clusters.places import BatchPlace, SshPlace, read_place
from novelty_dask.execution.clusters.start import check_place, job_script

LOCAL = "place: local\nmaximum: 2\nmemory: 1 GB\n"
BATCH = (
    "maximum: 3\nmemory: 2 GB\nthreads: 2\nwalltime: 10:00:00\nqueue: long\nenvironment: {WORD: it's mine}\n"
)


def write(folder: Path, text: str) -> str:
    path = folder / "cluster.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_folders_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = write(tmp_path, f"{LOCAL}certs: certs\nlogs: /var/log/novelty\n")
    place = read_place("cluster.yaml")
    assert place == read_place(name)
    assert (place.certs, place.logs) == (str(tmp_path / "certs"), "/var/log/novelty")
    assert (place.minimum, place.maximum, place.memory, place.host) == (1, 2, 10**9, "127.0.0.1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{LOCAL}minimun: 2\n", "has an unknown key 'minimun'; known are place, minimum, maximum, "),
        (f"{LOCAL}queue: main\n", "has an unknown key 'queue'; known are"),
        ("place: moon\n", "has place: 'moon'; name one of local, ssh, slurm, pbs; for Kubernetes"),
        ("- place\n", "has place: None; name one of local"),
        ("place: local\nmaximum: 2\n", "has a bad memory: field required"),
        ("place: local\nmaximum: 0\nmemory: 1 GB\n", "has a bad maximum: input should be greater"),
        (f"{LOCAL}minimum: 3\n", "has minimum above maximum; make them equal for a fixed size"),
        ("place: ssh\nmaximum: 2\nmemory: 1 GB\nhosts: []\n", "has a bad hosts: list should have at least 1"),
        ("place: slurm\nmaximum: 2\nmemory: 1 GB\nwalltime: soon\n", "has a bad walltime: "),
        ("place: [\n", "is not YAML: "),
        ("place: !!python/object/apply:os.getcwd []\n", "is not YAML: "),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        read_place(write(tmp_path, text))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Can't read the cluster file 'nowhere': No such file"):
        read_place("nowhere")


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        (LOCAL, False),
        (f"{LOCAL}host: 0.0.0.0\n", True),
        ("place: ssh\nmaximum: 2\nmemory: 1 GB\nhosts: [a]\n", True),
        (f"place: slurm\n{BATCH}", True),
    ],
)
def test_beyond_this_machine_certificates_are_needed(text: str, is_refused: bool, tmp_path: Path) -> None:
    name = write(tmp_path, text)
    assert check_place(name, insecure=True).certs is None
    if is_refused:
        with pytest.raises(SettingsError, match=r"would not encrypt.*\(insecure=True\)\.$"):
            check_place(name, insecure=False)
    else:
        check_place(name, insecure=False)


def test_certificates_that_are_not_there_are_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"Can't read the certificate '.*ca.pem': No such file"):
        check_place(write(tmp_path, f"{LOCAL}certs: certs\n"), insecure=True)


def test_yaml_takes_some_times_for_numbers(tmp_path: Path) -> None:
    place = read_place(write(tmp_path, f"place: pbs\n{BATCH}"))
    assert isinstance(place, BatchPlace)
    assert place.walltime == "10:00:00"
    assert isinstance(
        read_place(write(tmp_path, "place: ssh\nmaximum: 2\nmemory: 1 GB\nhosts: [a]\n")), SshPlace
    )


@pytest.mark.parametrize(
    ("place", "lines"),
    [
        (
            "slurm",
            ["#SBATCH -p long", "#SBATCH --cpus-per-task=2", "#SBATCH -t 10:00:00", "#SBATCH --export=NONE"],
        ),
        ("pbs", ["#PBS -q long", "#PBS -l select=1:ncpus=2:mem=1908MB", "#PBS -l walltime=10:00:00"]),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_script_of_a_job(place: str, lines: list[str], tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue")
    pytest.importorskip("cryptography")
    make_certificates(str(tmp_path / "certs"))
    text = f"place: {place}\n{BATCH}certs: certs\npython: /opt/novelty/bin/python\n"
    script = job_script(check_place(write(tmp_path, text), insecure=False))
    assert [line for line in lines if line not in script.splitlines()] == []
    assert "export DASK_DISTRIBUTED__WORKER__MEMORY__SPILL='False'\n" in script
    assert "export DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION='True'\n" in script
    assert "export WORD='it'\\''s mine'\n" in script
    command = script.rstrip().splitlines()[-1]
    assert command.startswith("/opt/novelty/bin/python -m distributed.cli.dask_worker SCHEDULER ")
    for words in (
        "--lifetime 35880s",
        "--protocol tls://",
        f"--tls-cert {tmp_path}/certs/worker.pem",
        "--no-dashboard",
    ):
        assert words in command
    assert "PRIVATE KEY" not in script
