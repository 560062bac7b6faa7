"""Find the version that serves, which is what a candidate has to beat.

The gateway's route says it, because people can move or remove MLflow's alias `champion`. Where the two do not
agree, that is told, and the route counts. Where nothing is routed but the alias names a version, a candidate
is judged against that version rather than as a first model.
"""

from tasks.contracts import Champion, ChampionRequest, ModelVersion, Route
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
    route, alias = Gateway().route(model), registry.champion(model)
    if route is None:
        return Champion(model=model, version=alias, serves=False, warning=_not_routed(model, alias))
    version = alias if _is(alias, route) else registry.get_version(model, route.model_version)
    return Champion(model=model, version=version, serves=True, warning=_other_alias(route, alias))


def _is(version: ModelVersion | None, route: Route) -> bool:
    return version is not None and version.version == route.model_version


def _not_routed(model: str, alias: ModelVersion | None) -> str | None:
    if alias is None:
        return None
    return (
        f"MLflow's alias {registry.ALIAS!r} of {model} names version {alias.version}, but the gateway serves "
        "no "
        "version of it. Candidates are judged against that version. Start a training, or remove the alias if "
        "the model is meant to begin anew."
    )


def _other_alias(route: Route, alias: ModelVersion | None) -> str | None:
    if _is(alias, route):
        return None
    names = f"names version {alias.version}" if alias else "is not there"
    return (
        f"The gateway serves version {route.model_version} of {route.model}, but MLflow's alias "
        f"{registry.ALIAS!r} {names}: somebody changed it. What serves counts. Set the alias to version "
        f"{route.model_version}; to serve an earlier version, roll back."
    )
