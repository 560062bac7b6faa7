"""The site of the documents: whole, readable without a network, and the same as what the repository shows."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urldefrag

import lxml.html
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from handbook.hooks import as_page, linked, on_page_markdown
from tests.conftest import PROJECT
from tests.documents import PAGES, tokens

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
AXE = PROJECT / "tests" / "axe" / "axe.min.js"
CONFIGURATION = PROJECT / "handbook" / "mkdocs.yaml"
LOADS = "//script/@src | //link[not(@rel='canonical')]/@href | //img/@src | //iframe/@src"
OURS = "//article//a[not(contains(@class, 'headerlink') or contains(@href, '__codelineno'))]"
MARKS = {"fence": "pre", "code_inline": "code"}
COUNTED = ("h1", "h2", "h3", "li", "table", "th", "td", "pre", "code", "a", "img")


def build(site: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    return subprocess.run(
        [*command, "--config-file", str(CONFIGURATION), "--site-dir", str(site)],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = build(folder)
    assert built.returncode == 0, f"mkdocs --strict found what is wrong:\n{built.stdout}{built.stderr}"
    return folder


def read(file: Path) -> lxml.html.HtmlElement:
    return lxml.html.fromstring(file.read_bytes())


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def built_from(document: Path) -> str:
    return "index.html" if document.name == "README.md" else f"{document.stem}.html"


@pytest.mark.parametrize("document", PAGES, ids=lambda page: page.name)
def test_every_document_has_its_place_in_the_navigation(document: Path) -> None:
    navigation = CONFIGURATION.read_text(encoding="utf-8").partition("\nnav:\n")[2]
    named = re.findall(r": ([\w-]+\.md)$", navigation, re.MULTILINE)
    name = built_from(document).replace(".html", ".md")
    assert named.count(name) == 1, (
        f"Add `- A short title: {name}` once to `nav` in handbook/mkdocs.yaml, below the role that needs it."
    )


@pytest.mark.parametrize("document", PAGES, ids=lambda page: page.name)
def test_a_page_has_every_heading_list_table_block_and_link_of_its_document(
    site: Path, document: Path
) -> None:
    """Two readers of Markdown disagree of lists in lists, of blocks in lists and of what opens a block."""
    told: Counter[str] = Counter()
    for token in tokens(document):
        for each in (token, *(token.children or ())):
            if each.type in MARKS or each.nesting == 1 or each.type == "image":
                told[MARKS.get(each.type, each.tag)] += 1

    shown = read(site / built_from(document))

    found = {name: len(shown.xpath(f"//article//{name}")) for name in COUNTED}
    found["code"] = len(shown.xpath("//article//code[not(ancestor::pre)]"))
    found["a"] = len(shown.xpath(OURS + "[@href]"))
    assert found == {name: told[name] for name in COUNTED}


def test_no_link_of_the_site_leads_nowhere(site: Path) -> None:
    known = {page: {*read(page).xpath("//@id"), ""} for page in pages(site)}
    broken = []
    for page in known:
        for link in read(page).xpath("//a/@href"):
            path, anchor = urldefrag(unquote(link))
            if "://" in link or link.startswith(("mailto:", "javascript:")) or page.name == "404.html":
                continue
            target = (page.parent / path).resolve() if path else page
            ids = known.get(target)
            if not target.exists() or (ids is not None and anchor not in ids):
                broken.append((page.relative_to(site).as_posix(), link))
    assert broken == []


def test_nothing_of_the_site_comes_from_a_network(site: Path) -> None:
    loaded = {address for page in pages(site) for address in read(page).xpath(LOADS)}
    assert [address for address in loaded if "//" in address] == []
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert not [found for style in styles for found in re.findall(r"url\([\"']?(?:https?:)?//", style)]


def test_a_broken_link_ends_the_build(tmp_path: Path) -> None:
    """What the site is built from is copied, and a page of the copy leads to one that is not there."""
    for name in ("docs", "handbook", "README.md"):
        source = PROJECT / name
        shutil.copytree(source, tmp_path / name) if source.is_dir() else shutil.copy(source, tmp_path)
    page = tmp_path / "docs" / "why.md"
    page.write_text(page.read_text() + "\n[Nowhere](nowhere.md) and [no heading](why.md#no-such-heading).\n")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", "handbook/mkdocs.yaml"]

    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240)

    assert built.returncode == 1
    assert "nowhere.md" in built.stderr
    assert "no-such-heading" in built.stderr


class Page:
    """A page as mkdocs hands it to a hook: of it only where it lies is looked at."""

    def __init__(self, source: str) -> None:
        self.file = self
        self.src_uri = source


@pytest.mark.parametrize(
    ("source", "written", "shown"),
    [
        ("index.md", "[a](docs/why.md#how)", "[a](why.md#how)"),
        ("why.md", "[a](../README.md)", "[a](index.md)"),
        ("why.md", "[a](../tasks/step.py)", "[a](source/tasks/step.py.md)"),
        ("why.md", "[a](https://example.org/x.md)", "[a](https://example.org/x.md)"),
        ("why.md", "[a](#how)", "[a](#how)"),
        ("why.md", "   ```bash no-run: why", "   ```bash"),
        ("source/a.py.md", "[a](../x.md)", "[a](../x.md)"),
    ],
)
def test_links_lead_to_pages_of_the_site_and_labels_of_blocks_are_for_tests(
    source: str, written: str, shown: str
) -> None:
    assert on_page_markdown(written, Page(source), None, None) == shown  # type: ignore[arg-type]


def test_a_file_and_a_folder_of_the_project_become_pages() -> None:
    assert linked("[a](../tasks/step.py) [b](why.md) [c](../no/such.py)", "docs") == ["tasks/step.py"]
    assert '`````python\n"""' in as_page("tasks/step.py")
    assert "- `pipeline.yaml`" in as_page("models/review_sentiment")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
