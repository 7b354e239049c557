"""Every exception that novelty_dask raises on purpose.

::

    NoveltyError
    ├── SettingsError   (also ValueError)    a setting is unknown or impossible
    ├── BudgetError     (also ValueError)    projected memory is over the limit
    ├── InputError      (also ValueError)    a source is missing, unreadable or holds no URL
    ├── StoreError      (also OSError)       a run on disk is absent, foreign, unfinished or not writable
    │   ├── DamageError                      data of a run are not what was written
    │   ├── DiskFullError                    there is no space for more of a run
    │   ├── OwnedError                       another client works on a run
    │   └── UnreachableError                 the store of a run does not answer, or fails
    ├── ClusterError    (also RuntimeError)  the scheduler or its workers failed or can't be reached
    └── JobError        (also RuntimeError)  a job was cancelled, failed, or was given up

Each message is one sentence that says what is wrong and what to do, and tells no secret: messages end up
in logs, and URLs may hold passwords, tokens and signatures.
"""

import errno
import os
import re
import shlex
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

_USER = re.compile(r"://[^/?#\s]*@")
# With bounded names, so that a text of any length takes linear time.
_SECRET = re.compile(
    r"([?&;#](?:[\w.-]{0,40}(?:token|secret|passw|pwd|signature|credential|session|api-?_?key|access-?_?key)"
    r"[\w.-]{0,40}|key|sig|auth|pass|code|jwt|sid)=)[^&;#\s'\"]*",
    re.IGNORECASE,
)


HIDDEN = "***"
"""Stands where a secret was."""
LONGEST_REASON = 400
"""Characters of another library's message that are passed on."""
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk that is full, a quota, and a limit on the size of a file, which need the same remedy."""
FILE_ENDINGS = frozenset(
    {
        "arrow",
        "bz2",
        "csv",
        "feather",
        "gz",
        "json",
        "jsonl",
        "ndjson",
        "npy",
        "npz",
        "parquet",
        "tsv",
        "txt",
        "xz",
        "zst",
    }
)
"""Endings of names that are those of files."""


def without_secrets(text: str) -> str:
    """Return the text without the user names, passwords, tokens and signatures of its URLs.

    >>> without_secrets("Can't read 'https://me:pw@a.example/x?X-Amz-Signature=1f&page=2'.")
    "Can't read 'https://***@a.example/x?X-Amz-Signature=***&page=2'."
    """
    return _SECRET.sub(rf"\1{HIDDEN}", _USER.sub(f"://{HIDDEN}@", text))


class NoveltyError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    message : str
        One sentence; secrets in its URLs are left out.
    """

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(message))


class SettingsError(NoveltyError, ValueError):
    """A setting is unknown, of the wrong type or outside its range."""


class BudgetError(NoveltyError, ValueError):
    """The memory that a task is projected to need exceeds what a worker may use."""


class InputError(NoveltyError, ValueError):
    """A source does not exist, can't be read, or holds no URL."""


class StoreError(NoveltyError, OSError):
    """A path holds no run, an unfinished run, another run, or damaged data."""


class DamageError(StoreError):
    """Data of a run are missing, or are not what was written.

    Attributes
    ----------
    stage, item : str
        The task that made them.
    """

    def __init__(self, message: str, stage: str = "", item: str = "") -> None:
        super().__init__(message)
        self.stage = stage
        self.item = item

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str]]:
        """Return what rebuilds the error with its task, as pickle does when it travels from a worker."""
        return type(self), (str(self), self.stage, self.item)

    @classmethod
    def of(cls, task: tuple[str, str], key: str, what: str, remedy: str = "computes") -> Self:
        """Return the error of an object of a task."""
        return cls(f"{key!r} {what}; `novelty resume` {remedy} it again.", *task)


class DiskFullError(StoreError):
    """A disk has no space for more of a run; finished tasks are kept."""


class OwnedError(StoreError):
    """Another client works on a run, or may do so, or has taken it over."""


class UnreachableError(StoreError):
    """The store of a run can't be reached, or fails; finished tasks are kept.

    Attributes
    ----------
    has_run : bool
        True if a run is known to be there.
    """

    has_run = False


class ClusterError(NoveltyError, RuntimeError):
    """The Dask scheduler can't be reached, or its workers failed."""


class JobError(NoveltyError, RuntimeError):
    """A job was cancelled, has failed, or was given up."""


def reason(error: BaseException) -> str:
    """Return the message of an error in a form that can end a sentence."""
    if isinstance(error, FileNotFoundError):
        # File systems of fsspec word it in several ways, and some say it where no connection could be made.
        if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError):
            return reason(error.__cause__)
        return os.strerror(errno.ENOENT)
    if isinstance(error, TimeoutError) and not str(error):
        return "No answer came in time"
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    # Libraries may list hundreds of places where they looked for something.
    return textwrap.shorten(str(said), LONGEST_REASON, placeholder=" …").rstrip(".")


def capital(text: str) -> str:
    """Return a text as a sentence begins.

    >>> capital("standard input"), capital("'a.csv'")
    ('Standard input', "'a.csv'")
    """
    return f"{text[:1].upper()}{text[1:]}"


def shell_quoted(path: str) -> str:
    r"""Return a path as a shell takes it, for a command in a message.

    >>> print(shell_quoted("my run.zarr"), shell_quoted("-o"), shell_quoted("a\tb"))
    'my run.zarr' ./-o $'a\x09b'
    """
    # A command would take it for an option.
    name = f"./{path}" if path.startswith("-") else path
    if name.isprintable():
        return shlex.quote(name)
    # Printed as they are, these characters would be lost, or command the terminal.
    chars = (char if char.isprintable() and char not in "'\\" else _escaped(char) for char in name)
    return f"$'{''.join(chars)}'"


def _escaped(char: str) -> str:
    """Return the bytes of a character in a file name, as bash writes them."""
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(char))


@contextmanager
def reading_errors(problem: str) -> Iterator[None]:
    """Turn any error into an InputError of one sentence: the problem, and why.

    Parameters
    ----------
    problem : str
        What could not be done, such as ``"Can't read 'urls.txt'"``.

    Raises
    ------
    InputError
        Anything was raised.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - each file system, and each format, has its own
        message = f"{problem}: {reason(error)}."
        raise InputError(message) from None


def check_names_folder(url: str) -> None:
    """Refuse the name of a file where a folder is to be created.

    Raises
    ------
    StoreError
        Whoever gave it expects a file.
    """
    stem, dot, ending = url.rpartition(".")
    if dot and ending.lower() in FILE_ENDINGS:
        message = (
            f"Can't create {url!r}: a run is a folder, not a .{ending} file; name it {stem + '.zarr'!r}, and "
            "export its rows to a file."
        )
        raise StoreError(message)


def escape(text: str) -> str:
    r"""Return a text in which everything is visible that a terminal would not show as it is.

    Controls, among them ESC and DEL, line and paragraph separators, bidirectional and other
    invisible marks, lone surrogates: all that is not printable in Unicode's sense.

    >>> print(escape("http://a.example/\x1b]52;c;aGk=\x07\u202egpj.exe"))
    http://a.example/\x1b]52;c;aGk=\x07\u202egpj.exe
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _visible(ord(char)) for char in text)


def _visible(code: int) -> str:
    """Return a character as Python writes it in ASCII."""
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
