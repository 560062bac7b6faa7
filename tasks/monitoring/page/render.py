"""Draw a page as one HTML file that loads nothing and runs nothing."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from tasks.monitoring.page.contents import Page
from tasks.monitoring.page.lines import Chart
from tasks.monitoring.page.words import number, percent, short

TEMPLATES = Environment(
    loader=PackageLoader("tasks.monitoring.page"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

SENTENCE = 1200
"""A sentence may name a value of the data, which may be as long as it likes."""


def render(page: Page) -> str:
    """The page. Whatever it shows of data and names is text there, never markup."""
    return TEMPLATES.get_template("page.html").render(
        page=page, amount=_amount, legend_of=_legend_of, short=_sentence
    )


def render_failed(page: Page, why: str) -> str:
    """What stands where a page could not be drawn: the verdict, and why there is no more."""
    return TEMPLATES.get_template("failed.html").render(page=page, why=why, short=_sentence)


def _amount(value: float | None, unit: str) -> str:
    """A value in its unit."""
    if value is None:
        return ""
    if unit.startswith("share"):
        return percent(value)
    if unit.startswith("standard deviations"):
        return f"{value:.2f} SD"
    return f"{number(value)} {unit}".strip()


def _legend_of(chart: Chart) -> list[tuple[str, str]]:
    """Each name of a limit once, with its values."""
    found: dict[str, list[str]] = {}
    for _, name, value in chart.limits:
        found.setdefault(name, []).append(value)
    return [(name, " and ".join(values)) for name, values in found.items()]


def _sentence(text: str) -> str:
    return short(text, SENTENCE)
