"""What Airflow loads: the plugin."""

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from plugins import listener
from plugins.pages.links import LINKS


class Perennial(AirflowPlugin):
    """The links of our operators, the pages that they lead to, and what hears of the end of a run."""

    name = "perennial"
    listeners = [listener]  # noqa: RUF012 - Airflow reads plain class attributes
    operator_extra_links = list({link.name: link for links in LINKS.values() for link in links}.values())  # noqa: RUF012

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """Made when it is asked for, which only the API server does: the others need not import its world."""
        from plugins.pages import ledger, reports

        # The first whose prefix fits answers.
        return [
            {"app": ledger.app, "url_prefix": "/perennial/ledger", "name": "Perennial's ledger"},
            {"app": reports.app, "url_prefix": "/perennial", "name": "Perennial's reports"},
        ]
