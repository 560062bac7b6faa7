"""Look at what is there of each model, beside what the ledger says of it: two requests a model.

Nothing is imported here that a look each minute could not afford.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from tasks.contracts import Action, Mismatch, SeenModel
from tasks.errors import ServingError
from tasks.ledger import entries
from tasks.release.in_environment import told_of
from tasks.release.passages import newest_change, unsettled
from tasks.release.states import SWITCHES, mismatch
from tasks.release.switch import last_change
from tasks.serving.environments import addresses, gateway_of
from tasks.serving.gateway import Gateway
from tasks.stores import registry

CHANGES = (*SWITCHES, Action.CHAMPION, Action.RELEASE, Action.AB)
TOLD = (*CHANGES, Action.DONE, Action.RECONCILE)
MOVED_BY = "perennial.champion_moved_by"
"""The tag in which the platform's MLflow notes who moved a model's alias (containers/ml/mlflow_access.py)."""

Registered = Mapping[str, Any]


def mismatches(registered: Iterable[Registered]) -> list[Mismatch]:
    """The first mismatch of each model that has one, and of each of its environments before production.

    Args:
        registered: MLflow's registered models, as `mlflow_rest.registered_models` gives them.
    """
    by_name, quick = {str(each["name"]): each for each in registered}, Gateway(retries=1)
    models = known_models(by_name.values())
    found = (mismatch(see(model, by_name.get(model, {}), quick)) for model in models)
    elsewhere = (each for model in models for each in differences_of(model, _aliases(by_name.get(model, {}))))
    return [*(each for each in found if each is not None), *elsewhere]


def differences_of(model: str, aliases: dict[str, str]) -> Iterator[Mismatch]:
    """Where an environment of the model does not agree with the ledger. One whose gateway does not answer is
    left out: the steps that need it say so, and production waits for none.
    """
    told = told_of(model) if addresses() else []
    for name in addresses():
        entry = newest_change(told, name)
        if entry is None:
            continue
        try:
            route = gateway_of(name, retries=1).route(model)
        except ServingError:
            continue
        if why := unsettled(told, name, route, aliases.get(name)):
            yield Mismatch(model=model, kind="environment", entry=entry, why=why)


def known_models(registered: Iterable[Registered]) -> list[str]:
    """Every model that MLflow or the ledger knows."""
    return sorted({*(str(each["name"]) for each in registered), *entries.models(CHANGES)})


def see(model: str, registered: Registered, gateway: Gateway | None = None) -> SeenModel:
    """One model.

    Raises:
        ServingError: The gateway does not answer.
    """
    gateway = gateway or Gateway()
    alias = _aliases(registered).get(registry.ALIAS)
    return SeenModel(
        model=model,
        route=gateway.route(model),
        last_change=last_change(gateway, model),
        alias=alias,
        moved_by=_moved_by(registered, alias),
        entries=tuple(entries.history(model, TOLD)),
        split=gateway.split(model),
        at=datetime.now(UTC),
    )


def _aliases(registered: Registered) -> dict[str, str]:
    return {each["alias"]: str(each["version"]) for each in registered.get("aliases", [])}


def _moved_by(registered: Registered, alias: str | None) -> str | None:
    """Who moved the alias to where it is; None where MLflow does not know."""
    tags = {each["key"]: each["value"] for each in registered.get("tags", [])}
    try:
        told = json.loads(tags.get(MOVED_BY, "{}"))
        return str(told["user"]) if told["version"] == alias else None
    except (ValueError, KeyError, TypeError):
        return None
