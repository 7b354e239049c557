"""The command that repeats a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from novelty_dask.errors import shell_quoted
from novelty_dask.settings import ResultSettings
from novelty_dask.storage.references import ADOPTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from novelty_dask.storage.manifest import Manifest

OPTIONS = {"ngram_range": "--ngram"}


def make_command(manifest: Manifest, url: str, shorten: Callable[[str], str]) -> str | None:
    """Return the command that scores the sources again, by short names; None where Python alone can."""
    if not manifest.identity.features_version or any(source.is_stream for source in manifest.sources):
        return None
    sources = [shell_quoted(shorten(source.path)) for source in manifest.sources]
    known = manifest.reference.each if manifest.reference else ()
    against = [f"--against {shell_quoted(shorten(each.url))}" for each in known]
    return " ".join(
        ["novelty score", *sources, "-o", shell_quoted(shorten(url)), *against, *_flags(manifest)]
    )


def _flags(manifest: Manifest) -> Iterator[str]:
    """Yield options for the settings that are not as they are by default."""
    settings = manifest.settings
    usual = ResultSettings.make(features=settings.features)
    for name, value in settings:
        if value == getattr(usual, name) and name != "features":
            continue
        if (name in ADOPTED and manifest.reference) or (name, value) == ("features", "url"):
            continue
        option = OPTIONS.get(name, "--" + name.replace("_", "-"))
        if value is True:
            yield option
            continue
        for each in _texts(name, value):
            yield f"{option} {shell_quoted(each)}"


def _texts(name: str, value: Any) -> list[str]:
    """Return a setting as the command line takes it, once for each time that its option is given."""
    if name == "ngram_range":
        return [",".join(map(str, value))]
    return [str(each) for each in value] if isinstance(value, tuple) else [str(value)]
