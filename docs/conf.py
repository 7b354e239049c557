"""Configuration of the documentation site: ``python -m sphinx -W --keep-going docs build/docs``."""

import re
import sys
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

project = "novelty_dask"
release = version = metadata("novelty-dask")["Version"]
author = "The novelty_dask developers"
project_copyright = author

extensions = [
    "myst_parser",
    "notebook_pages",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
]
exclude_patterns = ["decisions/template.md"]

# Pages are Markdown that reads the same on GitHub; its alerts and its anchors of headings work here too.
myst_enable_extensions = ["alert"]
myst_heading_anchors = 4

# Docstrings follow numpydoc.  Single backquotes stand around parameters as often as around objects, so
# those that name no object of the package stay as they are.
default_role = "py:obj"
napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "pydata_sphinx_theme"
html_title = "novelty_dask"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_sidebars = {"index": [], "getting-started": [], "glossary": [], "changes": [], "contributing": []}
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 5,
    "icon_links": [
        {
            "name": "Source code",
            "url": "https://github.com/novelty-dask/novelty-dask",
            "icon": "fa-brands fa-github",
        }
    ],
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def mark_help(_app: Any, _context: Any, lines: list[str]) -> None:
    """Keep backslashes and options in the help of a command, which are escapes and dashes elsewhere."""
    escaped = (line.replace("\\", "\\\\") for line in lines)
    lines[:] = [re.sub(r"(?<![\w`-])(--[a-z][a-z-]*)", r"``\1``", line) for line in escaped]


def drop_epilog(_app: Any, _context: Any, lines: list[str]) -> None:
    """Leave out the exit codes at the end of the help, which have a page of their own."""
    lines.clear()


def setup(app: Any) -> None:
    """Connect the events of sphinx-click."""
    app.connect("sphinx-click-process-description", mark_help)
    app.connect("sphinx-click-process-epilog", drop_epilog)
