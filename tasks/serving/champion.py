"""Find the version that serves, which is what a candidate has to beat.

The gateway's route says it, because people can move or remove MLflow's alias `champion`. Where the two do not
agree, that is told, and the route counts. Where nothing is routed but the alias names a version, a candidate
is judged against that version rather than as a first model.
"""

from tasks.contracts import Champion, ModelVersion, Route
from tasks.errors import DeletedInMlflow
from tasks.serving.gateway import Gateway
from tasks.stores import registry


def tell_champion(model: str) -> Champion:
    """The model's champion now; where the gateway and MLflow's alias do not agree, that is printed.

    Raises:
        ServingError: The gateway does not answer.
        DeletedInMlflow: The registry does not hold the version that serves any more.
    """
    found = find_champion(model)
    if found.warning:
        print(found.warning, flush=True)
    return found


def find_champion(model: str) -> Champion:
    """The same, with the warning in it alone."""
    route = Gateway().route(model)
    if route is not None:
        return _of_route(route)
    alias = registry.aliased_version(model)
    if alias is not None:
        found = registry.get_version(model, alias)
        return Champion(model=model, version=found, serves=False, warning=alias_without_route(model, alias))
    return Champion(model=model, version=None, serves=False)


def tell_alias(route: Route) -> None:
    """Print where MLflow's alias does not name what a route leads to.

    Raises:
        DeletedInMlflow: The registry does not hold that version any more.
    """
    if warning := _of_route(route).warning:
        print(warning, flush=True)


def _of_route(route: Route) -> Champion:
    found, alias = _require_version(route), registry.aliased_version(route.model)
    warning = None if found.version == alias else disagreement(route.model, found.version, alias)
    return Champion(model=route.model, version=found, serves=True, warning=warning)


def serves(model: str, run_id: str) -> bool:
    """Whether the version that serves came from this run, in MLflow's registry or not."""
    route = Gateway().route(model)
    return route is not None and route.run_id == run_id


def deleted_version(serving: Route) -> DeletedInMlflow:
    """What to say where MLflow's registry has lost the version that serves, and how to get it back."""
    return DeletedInMlflow(
        f"Version {serving.model_version} of {serving.model} serves, but MLflow's registry does not hold it "
        "any more: the registered model or that version was deleted, so no candidate can be judged against "
        f"it. Clear the task `register` with what follows in the run of train_{serving.model} that made the "
        f"version (its MLflow run is {serving.run_id}): it is registered again. Or bring back a backup of "
        "MLflow's database.",
        model_version=serving.model_version,
        run_id=serving.run_id,
    )


def _require_version(route: Route) -> ModelVersion:
    """The version that serves, by its run: registered again after it was deleted, it has another number."""
    found = registry.find_version(route.model, route.run_id)
    if found is None:
        raise deleted_version(route)
    return found


def alias_without_route(model: str, alias: str) -> str:
    """What to say where the alias names a version but none serves."""
    return (
        f"MLflow's alias {registry.ALIAS!r} of {model} names version {alias}, but the gateway serves no "
        "version of it. Candidates are judged against that version. Remove the alias if the model is meant "
        "to begin anew."
    )


def disagreement(model: str, serving: str, alias: str | None) -> str:
    """What to say where the alias names another version than the one that serves."""
    names = f"names version {alias}" if alias else "is not there"
    return (
        f"The gateway serves version {serving} of {model}, but MLflow's alias "
        f"{registry.ALIAS!r} {names}: somebody changed it. What serves counts. Within a minute the DAG "
        "reconcile_ledger releases that version, where the gate promoted it, or sets the alias back."
    )
