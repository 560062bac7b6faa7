"""`perennial open`: where the pages are, and how to log in."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from cli import show
from cli.app import AsJson, app, place_of

if TYPE_CHECKING:
    from cli.place import Place

COLUMNS = ("PAGE", "ADDRESS", "USER", "PASSWORD")


@app.command("open")
def open_(
    context: typer.Context,
    *,
    secrets: Annotated[bool, typer.Option("--secrets", help="Show passwords and tokens too.")] = False,
    json: AsJson = False,
) -> None:
    """Say where Airflow, MLflow and the models are, and how to log in."""
    place = place_of(context)
    place.require_running()
    pages = [
        {"page": page, "address": address, "user": user, "password": secret if secrets else None}
        for page, address, user, secret in _pages(place)
    ]
    if json:
        show.as_json({"platform": place.name, "pages": pages})
        return
    show.table(COLUMNS, [list(page.values()) for page in pages], nothing="")
    if not secrets:
        show.tell("perennial open --secrets shows the passwords.")


def _pages(place: "Place") -> list[tuple[str, str, str, str]]:
    login, public = place.settings, place.settings.public_url.rstrip("/")
    password = login.airflow_password.get_secret_value()
    behind = "v1/models" if public or place.is_remote else ""  # a proxy has Airflow's pages at its root
    airflow = f"{public or place.airflow_url}/"
    login_there = (login.airflow_user if password else "", password or login.token.get_secret_value())
    return [
        ("Airflow", airflow, *login_there),
        ("Models", f"{airflow}perennial/models/", *login_there),
        (
            "MLflow",
            place.mlflow_url,
            os.environ.get("MLFLOW_TRACKING_USERNAME", ""),
            os.environ.get("MLFLOW_TRACKING_PASSWORD", ""),
        ),
        ("models", f"{place.gateway_url}/{behind}", "", login.prediction_token.get_secret_value()),
    ]
