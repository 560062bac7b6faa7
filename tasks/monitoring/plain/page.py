"""The verdict on a file as one HTML file that loads nothing."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from tasks.contracts import FileVerdict

TEMPLATES = Environment(
    loader=PackageLoader("tasks.monitoring.plain"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
SAID = {"fine": "Fine", "drift": "Drift", "rejected": "Rejected", "cannot_tell": "Cannot tell"}


def page(found: FileVerdict) -> str:
    """The page. Whatever is shown of data and of names is text there, never markup."""
    return TEMPLATES.get_template("verdict.html").render(found=found, said=SAID[found.verdict])
