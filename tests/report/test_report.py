"""The page on a run: whole, harmless whatever the run holds, and the same each time."""

import base64
import hashlib
import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import novelty_dask
from novelty_dask.cli import main
from novelty_dask.datasets import make_urls
from novelty_dask.errors import SettingsError, StoreError
from novelty_dask.planning.stages import LAST_STAGE
from novelty_dask.report.texts import Texts
from novelty_dask.run import Run
from novelty_dask.storage.runs import open_stored
from tests.support.browser import find_browser, look
from tests.support.files import write_lines

MARKUP = [
    "</script><script>window.hit=1</script>",
    "</style><script>window.hit=1</script>",
    '"><img src=//evil.example onerror=window.hit=1>',
    "'><svg onload=window.hit=1>",
    "<iframe src=javascript:window.hit=1>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<link rel=stylesheet href=//evil.example>",
    "</title></table><form action=//evil.example>",
    "{{7*7}}{% raw %}",
    "<!--",
    "]]>",
    "&lt;script&gt;",
    "javascript:window.hit=1",
    "\u202egpj.exe",
    "\u05d0\u05d1\u05d2<b>",
    "\x1b]0;title\x07",
]
HOSTILE = [f"http://{number}.example/{text}" for number, text in enumerate(MARKUP)]
LONG = "http://long.example/" + "a%2F" * 2_000
REJECTED = ["", "<b>\0", "http://a\0.example/<script>"]


