"""A real Slurm of one machine, on loopback: its own daemons and keys in a folder, nothing of the system."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

NODES = 2
CONFIGURATION = """ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd%n.log
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerType=sched/builtin
KillWait=3
SlurmctldTimeout=120
SlurmdTimeout=120
JobRequeue=1
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=8 RealMemory=16000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def lacking() -> str:
    """Why no Slurm can be started here; nothing if one can."""
    if os.geteuid():
        return "only root can start Slurm"
    names = [
        name for name in ("slurmctld", "slurmd", "munged", "sbatch", "runuser") if not shutil.which(name)
    ]
    return f"{', '.join(names)} is not installed" if names else ""


def _ports(n: int) -> list[int]:
    """Return free ports that follow each other."""
    for first in range(17_000, 30_000, n):
        with suppress(OSError):
            for port in range(first, first + n):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return list(range(first, first + n))
    raise AssertionError


@contextmanager
def slurm() -> Iterator[dict[str, str]]:
    """Start a Slurm of two nodes; yield the environment in which its commands talk to it."""
    # Not in a folder of pytest's: the daemon of keys is another user, who has to reach its socket.
    folder = Path(tempfile.mkdtemp(prefix="novelty-slurm-", dir="/tmp"))
    folder.chmod(0o755)
    for name in ("run", "key", "state", "log", *(f"spooln{number + 1}" for number in range(NODES))):
        (folder / name).mkdir(parents=True)
    (folder / "key" / "munge.key").write_bytes(os.urandom(1024))
    subprocess.run(["chown", "-R", "munge:munge", folder / "key", folder / "run"], check=True)
    (folder / "key").chmod(0o700)
    (folder / "key" / "munge.key").chmod(0o400)
    ports = _ports(NODES + 1)
    host = socket.gethostname().split(".")[0]
    text = CONFIGURATION.format(
        host=host, folder=folder, port=ports[0], nodes=NODES, first=ports[1], last=ports[-1]
    )
    (folder / "slurm.conf").write_text(text)
    # Slurm 22.05 knows no "disabled".
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    try:
        _start_daemons(folder, environment)
        yield environment
    finally:
        _stop_daemons(folder, environment)
        shutil.rmtree(folder, ignore_errors=True)


def _start_daemons(folder: Path, environment: dict[str, str]) -> None:
    """Start munge, the controller and the nodes, and wait until these are idle."""
    key, run = folder / "key", folder / "run"
    munged: list[str] = ["runuser", "-u", "munge", "--", "munged", f"--socket={run}/munge.socket"]
    munged += [f"--key-file={key}/munge.key", f"--log-file={key}/munged.log"]
    subprocess.run([*munged, f"--pid-file={run}/munged.pid", f"--seed-file={key}/seed"], check=True)
    subprocess.run(["slurmctld", "-f", folder / "slurm.conf"], check=True, env=environment)
    for number in range(NODES):
        node = ["slurmd", "-N", f"n{number + 1}", "-f", str(folder / "slurm.conf")]
        subprocess.run(node, check=True, env=environment)
    deadline = time.monotonic() + 120
    while len(set(ask(environment, "sinfo", "-h", "-N", "-t", "idle", "-o", "%N"))) < NODES:
        assert time.monotonic() < deadline, _said(folder)
        time.sleep(0.2)


def _said(folder: Path) -> str:
    """Return the ends of the logs of all daemons."""
    return "\n".join(f"{path.name}: {path.read_text()[-1_000:]}" for path in folder.glob("log/*"))


def _stop_daemons(folder: Path, environment: dict[str, str]) -> None:
    """Cancel all jobs, and end the daemons."""
    subprocess.run(["scancel", "-u", "root"], env=environment, check=False, capture_output=True)
    time.sleep(2)
    processes = []
    for path in (*folder.glob("slurmdn*.pid"), folder / "slurmctld.pid", folder / "run" / "munged.pid"):
        with suppress(OSError, ValueError, psutil.NoSuchProcess):
            process = psutil.Process(int(path.read_text()))
            process.terminate()
            processes.append(process)
    for process in psutil.wait_procs(processes, timeout=30)[1]:
        process.kill()


def ask(environment: dict[str, str], *command: str) -> list[str]:
    """Return the words that a command of Slurm prints."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout.split()
