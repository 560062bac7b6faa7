"""Tell what serves of a model, since when and why, and what is wrong with that.

For looks that must be quick: MLflow is asked over its REST API, for its own client takes seconds to import.
"""

from collections.abc import Callable, Iterable, Iterator

from tasks.contracts import Action, LedgerEntry, Route, Serving, Stage, StageDecision, Standing
from tasks.errors import PerennialError, ServingError
from tasks.ledger import entries
from tasks.ledger.at_the_door import undecided
from tasks.ledger.incidents import unanswered
from tasks.ledger.precedent import SWITCHES
from tasks.monitoring.door.look import MANY_ROWS
from tasks.percent import percent
from tasks.release.ab_under_way import comparison_under_way
from tasks.release.passages import standing_in
from tasks.release.sleeper import sleeper_of, wakes_late
from tasks.release.stages import longest_seconds
from tasks.release.under_way import under_way
from tasks.serving.champion import alias_without_route, deleted_version, disagreement
from tasks.serving.gateway import Gateway
from tasks.stores import mlflow_rest
from tasks.stores.registry import ALIAS

UNLIKELY = 4
"""Standard deviations from the wanted share: a draw of each request comes so far once in 16,000 looks."""

Histories = Callable[[str], Iterable[LedgerEntry]]


def everything_served() -> dict[str, Serving]:
    """The version of each model that the gateway sends requests to.

    Raises:
        ServingError: The gateway does not answer.
    """
    gateway = Gateway(retries=1)
    routes = (gateway.route(model) for model in gateway.names())
    return {route.model: _serving(route, gateway) for route in routes if route}


def standing(model: str, gateway: Gateway | None = None) -> Standing:
    """What serves of a model on this platform. What cannot be seen is one of its faults.

    Raises:
        ServingError: The gateway does not answer, so that nobody can say what serves.
    """
    gateway = gateway or Gateway(retries=1)
    route = gateway.route(model)
    serving = _serving(route, gateway) if route else None
    faults = [*_answers(gateway, route), *_registry_agrees(model, route)]
    found = explain(model, serving, entries.history, faults)
    seen = _so_far(entries.history(model, {Action.RELEASE, *SWITCHES}), gateway)
    return found.model_copy(update={"release": f"{found.release} {seen}"}) if seen else found


def _so_far(told: list[LedgerEntry], gateway: Gateway) -> str | None:
    """What the stage that is watched now has shown so far, and how long it may last; None where none is."""
    going = under_way(told)
    entry = next((each for each in reversed(told) if each.action == Action.RELEASE), None)
    if going is None or entry is None or entry.after != "stage":
        return None
    from tasks.release.judge_stage import see_stage
    from tasks.settings import settings
    from tasks.spec import PipelineSpec

    try:
        spec = PipelineSpec.load(settings().models / entry.model / "pipeline.yaml")
        stage = Stage.model_validate(entry.evidence["stage"])
        return so_far(stage, see_stage(stage, spec, gateway), longest_seconds(spec.release, stage.kind))
    except PerennialError as error:
        return f"What it has shown so far cannot be seen: {error}"


def so_far(stage: Stage, decision: StageDecision, longest: float) -> str:
    """What was counted of both versions in a stage, and what is still open."""
    seen = decision.look
    both = ((stage.candidate, seen.candidate), (stage.stable, seen.stable))
    asked = ", ".join(
        f"version {route.model_version} was asked {counted.requests} times and failed {counted.failed} times"
        for route, counted in both
    )
    head = f"So far, in {seen.seconds:.0f} of at most {longest:g} s: {asked}."
    share = _share_so_far(stage, seen.candidate.requests, seen.stable.requests)
    return " ".join(part for part in (head, share, decision.why) if part)


def _share_so_far(stage: Stage, candidate: int, stable: int) -> str:
    """Which share the candidate had in truth; where callers are drawn and not requests, also that theirs are
    too few or too unlike for the share that was wanted: the draw of requests would not come so far from it.
    """
    count, wanted = candidate + stable, stage.share
    if not (0 < wanted < 1 and count):
        return ""
    seen = candidate / count
    told = f"That is {percent(round(seen, 2))} of the requests, where {percent(wanted)} are wanted."
    if not stage.sticky_by or abs(seen - wanted) <= UNLIKELY * (wanted * (1 - wanted) / count) ** 0.5:
        return told
    return (
        f"{told} release.sticky_by is {stage.sticky_by!r}, which draws callers and not requests, and few of "
        "them send most of these: choose a finer key, such as header:NAME with a user's id, or leave it out."
    )


def explain(
    model: str, serving: Serving | None, history_of: Histories, faults: Iterable[str] = ()
) -> Standing:
    """Find in the ledger why this version serves, and what waits for a person.

    Args:
        history_of: Gives the entries about a model or a table, oldest first.
        faults: What is known to be wrong already.
    """
    told = list(history_of(model))
    decided = None if serving is None else _decided(serving, told)
    unfounded = () if serving is None or decided else (_unfounded(model, serving),)
    return Standing(
        model=model,
        serving=serving,
        why=_told_why(decided) if decided else None,
        by=decided.actor if decided else None,
        entry=decided.sequence if decided else None,
        release=_release(told),
        environments=tuple(standing_in(told)),
        faults=(
            *faults,
            *unfounded,
            *_label_incident(told),
            *_quarantined(told, history_of),
            *(said for said, rows in _held_at_the_door(told) if rows >= MANY_ROWS),
            *_incident(told),
        ),
        notes=tuple(said for said, rows in _held_at_the_door(told) if rows < MANY_ROWS),
    )


