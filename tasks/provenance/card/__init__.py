"""The model card of a version: what it is for, what it can do, where it came from, and what it took.

`content` makes a card of the records (pure), `page` and `markdown` lay it out (pure), `explain` asks the
archive, `gather` reads the records, and `kept` is where the card lies.
"""

from tasks.provenance.card.markdown import description_of, markdown_of
from tasks.provenance.card.page import CONTENT_POLICY, html_of

__all__ = ["CONTENT_POLICY", "description_of", "html_of", "markdown_of"]
