"""The guard that a script needs which starts processes: ``if __name__ == "__main__":``.

A new process imports the script that started it.  Without the guard it would score once more, and be refused
the run, or start processes of its own.
"""

import multiprocessing
import sys

from novelty_dask.errors import ClusterError

UNGUARDED_EXIT = 78
"""Exit code of a worker process that was imported into an unguarded script; EX_CONFIG of sysexits.h."""
WORKER_NAME = "Dask Worker process"
"""Beginning of the names of the processes that Dask starts as workers."""
MESSAGE = (
    "A worker process runs the whole script when it starts; put the call under "
    '`if __name__ == "__main__":`, or pass workers=0.'
)
NO_FILE = (
    "A worker process runs the whole script when it starts, and can't read it from standard input; save the "
    "script as a file, or pass workers=0."
)


def check_script() -> None:
    """Refuse to start processes that could not import the script of this one.

    Raises
    ------
    ClusterError
        It was read from standard input.
    """
    # Of `python -c` and of an interactive session nothing is imported: they have no such name.
    if getattr(sys.modules["__main__"], "__file__", None) == "<stdin>":
        raise ClusterError(NO_FILE)


def check_guarded() -> None:
    """Refuse to score while a new process imports the script that started it.

    Raises
    ------
    ClusterError
        It does.
    SystemExit
        It does, and is a worker: the process that started it says so once, for all workers.
    """
    process = multiprocessing.current_process()
    # Python itself looks at this mark before it starts a process.
    if getattr(process, "_inheriting", False):
        if process.name.startswith(WORKER_NAME):
            sys.exit(UNGUARDED_EXIT)
        raise ClusterError(MESSAGE)