def _told_why(decided: LedgerEntry) -> str:
    """Why a version serves; of a rollback that it is one, and from which version."""
    if decided.action != Action.ROLLBACK:
        return decided.why
    left = f"from version {decided.before}" if decided.before else "from what served"
    return f"Rolled back {left}: {decided.why}"


def _release(history: list[LedgerEntry]) -> str | None:
    """Where a release of the model is, and what was said of it last."""
    found = under_way(history)
    if found is None:
        return _compared(history)
    where = f"stage {found.stage}, {percent(found.share)}"
    return f"Version {found.version} is being released ({where}). {found.says}"


def _compared(history: list[LedgerEntry]) -> str | None:
    found = comparison_under_way(history)
    if found is None:
        return None
    version, share = found.candidate.model_version, found.share
    return (
        f"Version {version} is compared with what serves (A/B): it answers {percent(share)} of the requests."
    )


def _decided(serving: Serving, history: list[LedgerEntry]) -> LedgerEntry | None:
    """The newest switch, where it is to this archive."""
    newest = next((each for each in reversed(history) if each.action in SWITCHES), None)
    route = newest.evidence.get("route") if newest else None
    return newest if route and route["archive_sha256"] == serving.archive_sha256 else None


def _unfounded(model: str, serving: Serving) -> str:
    return (
        f"Version {serving.model_version} of {model} serves, but the newest change of route in the ledger is "
        "not to it: the gateway's routes were changed past the ledger, or the ledger is another platform's."
    )


def _label_incident(history: list[LedgerEntry]) -> Iterator[str]:
    """The label incident that waits for a person's answer."""
    newest = history[::-1]
    found = unanswered(
        (each for each in newest if each.action == Action.LABEL_INCIDENT),
        (each for each in newest if each.action == Action.GATE),
    )
    if found is not None:
        yield (
            f"The gate found a label incident of {found.model} (entry {found.sequence} of the ledger), so "
            "nothing of it is promoted and no retrain is granted. Look at the new labels and say whether "
            f'they are wrong or the world has changed: perennial answer {found.model} poison --why "...", or '
            f"the_world in place of poison. The gate: {found.why}"
        )


def _quarantined(history: list[LedgerEntry], history_of: Histories) -> Iterator[str]:
    """The batches whose labels nobody has decided on since they were quarantined, nor recalled the batch."""
    newest = {each.before: each for each in history if each.action == Action.BATCH}
    waiting = [each for each in newest.values() if each.after == "quarantined"]
    tables = {name for each in waiting for name in _tables_of(each)}
    recalled = {
        (table, each.before) for table in tables for each in history_of(table) if each.action == Action.RECALL
    }
    for each in waiting:
        if not any((table, each.before) in recalled for table in _tables_of(each)):
            yield (
                f"Nobody has decided on a quarantined batch of {each.model} (entry {each.sequence} of the "
                f'ledger): perennial decide {each.model} {each.before} release --why "...", or confirm in '
                f"place of release. {each.why}"
            )


def _held_at_the_door(history: list[LedgerEntry]) -> Iterator[tuple[str, int]]:
    """The senders of whom labelled requests are held that nobody has decided on, and how many are."""
    for each in undecided(history):
        rest = ", ".join(f"{count} for {reason}" for reason, count in each.by_reason)
        said = (
            f"Nobody has decided on labelled requests of {each.model} that are kept out of training "
            f"(entry {each.entry} of the ledger): {each.command}, or confirm in place of release; with "
            f"--reason only those for one reason. {f'Held still: {rest}. ' if rest else ''}{each.why}"
        )
        yield said, MANY_ROWS if each.rows is None else each.rows


def _incident(history: list[LedgerEntry]) -> Iterator[str]:
    """What the newest look at the traffic found wrong with its data."""
    newest = next((each for each in reversed(history) if each.action == Action.DRIFT), None)
    if newest is not None and newest.after == "incident":
        yield f"The drift check found an incident in the traffic of {newest.model}. {newest.why}"
    if newest is not None and newest.after == "stopped":
        yield f"{newest.model} has drifted, and nothing retrains it. {newest.why}"


def _serving(route: Route, gateway: Gateway) -> Serving:
    return Serving(
        model_version=route.model_version,
        run_id=route.run_id,
        archive_sha256=route.archive_sha256,
        since=gateway.history(route.model)[-1].at,
    )


def _answers(gateway: Gateway, route: Route | None) -> Iterator[str]:
    """Whether it answers its own example through the gateway, which leaves no trace in the log; one that
    sleeps is left asleep.
    """
    if route is None:
        return
    loaded = sleeper_of(route)
    if loaded is not None:
        yield from wakes_late(route, loaded)
        if loaded.asleep:
            return
    try:
        gateway.probe(route.model, route.input_example)
    except ServingError as error:
        yield f"Version {route.model_version} of {route.model} does not answer: {error}"


def _registry_agrees(model: str, route: Route | None) -> Iterator[str]:
    try:
        alias = mlflow_rest.aliased_version(model, ALIAS)
        registered = mlflow_rest.registered_version(model, route.run_id) if route else None
    except PerennialError as error:
        yield str(error)
        return
    if route is None:
        if alias is not None:
            yield alias_without_route(model, alias)
    elif registered is None:
        yield str(deleted_version(route))
    elif registered != alias:
        yield disagreement(model, registered, alias)


def _tables_of(entry: LedgerEntry) -> list[str]:
    """The tables that the check of a batch read."""
    return [each["table"] for each in entry.evidence.get("tables", ())]