class Page(HTMLParser):
    """Elements of a page, and what stands in scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw = {"script": "", "style": ""}
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.raw:
            self.raw[self.open[-1]] += data
        else:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def rows(self) -> int:
        return sum("rank" in (attributes.get("class") or "") for attributes in self.all("td"))


def policy(page: Page) -> str:
    [found] = [str(each["content"]) for each in page.all("meta") if "http-equiv" in each]
    return found


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("hostile")
    lines = [*HOSTILE, LONG, *REJECTED, "http://a.example/?token=geheim"]
    return novelty_dask.score(write_lines(folder / "urls.txt", lines), folder / "<run>.zarr")


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("ordinary")
    return novelty_dask.score(write_lines(folder / "urls.txt", make_urls(3_000)[0]), folder / "run.zarr")


@pytest.fixture(scope="module")
def against(ordinary: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    lines = [*HOSTILE, *ordinary.top(50, least=True).url]
    folder = tmp_path_factory.mktemp("against")
    return novelty_dask.score(write_lines(folder / "new.txt", lines), folder / "new.zarr", against=ordinary)


def test_nothing_of_a_url_is_markup(hostile: Run) -> None:
    page = Page(hostile.report().html)
    tags = {tag for tag, _ in page.elements}
    assert not {"img", "iframe", "base", "link", "form", "object", "b"} & tags
    assert len(page.all("script")) == len(page.all("style")) == len(page.all("body")) == 1
    # What goes to another place leads within the page, and nothing has a handler or a style of its own.
    assert {str(each["href"])[0] for each in page.all("a")} == {"#"}
    names = {name for _, attributes in page.elements for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "style", "action")}
    assert page.rows() == len(hostile)
    for text in ("</script><script>window[.]hit=1", "{{7*7}}{% raw %}", "&lt;script&gt;", "\\u202egpj[.]exe"):
        assert text in page.text
    assert "\x1b" not in page.text
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "geheim" in page.text
    assert "geheim" not in hostile.report(redact=True).html.replace("urls", "")


def test_long_urls_are_cut_and_rejected_lines_counted(hostile: Run) -> None:
    page = Page(hostile.report().html)
    assert "6,020 characters" in page.text
    assert LONG not in page.text
    assert len(hostile.report().html) < 150_000
    totals = hostile.manifest.totals
    assert totals
    for reason, count in totals.rejected.items():
        assert f"{reason}{count}" in page.text


def test_scripts_and_styles_run_by_their_hash_alone(hostile: Run) -> None:
    page = Page(hostile.report().html)
    for name in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(page.raw[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy(page)
    assert policy(page).startswith("default-src 'none'; ")
    assert "unsafe" not in policy(page)
    assert "eval" not in page.raw["script"]
    assert "innerHTML" not in page.raw["script"]


def contrast(one: str, other: str) -> float:
    """The contrast of two colors, as WCAG 2 defines it."""
    lights = []
    for color in (one, other):
        digits = color if len(color) == 6 else "".join(digit * 2 for digit in color)
        parts = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_a_page_can_be_read_aloud_and_in_every_light(hostile: Run) -> None:
    page = Page(hostile.report(groups=0.4).html)
    assert page.elements[0] == ("html", {"lang": "en"})
    headings = [tag for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert headings == ["h1", *["h2"] * len(page.all("section"))]
    # Whoever jumps from region to region hears another name of each.
    regions = [each for tag, each in page.elements if tag == "section" or each.get("role") == "region"]
    names = [each.get("aria-label") or each["aria-labelledby"] for each in regions]
    assert len({*names}) == len(names) > 8
    assert {each.get("scope") for each in page.all("th")} == {"col", "row"}
    themes = re.findall(r":root \{(.*?)\}", page.raw["style"])
    assert len(themes) == 3
    light: dict[str, str] = {}
    for theme in themes:
        # Print changes some of the colors of light.
        colors = {**light, **dict(re.findall(r"--(\w+): #(\w+)", theme))}
        light = light or colors
        for text in ("text", "quiet", "accent"):
            assert contrast(colors[text], colors["page"]) >= 4.5, (theme, text)
        assert contrast(colors["text"], colors["mark"]) >= 4.5


def test_links_are_made_if_asked_for_and_for_the_web_alone(hostile: Run) -> None:
    page = Page(hostile.report(links=True).html)
    links = [each for each in page.all("a") if not str(each["href"]).startswith("#")]
    assert links
    for each in links:
        assert str(each["href"]).startswith("http://")
        assert each["rel"] == "noopener noreferrer nofollow"
        assert each["referrerpolicy"] == "no-referrer"
    assert not Page(hostile.report(links=True, redact=True).html).text.count("geheim")
    assert "<a" not in Texts(links=True).show("javascript://a.example/%0aalert(1)")
    assert "<a" not in Texts(links=True).show("http://a.example/\u202egpj")


def test_a_page_names_each_of_several_references(ordinary: Run, tmp_path: Path) -> None:
    other = novelty_dask.score(
        write_lines(tmp_path / "other.txt", ["http://other.example/a", "http://other.example/b"]),
        tmp_path / "other.zarr",
    )
    source = write_lines(tmp_path / "new.txt", ["http://other.example/c", "http://else.example/"])
    run = novelty_dask.score(source, tmp_path / "new.zarr", against=[ordinary, other])
    # Rows of such a run have no p-values.
    page = Page(run.report().html)
    for each in (ordinary, other):
        assert f"--against {Path(each.url).name}" in page.text


def test_a_page_has_all_that_its_run_has(ordinary: Run, against: Run) -> None:
    html = ordinary.report(rows=30).html
    page = Page(html)
    assert len(html) < 600_000
    assert page.rows() == 30
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert {"main", "distribution", "rows", "sites", "templates", "scored", "work"} <= ids
    assert not {"known", "times", "refused"} & ids
    assert page.elements[0] == ("html", {"lang": "en"})
    targets = {str(each["href"])[1:] for each in page.all("a")}
    assert targets <= ids
    # The first row, its novelty and its evidence.
    first = ordinary.top(1, lists=True).iloc[0]
    assert f"{first.novelty:.3f}" in page.text
    assert Texts().show(first.neighbor_urls[0]) in html
    [marks] = ordinary.find_marks(ordinary.top(1, lists=True))
    assert Texts().show(first.url, marks) in html
    assert "novelty score urls.txt -o run.zarr" in page.text
    assert str(Path(ordinary.url).parent) not in html
    site = ordinary.sites(1).iloc[0]
    assert re.search(rf"{re.escape(site.site.replace('.', '[.]'))}[^-]*{site.top_novelty:.3f}", page.text)
    known = Page(against.report().html)
    rows = against.top(len(against), calibrate=True)
    new = int((~rows.known).sum())
    assert f"{new} of {len(against)} rows are new" in known.text
    assert "--against run.zarr" in known.text
    gone = len(ordinary) - int(rows.known.sum())
    assert f"Gone: the reference alone has them{gone:,}\u2013" in known.text
    assert f"p-value up to 0.01{(rows.p_value <= 0.01).sum()}" in known.text


def test_times_are_counted(tmp_path: Path) -> None:
    lines = ["url,seen", *(f"http://{n}.example/{n % 7},2026-01-{1 + n % 28:02d}" for n in range(300))]
    source = write_lines(tmp_path / "feed.csv", lines)
    run = novelty_dask.score(source, tmp_path / "run.zarr", column="url", time_column="seen")
    page = Page(run.report().html)
    assert "2026-01-01" in page.text
    assert "2026-01-28" in page.text
    table = page.text[page.text.index("First seen over time") :]
    counts = re.findall(r"from 2026-01-\d\dT\d\d:\d\d: (\d+) all rows", table)
    assert sum(map(int, counts)) == len(run) == 300
    assert "--column url" in page.text
    assert "--time-column seen" in page.text


def test_the_command_that_is_shown_makes_the_same_run(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "my urls.txt", [f"line {number}" for number in range(30)])
    settings: dict[str, Any] = {"features": "ngrams", "ngram_range": (2, 4), "n_neighbors": 3}
    run = novelty_dask.score(source, tmp_path / "run.zarr", **settings)
    [shown] = re.findall(r"novelty (score .*) -o \S+ (--.*)", Page(run.report().html).text)
    arguments = [*shown[1].split(), "-o", str(tmp_path / "again.zarr"), "-q"]
    done = CliRunner().invoke(main, ["score", str(source), *arguments])
    assert done.exit_code == 0, done.output
    again = novelty_dask.open(tmp_path / "again.zarr")
    assert again.manifest.settings == run.manifest.settings
    assert "'my urls.txt'" in shown[0]


def test_groups_are_those_of_the_run_or_of_the_threshold_that_is_asked_for(tmp_path: Path) -> None:
    lines = [f"http://shop.example/offers/{word}/today?from=mail" for word in ("tea", "milk", "rye")]
    lines += [f"http://{word}.example/" for word in ("one", "two")]
    source = write_lines(tmp_path / "urls.txt", lines)
    plain = novelty_dask.score(source, tmp_path / "plain.zarr")
    assert "groups" not in {each.get("id") for _, each in Page(plain.report().html).elements}
    found, members = novelty_dask.groups_and_members(plain, at_least=0.5)
    apart = novelty_dask.score(source, tmp_path / "apart.zarr", outside_groups=0.5)
    for run, groups in ((plain, 0.5), (apart, None)):
        page = Page(run.report(groups=groups).html)
        section = page.text.partition("connect the rows of a group")[2]
        assert f"{len(members)} of 5 rows are in {len(found)} groups" in page.text
        novelty = run.top(5).set_index("url").novelty
        for url in members.url:
            assert f"{novelty[url]:.3f} {Texts().show(url).striptags()}" in section
    assert f"{found.least_similarity[0]:.3f}" in Page(plain.report(groups=0.5).html).text
    refused = CliRunner().invoke(main, ["report", plain.url, "-o", str(tmp_path / "a.html"), "--groups", "2"])
    assert refused.exit_code == 2
    assert not (tmp_path / "a.html").exists()


@pytest.mark.parametrize("lines", [["http://a.example/"], ["ab"] * 3, [LONG]])
def test_runs_of_one_row_have_a_page(tmp_path: Path, lines: list[str]) -> None:
    run = novelty_dask.score(write_lines(tmp_path / "urls.txt", lines), tmp_path / "run.zarr")
    page = Page(run.report().html)
    assert "None of 1 row has a novelty" in page.text
    assert page.rows() == 0


def test_a_file_is_whole_the_same_each_time_and_not_overwritten(ordinary: Run, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    command = ["report", ordinary.url, "-o", str(out), "--rows", "5"]
    assert CliRunner().invoke(main, command).exit_code == 0
    assert out.read_text(encoding="utf-8") == ordinary.report(rows=5).html
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 2
    assert "--force" in refused.output
    before = out.read_bytes()
    assert CliRunner().invoke(main, [*command, "--force"]).exit_code == 0
    assert out.read_bytes() == before
    assert [*tmp_path.iterdir()] == [out]
    with pytest.raises(StoreError, match="source of the run"):
        ordinary.report(ordinary.manifest.sources[0].path, overwrite=True)
    with pytest.raises(StoreError, match="local file"):
        ordinary.report("s3://bucket/page.html")
    with pytest.raises(SettingsError, match="2,000"):
        ordinary.report(rows=2_001)


def test_a_run_that_is_not_complete_is_refused_as_by_other_commands(tmp_path: Path) -> None:
    run = novelty_dask.score(write_lines(tmp_path / "urls.txt", ["http://a.example/"]), tmp_path / "run.zarr")
    stored = open_stored(run.url)
    del stored.manifest.stages[LAST_STAGE.name]
    stored.save()
    refused = CliRunner().invoke(main, ["report", run.url, "-o", str(tmp_path / "a.html")])
    assert refused.exit_code == 2
    assert "novelty resume" in refused.output
    assert not (tmp_path / "a.html").exists()


def test_a_notebook_shows_it_in_a_frame_without_rights(hostile: Run) -> None:
    frame = Page(hostile.report()._repr_html_())
    [(tag, attributes)] = frame.elements
    assert tag == "iframe"
    assert attributes["sandbox"] == "allow-scripts"
    assert attributes["srcdoc"] == hostile.report().html


CHECKS = """
document.readyState === 'complete' && (() => {
    const page = document.querySelector('iframe')?.contentDocument || document;
    const window = page.defaultView;
    const input = page.querySelector('#rows input');
    input.value = '14.example/\\\\u202e';
    input.dispatchEvent(new window.Event('input'));
    const shown = [...page.querySelectorAll('table.rows tbody tr')].filter((row) => !row.hidden);
    const header = page.querySelector('#sites th[aria-sort]');
    header.querySelector('button').click();
    const names = [...page.querySelectorAll('#sites tbody th')].map((cell) => parseInt(cell.textContent));
    page.querySelector('#sites .select').click();
    const checks = {
        harmless: window.hit === undefined,
        filtered: shown.length === 1,
        sorted: header.ariaSort === 'ascending' && names.length > 9 && names[0] === 0,
        selected: input.value === '0.example' && page.activeElement === input,
        alone: window.performance.getEntriesByType('resource').length === 0,
        fits: page.documentElement.scrollWidth <= window.innerWidth,
    };
    for (const [name, holds] of Object.entries(checks)) if (!holds) console.error(name);
    return true;
})()"""
"""True once the page is there; what does not hold is an error of the page."""


@pytest.mark.skipif(find_browser() is None, reason="no Chromium is installed")
def test_a_browser_runs_the_page_and_nothing_of_its_urls(hostile: Run, tmp_path: Path) -> None:
    """As a file, and in a frame that is as wide as a phone, without a script or a style that is refused."""
    out, phone = tmp_path / "page.html", tmp_path / "phone.html"
    hostile.report(out)
    # Without its encoding a browser guesses one, and then the hash of the style is another.
    frame = f'<meta charset="utf-8"><iframe width="320" srcdoc="{escape(out.read_text("utf-8"))}"></iframe>'
    phone.write_text(frame, encoding="utf-8")
    for path in (out, phone):
        assert look(path.as_uri(), CHECKS, tmp_path / "page.png") == []
