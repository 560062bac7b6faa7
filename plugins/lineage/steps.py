"""Which function tells the lineage of a verb.

Each takes where things are, the request and the result, None where the step failed, and then it tells only
what was to be read. Nothing is looked up, so the lineage can be told again from the files of a step.
"""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from plugins.lineage import data, release, training
from plugins.lineage.facets import StepLineage
from plugins.lineage.places import Places
from tasks.contracts import Contract, Request
from tasks.verbs import VERBS

VERBS_WITH_DATA: dict[str, Callable[[Places, Any, Any], StepLineage]] = {
    "ingest": data.ingest,
    "count": data.count,
    "check_labels": data.check_labels,
    "snapshot": data.snapshot,
    "validate": data.validate,
    "train": training.train,
    "package": training.package,
    "evaluate": training.evaluate,
    "gate": training.gate,
    "register": release.register,
    "deploy": release.deploy,
    "rollback": release.rollback,
    "reconcile": release.reconcile,
    "reproduce": release.reproduce,
    "collect": data.collect,
    "drift": data.drift,
    "recall": data.recall,
}


def lineage_of(verb: str, request: Request, outcome: dict[str, Any], places: Places) -> StepLineage:
    """What a step of this verb read and wrote; nothing for verbs that only look or decide.

    Args:
        request: The verb's request.
        outcome: The verb's result as JSON, or the evidence of its failure.
    """
    told = VERBS_WITH_DATA.get(verb)
    return told(places, request, _result(verb, outcome)) if told else StepLineage()


def _result(verb: str, outcome: dict[str, Any]) -> Contract | None:
    """The result; also that of a validation which failed the step, whose evidence is its report."""
    try:
        return VERBS[verb].result.model_validate(outcome.get("report", outcome))
    except ValidationError:
        return None