def test_a_reader_without_a_server_or_a_network_finds_a_page_by_the_search(
    site: Path, browser: Browser
) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    heard: list[str] = []
    page.on("request", lambda request: heard.append(request.url))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.goto((site / "index.html").as_uri())

    page.locator(".md-search__input").click()
    page.locator(".md-search__input").press_sequentially("quarantine of labels")
    first = page.locator(".md-search-result__link").first
    first.wait_for(timeout=60_000)
    first.click()
    page.wait_for_url("**/*.html*", timeout=60_000)

    assert page.locator("article h1").count() == 1
    assert not page.url.endswith("index.html")
    assert [each for each in heard if not each.startswith(("file:", "data:", "blob:", "about:"))] == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
def test_who_is_called_at_night_finds_first_what_to_do(site: Path, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.goto((site / "index.html").as_uri())
    page.locator(".md-search__input").click()
    page.locator(".md-search__input").press_sequentially("roll back")
    found = page.locator(".md-search-result__link").first
    expect(found).to_have_attribute("href", re.compile(r"/operate\.html"), timeout=60_000)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_in_a_page(site: Path, browser: Browser, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme, viewport={"width": 1200, "height": 800})  # type: ignore[arg-type]
    for name in ("index.html", "reference-spec.html", "decisions.html"):
        page.goto((site / name).as_uri())
        page.evaluate(AXE.read_text(encoding="utf-8"))
        faults = page.evaluate("axe.run().then((result) => result.violations)")
        serious = [each for each in faults if each["impact"] in {"serious", "critical"}]
        assert [(each["id"], [node["html"] for node in each["nodes"]][:5]) for each in serious] == [], name


def test_nothing_beside_the_project_and_nothing_of_this_machine_comes_into_the_site() -> None:
    folders = (".env", ".git", ".perennial", f"../{PROJECT.name}", "..")
    assert linked(" ".join(f"[a](../{place})" for place in folders), "docs") == []


def test_what_is_no_text_and_what_has_fences_of_its_own_become_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handbook.hooks.PROJECT", tmp_path)
    (tmp_path / "loop.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    (tmp_path / "a.md").write_text("``````\ncode\n``````\n")

    assert as_page("loop.png").endswith("This file is no text.\n")
    assert as_page("a.md").endswith("```````text\n``````\ncode\n``````\n```````\n")
