"""Find the version that serves, which is what a candidate has to beat.

The gateway's route says it, because people can move or remove MLflow's alias `champion`. Where the two do not
agree, that is told, and the route counts. Where nothing is routed but the alias names a version, a candidate
is judged against that version rather than as a first model.
"""

from tasks.contracts import Champion, ChampionRequest, Route
from tasks.serving.gateway import Gateway
from tasks.stores import registry


def champion(request: ChampionRequest) -> Champion:
    """The model's champion now.

    Raises:
        ServingError: The gateway does not answer.
        RegistryError: The registry does not hold the version that serves.
    """
    found = find_champion(request.spec.name)
    if found.warning:
        print(found.warning, flush=True)
    return found


def find_champion(model: str) -> Champion:
    """The same for a model's name."""
    route, alias = Gateway().route(model), registry.aliased_version(model)
    if route is not None:
        version, warning = route.model_version, None if route.model_version == alias else _other(route, alias)
    elif alias is not None:
        version, warning = alias, _not_routed(model, alias)
    else:
        return Champion(model=model, version=None, serves=False)
    found = registry.get_version(model, version)
    return Champion(model=model, version=found, serves=route is not None, warning=warning)


def _not_routed(model: str, alias: str) -> str:
    return (
        f"MLflow's alias {registry.ALIAS!r} of {model} names version {alias}, but the gateway serves no "
        "version of it. Candidates are judged against that version. Remove the alias if the model is meant "
        "to begin anew."
    )


def _other(route: Route, alias: str | None) -> str:
    names = f"names version {alias}" if alias else "is not there"
    return (
        f"The gateway serves version {route.model_version} of {route.model}, but MLflow's alias "
        f"{registry.ALIAS!r} {names}: somebody changed it. What serves counts. Set the alias to version "
        f"{route.model_version}; to serve an earlier version, roll back."
    )
