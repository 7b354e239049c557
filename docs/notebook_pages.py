"""Pages of the site for notebooks: each is its notebook in Markdown, with outputs if it is run.

A page ``docs/notebooks/NAME.md`` leads to ``notebooks/NAME.ipynb``, as on GitHub, and holds it on the site.
Notebooks are kept without outputs.  ``sphinx -D run_notebooks=1`` runs each that has changed since the last
build, which takes minutes; without it the site is built in seconds, and its pages have no outputs.
"""

import html
import re
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
PATIENCE = 600
"""Seconds that a cell may take."""
FORMS = (
    ("text/html", "{}"),
    ("image/svg+xml", "{}"),
    ("image/png", '<img alt="" src="data:image/png;base64,{}">'),
    ("application/javascript", "<script>{}</script>"),
)
"""Forms of an output that a page shows as HTML, the best first."""
TERMINAL = re.compile(r"\x1b\[[\d;]*m")
"""Colors of a terminal."""


def setup(app: Any) -> dict[str, bool]:
    """Let the site have notebooks."""
    app.add_config_value("run_notebooks", default=False, rebuild="env", types=[bool])
    app.connect("source-read", replace_page)
    return {"parallel_read_safe": True}


def replace_page(app: Any, name: str, source: list[str]) -> None:
    """Put a notebook in the place of the page that leads to it."""
    folder, _, stem = name.rpartition("/")
    path = FOLDER / f"{stem}.ipynb"
    if folder != "notebooks" or not path.exists():
        return
    # A page is made anew when its notebook changes, and else taken from the last build.
    app.env.note_dependency(str(path), docname=name)
    notebook = nbformat.read(path, as_version=4)
    if app.config.run_notebooks:
        with tempfile.TemporaryDirectory() as work:
            resources = {"metadata": {"path": work}}
            NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3", resources=resources).execute()
    source[0] = to_markdown(notebook, path.name)


def to_markdown(notebook: Any, name: str) -> str:
    """Return a notebook as a page of Markdown."""
    place = f"https://github.com/novelty-dask/novelty-dask/blob/main/notebooks/{name}"
    title, *others = notebook.cells
    parts = [title.source, f"To run it yourself, take [`notebooks/{name}`]({place})."]
    for cell in others:
        if cell.cell_type == "code":
            parts += [fence(cell.source, "python"), *(shown(output) for output in cell.outputs)]
        else:
            parts.append(cell.source.replace(".ipynb)", ".md)"))
    return "\n\n".join(parts)


def shown(output: Any) -> str:
    """Return an output of a cell in Markdown."""
    data = output.get("data", {})
    for kind, form in FORMS:
        if kind in data:
            return fence(f'<div class="notebook-output">{form.format(data[kind])}</div>', "{raw} html")
    text = TERMINAL.sub("", output.get("text") or data.get("text/plain", ""))
    return fence(f'<pre class="notebook-output">{html.escape(text)}</pre>', "{raw} html") if text else ""


def fence(text: str, kind: str) -> str:
    """Return a block that ends where it should, whatever stands in it."""
    longest = max(map(len, re.findall("`{3,}", text)), default=2)
    ticks = "`" * (longest + 1)
    return f"{ticks}{kind}\n{text}\n{ticks}"
