"""What mkdocs does beside its own: it makes a site of documents that are read in the repository.

The home page is README.md. A file of the project outside docs/ to which a page links becomes a page with its
text, so that no link leads out of the site and all of it can be read without a network. Of a folder it names
what lies there. What stands behind the language of a block (`bash no-run: ...`) is for the tests.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

PROJECT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\((?P<path>[^)#\s:]+)(?P<anchor>#[^)\s]*)?\)")
LABEL = re.compile(r"^(?P<fence> *```\w+) .*$", re.MULTILINE)
TICKS = re.compile(r"`+")
SEARCH = 'data-md-component="search" aria-label="Search"'
OF_THIS_MACHINE = {"..", ".env", ".git", ".perennial"}
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".json": "json", ".sh": "bash", "": "yaml"}


FOUND_FIRST = {"operate.md": 2}
"""How much more a page counts in the search: at night people look for what to do, not for how it works."""


def on_files(files: Files, config: Any) -> Files:
    """Add the home page, and a page for each file outside docs/ that a page links to."""
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    pages = {file.src_uri: file.content_string for file in files.documentation_pages()}
    outside = {path for text in pages.values() for path in linked(text, "docs")} | set(linked(readme, ""))
    files.append(File.generated(config, "index.md", content=readme))
    for path in sorted(outside):
        files.append(File.generated(config, source_page(path), content=as_page(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001 - mkdocs names them
    """Lead the links of a page to pages of the site, and leave its blocks their language alone."""
    source = page.file.src_uri
    if source.startswith("source/"):
        return markdown
    if source in FOUND_FIRST:
        page.meta["search"] = {"boost": FOUND_FIRST[source]}
    folder = "" if source == "index.md" else "docs"
    return LABEL.sub(r"\g<fence>", LINK.sub(lambda link: _led(link, folder), markdown))


def on_post_page(output: str, page: Any, config: Any) -> str:  # noqa: ARG001 - mkdocs names them
    """Give the theme's search the name that a screen reader says."""
    return output.replace('data-md-component="search" role="dialog"', f'{SEARCH} role="dialog"')


def linked(text: str, folder: str) -> list[str]:
    """What a document in `folder` links to outside docs/, by its place in the project; nothing beside it, nor
    what may hold this machine's secrets, is ever copied into the site.
    """
    places = [posixpath.normpath(posixpath.join(folder, link["path"])) for link in LINK.finditer(text)]
    return [
        place
        for place in places
        if not (is_document(place) or place.split("/")[0] in OF_THIS_MACHINE) and (PROJECT / place).exists()
    ]


def is_document(place: str) -> bool:
    """Whether it is in the site as it is."""
    return place.startswith("docs/") or place == "README.md"


def source_page(place: str) -> str:
    """The page that shows a file or a folder of the project."""
    shown = "/".join(
        part.lstrip(".") for part in place.split("/")
    )  # mkdocs leaves out what begins with a dot
    return f"source/{shown}.md"


def as_page(place: str) -> str:
    """A file's text, or what lies in a folder. The search leaves it out: it is for the documents.

    Of a file that is no text, such as a picture, the page says so.
    """
    path = PROJECT / place
    head = f"---\nsearch: {{exclude: true}}\n---\n\n# {place}\n\n"
    if path.is_dir():
        names = sorted(each.name for each in path.iterdir() if not each.name.startswith((".", "__")))
        return head + "\n".join(f"- `{name}`" for name in names) + "\n"
    try:
        text = path.read_text(encoding="utf-8").rstrip("\n")
    except UnicodeDecodeError:
        return f"{head}This file is no text.\n"
    fence = "`" * max(5, 1 + max(map(len, TICKS.findall(text)), default=0))  # longer than any that it has
    return f"{head}{fence}{LANGUAGES.get(path.suffix, 'text')}\n{text}\n{fence}\n"


def _led(link: re.Match[str], folder: str) -> str:
    place = posixpath.normpath(posixpath.join(folder, link["path"]))
    if place == "README.md":
        target = "index.md"
    elif place.startswith("docs/"):
        target = place.removeprefix("docs/")
    else:
        target = source_page(place)
    return f"]({target}{link['anchor'] or ''})"
