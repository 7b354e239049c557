"""Files of settings, in TOML."""

import tomllib
from pathlib import Path
from typing import Any

from novelty_dask.errors import SettingsError

LARGEST_SETTINGS_FILE = 2**20
"""Larger than any file of settings."""


def read_toml(path: str | Path) -> dict[str, Any]:
    """Return the settings of a TOML file.

    Raises
    ------
    SettingsError
        It can't be read, or is not TOML.
    """
    try:
        return tomllib.loads(_read(Path(path)))
    except OSError as error:
        raise SettingsError(f"Can't read the settings file {str(path)!r}: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error
        raise SettingsError(f"The settings file {str(path)!r} is not TOML: {why}.") from None


def _read(path: Path) -> str:
    """Return the text of a file, which may be a pipe and endless."""
    with path.open("rb") as file:
        # One byte more than allowed shows that there is more, without reading it.
        content = file.read(LARGEST_SETTINGS_FILE + 1)
    if len(content) > LARGEST_SETTINGS_FILE:
        message = f"it has more than {LARGEST_SETTINGS_FILE:,} bytes"
        raise ValueError(message)
    return content.decode("utf-8-sig")
