"""Every exception that novelty_dask raises on purpose.

::

    NoveltyError
    ├── SettingsError   (also ValueError)    a setting is unknown or impossible
    ├── BudgetError     (also ValueError)    projected memory is over the limit
    ├── InputError      (also ValueError)    a source is missing, unreadable or holds no URL
    ├── StoreError      (also OSError)       a run on disk is absent, foreign, unfinished or damaged
    └── ClusterError    (also RuntimeError)  the scheduler or its workers failed or can't be reached

Each message is one sentence that says what is wrong and what to do, and tells no secret: messages end up
in logs, and URLs may hold passwords, tokens and signatures.
"""

import re

_USER = re.compile(r"://[^/?#\s]*@")
_SECRET = re.compile(
    r"([?&;#](?:[\w.-]{0,40}(?:token|secret|passw|pwd|signature|credential|session|api-?_?key|access-?_?key)"
    r"[\w.-]{0,40}|key|sig|auth|pass|code|jwt|sid)=)[^&;#\s'\"]*",
    re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    """The text with the user names, passwords, tokens and signatures of its URLs left out.

    >>> without_secrets("Can't read 'https://me:pw@a.example/x?X-Amz-Signature=1f&page=2'.")
    "Can't read 'https://***@a.example/x?X-Amz-Signature=***&page=2'."
    """
    return _SECRET.sub(r"\1***", _USER.sub("://***@", text))


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


class ClusterError(NoveltyError, RuntimeError):
    """The Dask scheduler can't be reached, or its workers failed."""
