"""Processes that tests start: the command, servers, terminals."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO

import psutil

COMMAND = [sys.executable, "-m", "novelty_dask"]


def wait_until(
    condition: Callable[[], object],
    seconds: float = 200,
    process: "BaseProcess | subprocess.Popen[str] | None" = None,
) -> float:
    """Wait for a condition, as long as the process lives that is to bring it about; how long that took."""
    began = time.monotonic()
    while not condition():
        assert process is None or _is_alive(process), f"it ended too soon: {_said(process)}"
        assert time.monotonic() - began < seconds, "it did not come about"
        time.sleep(0.005)
    return time.monotonic() - began


def _is_alive(process: "BaseProcess | subprocess.Popen[str]") -> bool:
    """Whether a process has not ended."""
    return process.is_alive() if isinstance(process, BaseProcess) else process.poll() is None


def _said(process: "BaseProcess | subprocess.Popen[str]") -> str:
    """What a process that has ended said of it."""
    if isinstance(process, BaseProcess):
        return f"exit code {process.exitcode}"
    return f"exit code {process.returncode}, {process.communicate(timeout=10)[1]}"


@contextmanager
def started(
    *command: object,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int | None = None,
) -> Iterator["subprocess.Popen[str]"]:
    """A process, as the leader of a session, of which nobody is left afterwards."""
    with subprocess.Popen(
        [str(word) for word in command],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        cwd=cwd,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            end_session(process.pid)


def command_of(process: psutil.Process) -> str:
    """How a process was started; empty if it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def end_session(leader: int) -> None:
    """Kill all processes of a session that a test began."""
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                process.kill()
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process of a test, if it is still there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def wait_for(stream: IO[str] | None, text: str) -> None:
    """Read until a line has the text."""
    assert stream is not None
    assert any(text in line for line in stream)


def terminal_output(*arguments: object, columns: int = 80) -> str:
    """Return what the command writes to a terminal, standard error too."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        output = b""
        try:
            while chunk := os.read(ours, 65_536):
                output += chunk
        except OSError:  # Linux says so that the other end is closed
            pass
    os.close(ours)
    assert process.returncode == 0
    return output.decode()
