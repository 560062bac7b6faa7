"""Read a page as a browser does, as far as it matters here."""

from html.parser import HTMLParser

ALONE = {"meta", "br"}
LOADING = {"src", "srcset", "data", "action", "poster", "background", "style", "xlink:href"}
LOADERS = {
    "script",
    "img",
    "image",
    "link",
    "iframe",
    "object",
    "embed",
    "use",
    "form",
    "base",
    "audio",
    "video",
}


class Reader(HTMLParser):
    """Gathers the elements of a page, and its text; fails where one is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, name: str) -> list[str]:
        return [str(value) for own, value in self.attributes if own == name]
