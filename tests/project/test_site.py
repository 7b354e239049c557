"""The documentation site builds without a warning, whole, and shows all that is public."""

import importlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import novelty_dask
from novelty_dask.cli import main

ROOT = Path(__file__).parents[2]
REMOTE_PAGES = {"github.com", "url.spec.whatwg.org", "www.rfc-editor.org", "www.unicode.org"}
"""Hosts that pages may link to; what a page is made of comes from none."""


class Page(HTMLParser):
    """The names, links and parts of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.names: set[str] = set()
        self.links: set[str] = set()
        self.parts: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an element."""
        values = {name: value for name, value in attrs if value}
        if "id" in values:
            self.names.add(values["id"])
        if tag == "a" and "href" in values:
            self.links.add(values["href"])
        elif tag == "link" and values.get("rel") not in {"canonical", "index", "next", "prev", "search"}:
            self.parts.add(values["href"])
        elif "src" in values:
            self.parts.add(values["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors."""
    pytest.importorskip("sphinx", reason="pip install -e '.[docs]' brings what builds the site")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", str(out / ".trees")]
    done = subprocess.run([*command, "docs", str(out)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """All pages, by path."""
    return {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}


def test_every_page_of_the_sources_is_in_the_site(pages: dict[Path, Page], site: Path) -> None:
    built = {path.relative_to(site).with_suffix("").as_posix() for path in pages}
    docs = ROOT / "docs"
    written = {path.relative_to(docs).with_suffix("").as_posix() for path in docs.rglob("*.md")}
    assert written - built == {"decisions/template"}


def test_links_within_the_site_lead_somewhere(pages: dict[Path, Page]) -> None:
    n_links = 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.hostname in REMOTE_PAGES or parts.scheme == "mailto", (path.name, link)
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), (path.name, link)
            n_links += 1
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].names, (path.name, link)
    assert n_links > 1_000


def test_pages_are_whole_without_a_network(pages: dict[Path, Page], site: Path) -> None:
    for path, page in pages.items():
        for part in page.parts:
            assert not urlsplit(part).netloc, (path.name, part)
            assert (path.parent / unquote(urlsplit(part).path)).exists(), (path.name, part)
    for style in site.rglob("*.css"):
        imported = re.findall(r"(?:@import\s+|url\()['\"]?(?:https?:)?//", style.read_text(encoding="utf-8"))
        assert not imported, style.name


def test_every_notebook_has_a_page_with_its_cells(pages: dict[Path, Page], site: Path) -> None:
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert len(notebooks) == len([path for path in pages if path.parent == site / "notebooks"]) - 1
    for path in notebooks:
        page = site / "notebooks" / f"{path.stem}.html"
        assert page.read_text(encoding="utf-8").count("highlight-python") >= 5
        assert any(link.endswith(f"/main/notebooks/{path.name}") for link in pages[page].links)


def test_outputs_of_notebooks_stand_below_their_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    make = importlib.import_module("notebook_pages").to_markdown
    outputs = [
        new_output("execute_result", {"text/html": "<b>1</b>\n```\n", "text/plain": "one"}),
        new_output("stream", text="\x1b[31m<two>\x1b[0m"),
        new_output("display_data", {"image/png": "aGk="}),
    ]
    cells = [
        new_markdown_cell("# Title"),
        new_code_cell("1 < 2", outputs=outputs),
        new_markdown_cell("See [it](02.ipynb)."),
    ]
    page = make(new_notebook(cells=cells), "01.ipynb")
    assert page.startswith("# Title\n\n")
    assert '````{raw} html\n<div class="notebook-output"><b>1</b>\n```\n</div>\n````' in page
    assert '<pre class="notebook-output">&lt;two&gt;</pre>' in page
    assert 'src="data:image/png;base64,aGk="' in page
    assert page.endswith("See [it](02.md).")


def test_every_public_name_is_in_the_reference(pages: dict[Path, Page], site: Path) -> None:
    shown = pages[site / "reference" / "python.html"].names
    of_modules = {
        "datasets": "datasets.make_urls",
        "doctor": "doctor.examine",
        "errors": "errors.NoveltyError",
        "estimators": "NoveltyDetector",
    }
    for name in novelty_dask.__all__:
        assert f"novelty_dask.{of_modules.get(name, name)}" in shown, name
    for error in vars(novelty_dask.errors).values():
        if isinstance(error, type) and issubclass(error, novelty_dask.errors.NoveltyError):
            assert f"novelty_dask.errors.{error.__name__}" in shown


def test_every_option_is_in_the_reference_of_the_command_line(pages: dict[Path, Page], site: Path) -> None:
    shown = pages[site / "reference" / "command-line.html"].names
    for name, command in main.commands.items():
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                option = max(parameter.opts, key=len)
                assert f"cmdoption-novelty-{name}-{option.lstrip('-')}" in shown, (name, option)
