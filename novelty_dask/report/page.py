"""The page: its template, filled; its scripts and styles, named by their hashes; and its file."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from novelty_dask.errors import SettingsError, StoreError
from novelty_dask.report.data import gather
from novelty_dask.report.texts import Texts, shorten_all
from novelty_dask.results.outputs import open_output, writing_errors

if TYPE_CHECKING:
    from novelty_dask.events import Listener
    from novelty_dask.run import Run

MOST_ROWS = 2_000
"""Rows of a page: each takes up to ten neighbors, which nobody reads of more."""


@dataclass(frozen=True)
class Report:
    """A page on a run, which a notebook shows.

    Parameters
    ----------
    html : str
        The page.
    """

    html: str

    def _repr_html_(self) -> str:
        """Return the page in a frame of its own, in which it has no rights over the notebook."""
        return Markup(
            '<iframe sandbox="allow-scripts" title="Report" width="100%" height="700" srcdoc="{}"></iframe>'
        ).format(self.html)


def make_report(  # noqa: PLR0913 - each by its name
    run: Run,
    out: str | PathLike[str] | None,
    *,
    rows: int = 100,
    groups: float | None = None,
    links: bool = False,
    redact: bool = False,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> Report:
    """Return a page on a complete run, and write it to a file if one is named.

    Parameters
    ----------
    run : Run
    out : str or path, optional
        The file, or a pipe or device; ``"-"`` is standard output.
    rows : int
        Number of rows that are shown of the most novel ones, 0 to 2,000.
    groups : float, optional
        Least similarity of a pair, as for `groups`, to show groups of rows that are alike.  To find them can
        take as long as to score.  Without it the page has groups only if the run has the setting
        `outside_groups`.
    links : bool
        True to make links of URLs with http and https.  By default nothing in the page is one, nor would any
        program make one of it.
    redact : bool
        True to show ``…`` for secrets in URLs.
    overwrite : bool
        True to replace an existing file.
    listener : Listener, optional
        Takes the events of the search for groups.

    Returns
    -------
    Report
        The page, which a notebook shows.

    Raises
    ------
    SettingsError
        The number of rows or the similarity is impossible.
    StoreError
        The file exists, is one of a run or its source, or can't be written; or the run has no groups.
    DiskFullError
        There is no space for the file.
    """
    if not 0 <= rows <= MOST_ROWS:
        message = f"A page can't show {rows} rows; ask for 0 to {MOST_ROWS:,}, and export others to a file."
        raise SettingsError(message)
    paths = [source.path for source in run.manifest.sources]
    texts = Texts(links, redact, shorten_all(paths))
    search = {} if groups is None else {"at_least": groups, **({"listener": listener} if listener else {})}
    if out is None:
        return Report(render(gather(run, rows, search, texts)))
    name = fspath(out)
    if "\0" in name or "://" in name:
        message = f"Can't write {name!r}: a page is a local file; name one, and copy it there."
        raise StoreError(message)
    with writing_errors(name):
        # Refused before all is read; it is opened where it is entered.
        output = open_output(name, paths, overwrite=overwrite)
    report = Report(render(gather(run, rows, search, texts)))
    with writing_errors(name), output as opened:
        opened.file.write(report.html.encode("utf-8", "backslashreplace"))
    return report


def render(data: dict[str, Any]) -> str:
    """Return the page that shows some data."""
    folder = files("novelty_dask.report")
    template, style, script = (
        folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.html", "page.css", "page.js")
    )
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"n": _number, "bytes": _bytes, "x": "{:.3f}".format, "s": "{:,.1f}".format}
    # Files of the package alone, in which nothing is to be escaped.
    parts = {"style": Markup(style), "script": Markup(script)}  # noqa: S704
    hashes = {"script_hash": _hash(script), "style_hash": _hash(style)}
    return environment.from_string(template).render(data, **parts, **hashes)


def _hash(text: str) -> str:
    """Return the hash by which a policy allows a script or a style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _number(value: int) -> str:
    """Return a whole number with commas."""
    return f"{value:,}"


def _bytes(value: int) -> str:
    """Return bytes in megabytes, as people read them."""
    return f"{value / 1e6:,.0f} MB" if value >= 10**7 else f"{value / 1e6:,.1f} MB"
