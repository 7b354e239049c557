"""A user of this machine without rights, home or name, and a package that may only be read."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import novelty_dask

PACKAGE = Path(novelty_dask.__file__).parent
NOBODY = 65534
# Root plays another user, who may read all files, as the interpreter may lie in root's home.
READER = "+dac_read_search"
AS_NOBODY = [
    "setpriv",
    f"--reuid={NOBODY}",
    f"--regid={NOBODY}",
    "--clear-groups",
    f"--inh-caps={READER}",
    f"--ambient-caps={READER}",
]


class Stranger:
    """A user whose home does not exist.

    Parameters
    ----------
    folder : Path
        Holds the package, read-only, and the only folder in which this user may write.
    """

    def __init__(self, folder: Path) -> None:
        self.site, self.own = folder / "site", folder / "own"
        shutil.copytree(PACKAGE, self.site / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
        compiled = [sys.executable, "-m", "compileall", "-q", str(self.site)]
        subprocess.run(compiled, check=True)
        self.own.mkdir()
        self.is_other = os.geteuid() == 0
        if self.is_other:
            os.chown(self.own, NOBODY, NOBODY)
        self._protect(0o555)

    def run(
        self, *arguments: object, program: Sequence[str] = ("-m", "novelty_dask"), **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run the command, or another Python program, with nothing in the environment but what is named."""
        command = [*(AS_NOBODY if self.is_other else []), sys.executable, "-P", *program]
        return subprocess.run(
            [*command, *map(str, arguments)],
            cwd=self.own,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(self.site),
                "HOME": "/nonexistent",
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def package_files(self) -> set[str]:
        """Return all that is beside the package's modules and in them."""
        return {str(path.relative_to(self.site)) for path in self.site.rglob("*")}

    def close(self) -> None:
        """Let the package be removed again."""
        self._protect(0o755)

    def _protect(self, mode: int) -> None:
        for path in [self.site, *self.site.rglob("*")]:
            if path.is_dir():
                path.chmod(mode)


@contextmanager
def stranger(folder: Path) -> Iterator[Stranger]:
    """Yield a user without rights, home or name."""
    user = Stranger(folder)
    try:
        yield user
    finally:
        user.close()
