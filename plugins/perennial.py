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
    def external_views(self) -> list[dict[str, Any]]:
        """The Models pages in Airflow's navigation, and as a tab of every DAG."""
        from plugins.pages.links import models_page

        nav = {"name": "Models", "destination": "nav", "url_route": "models", "nav_top_level": True}
        tab = {"name": "Model", "destination": "dag", "url_route": "model"}
        return [nav | {"href": models_page()}, tab | {"href": models_page("-/of-dag/{DAG_ID}")}]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """Made when it is asked for, which only the API server does: the others need not import its world."""
        from plugins.pages import ledger, models, reports

        # The first whose prefix fits answers.
        return [
            {"app": models.app, "url_prefix": "/perennial/models", "name": "Perennial's models"},
            {"app": ledger.app, "url_prefix": "/perennial/ledger", "name": "Perennial's ledger"},
            {"app": reports.app, "url_prefix": "/perennial", "name": "Perennial's reports"},
        ]
