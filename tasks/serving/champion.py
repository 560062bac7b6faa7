"""Find the version that serves, which is what a candidate has to beat.

The gateway's route says it, because people can move or remove MLflow's alias `champion`. Where the two do not
agree, that is told, and the route counts. Where nothing is routed but the alias names a version, a candidate
is judged against that version rather than as a first model.
"""

from tasks.contracts import Champion, ChampionRequest, ModelVersion, Route
from tasks.errors import DeletedInMlflow
from tasks.serving.gateway import Gateway
from tasks.stores import registry


def champion(request: ChampionRequest) -> Champion:
    """The model's champion now, and its root where the gate's policy asks for it.

    Raises:
        ServingError: The gateway does not answer.
        DeletedInMlflow: The registry does not hold the version that serves any more, or the root.
    """
    found = tell_champion(request.spec.name)
    if found.version is None or request.spec.gate.policy != "non_inferiority":
        return found
    return found.model_copy(update={"root": _root_of(found.version)})


def tell_champion(model: str) -> Champion:
    """The same for a model's name; where the gateway and MLflow's alias do not agree, that is printed."""
    found = find_champion(model)
    if found.warning:
        print(found.warning, flush=True)
    return found


def find_champion(model: str) -> Champion:
    """The same, with the warning in it alone."""
    route, alias = Gateway().route(model), registry.aliased_version(model)
    if route is not None:
        found = _require_version(route)
        warning = None if found.version == alias else disagreement(model, found.version, alias)
        return Champion(model=model, version=found, serves=True, warning=warning)
    if alias is not None:
        found = registry.get_version(model, alias)
        return Champion(model=model, version=found, serves=False, warning=alias_without_route(model, alias))
    return Champion(model=model, version=None, serves=False)


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


def _root_of(champion: ModelVersion) -> ModelVersion | None:
    """The version that was shown to be better last; None where it is the champion itself.

    What the registry says of it, the gate holds against the ledger.
    """
    run_id = champion.tags.get(registry.ROOT, champion.run_id)
    if run_id == champion.run_id:
        return None
    found = registry.find_version(champion.model, run_id)
    if found is None:
        raise DeletedInMlflow(
            f"Version {champion.version} of {champion.model} serves, and candidates may not be worse than "
            f"the version of the MLflow run {run_id} by more than gate.margin, but MLflow's registry does "
            "not hold that version any more. Bring back a backup of MLflow's database, or set gate.policy to "
            "superiority until a candidate is better than what serves.",
            run_id=run_id,
        )
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
        f"{registry.ALIAS!r} {names}: somebody changed it. What serves counts. Set the alias to version "
        f"{serving}; to serve an earlier version, roll back."
    )
