"""The buttons of the pages: each starts a DAG, or answers a question, through Airflow's own REST API.

The browser asks it, as the person who is logged in: these pages have no right of their own to lend, and
nothing of ours writes. Who may not is told so by Airflow; that the button is dead before is a courtesy.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import get_args
from urllib.parse import quote

from plugins.pages.form import A_NUMBER, DECISIONS, REASON, WHY, Button, Field
from plugins.pages.of_airflow import Dag, Question
from tasks.contracts import AlertReason
from tasks.contracts.alerts import LONGEST_SILENCE_DAYS
from tasks.ledger.at_the_door import HeldOfSender
from tasks.overview.batches import Joined
from tasks.overview.look import Detail
from tasks.spec import PRODUCTION
from tasks.spec.release import ENVIRONMENT

May = Callable[[str], bool]


def buttons_of(
    model: str, seen: Detail, known: Mapping[str, Dag], may: May, batches: Sequence[Joined] = ()
) -> list[Button]:
    """What can be done about a model, in the order of how often it is.

    Args:
        may: Whether the person may start a run of a DAG.
        batches: Those of its tables, to choose from, newest first.
    """
    found = [
        _train(model),
        _check(model),
        _release(model, seen),
        _roll_back(model, seen),
        _silence(model, seen),
        _recall(batches),
        *(_decide(model, batch) for batch in seen.quarantined[:5]),
        *(_decide_sender(model, held) for held in seen.held[:5]),
        *_for_troubles(model, seen),
    ]
    return [_with_refusal(each, known, may) for each in found]


def answers_of(asked: Sequence[Question], may: May) -> list[tuple[Question, tuple[Button, ...]]]:
    """Each question with a button for each of its answers."""
    return [
        (
            one,
            tuple(
                _answer(one, option, refused="" if may(one.dag_id) else NOT_ALLOWED) for option in one.options
            ),
        )
        for one in asked
    ]


NOT_ALLOWED = "Airflow lets your account look here, and not act. Ask an admin of Airflow for the role User."


def _with_refusal(button: Button, known: Mapping[str, Dag], may: May) -> Button:
    dag_id = button.url.split("/")[2]
    dag = known.get(dag_id)
    refused = button.refused
    if dag is None:
        refused = f"Airflow has no DAG {dag_id} (yet). Its page of import errors may say why."
    elif not may(dag_id):
        refused = NOT_ALLOWED
    elif dag.paused and not refused:
        refused = f"The DAG {dag_id} is paused, so the run would wait. Switch it on first."
    return Button(**{**vars(button), "refused": refused})


def _run(dag_id: str) -> str:
    return f"/dags/{quote(dag_id, safe='')}/dagRuns"


def _train(model: str) -> Button:
    told = "Trains a candidate on the data as it is now. The gate judges it before it can serve."
    return Button("trigger", "Train", told, "POST", _run(f"train_{model}"), (WHY,))


def _check(model: str) -> Button:
    told = "Checks now whether the traffic of the last day still looks like what the model was judged on."
    return Button("check", "Check for drift", told, "POST", _run(f"drift_{model}"))


def _release(model: str, seen: Detail) -> Button:
    choices = tuple(
        (each.number, "it serves now" if each.serves else each.says[:80] or f"version {each.number}")
        for each in seen.versions
    )
    told = (
        "Brings a version to its users stage by stage. It goes back by itself where it is worse; what serves "
        "now goes on serving until the last stage has said yes."
    )
    known = f"The ledger knows {', '.join(number for number, _ in choices[:12])}." if choices else ""
    version = Field("version", "Version", required=True, told=known, choices=choices, **A_NUMBER)
    where = Field(
        "environment",
        "Environment",
        value=PRODUCTION,
        required=True,
        told="Where the release ends.",
        pattern=ENVIRONMENT.pattern,
        wanted="An environment's name: lower-case letters, digits and underscores, such as production.",
    )
    return Button(
        "release", "Release a version", told, "POST", _run(f"release_{model}"), (version, where, WHY)
    )


def _roll_back(model: str, seen: Detail) -> Button:
    served = seen.card.served
    serves = f"version {served.version}" if served else "the version that serves"
    told = (
        f"Sends every request back from {serves} to the version that truly served before, which is usually "
        "still loaded. A release that is under way is ended."
    )
    leaving = Field(
        "leaving",
        "Version to leave",
        value=served.version if served else "",
        told="Nothing changes where another one serves by then.",
        **A_NUMBER,
    )
    refused = ""
    if not served:
        refused = "Nothing serves, so there is nothing to go back from."
    elif seen.before is None and seen.card.split is None:
        refused = (
            f"Before version {served.version} there is none to go back to: what a rollback left or a "
            "withdrawal took away does not count."
        )
    fixed = {"model": model, "environment": PRODUCTION}
    return Button(
        "rollback",
        "Roll back",
        told,
        "POST",
        _run("rollback_model"),
        (REASON, leaving),
        fixed,
        refused,
        weighty=True,
    )


def _silence(model: str, seen: Detail) -> Button:
    of = Field(
        "of",
        "Alerts about",
        "choice",
        choices=(("", "everything"), *((each, each.replace("_", " ")) for each in get_args(AlertReason))),
    )
    days = Field(
        "days",
        "Days",
        "number",
        value="1",
        told=f"At most {LONGEST_SILENCE_DAYS:g}. Empty: the silence that holds is ended.",
        wanted=f"A number of days, above 0 and at most {LONGEST_SILENCE_DAYS:g}; empty ends the silence.",
        largest=LONGEST_SILENCE_DAYS,
    )
    told = "Sends no alerts about this model for a while. What there is stays in the ledger and on this page."
    if seen.card.silences:
        told += (
            " Silent now until "
            + ", ".join(f"{each.until:%Y-%m-%d %H:%M} UTC" for each in seen.card.silences)
            + "."
        )
    return Button(
        "silence",
        "Silence alerts",
        told,
        "POST",
        _run("silence_alerts"),
        (REASON, of, days),
        {"model": model},
    )


def _recall(joined: Sequence[Joined]) -> Button:
    told = (
        "Leaves batches out of every later training, and trains again each model that serves by them. "
        "perennial why FILE says the id of an older one."
    )
    batches = Field(
        "batch_ids",
        "Batches",
        "lines",
        required=True,
        told="Their ids, one a line.",
        choices=tuple((each.batch_id, each.told) for each in joined),
    )
    table = Field(
        "table",
        "Table",
        told="Empty: whichever has them.",
        pattern="[a-z][a-z0-9_]{0,62}",
        wanted="A table's name: lower-case letters, digits and underscores, such as reviews.",
    )
    return Button(
        "recall",
        "Mark a batch as bad",
        told,
        "POST",
        _run("recall_batch"),
        (batches, REASON, table),
        weighty=True,
    )


def _decide(model: str, batch: str) -> Button:
    choice = Field(
        "decision",
        "Decision",
        "choice",
        required=True,
        choices=DECISIONS,
    )
    told = (
        f"The labels of the batch {batch} looked wrong, and nothing is trained on it until somebody decides."
    )
    fixed = {"model": model, "batch_id": batch}
    return Button(
        f"decide-{batch}",
        f"Decide on batch {batch[:12]}",
        told,
        "POST",
        _run("decide_batch_model"),
        (choice, REASON),
        fixed,
    )


def _decide_sender(model: str, held: HeldOfSender) -> Button:
    choice = Field("decision", "Decision", "choice", required=True, choices=DECISIONS)
    told = (
        f"Labelled requests of {held.named} are held at the door, and nothing is trained on them until "
        f"somebody decides; perennial decide takes one day or one reason, too. {held.why}"
    )
    label = f"Decide on {held.named[:40]}"
    fixed = {"model": model, "sender": held.sender}
    url = _run("decide_sender_model")
    return Button(f"decide-{held.subject}", label, told, "POST", url, (choice, REASON), fixed)


def _for_troubles(model: str, seen: Detail) -> Iterator[Button]:
    """What answers something that is wrong now."""
    reasons = {each.reason for each in seen.card.troubles}
    if "stopped" in reasons:
        told = "Retrains came to nothing, so the model is not retrained by itself. This lets it be again."
        yield Button(
            "breaker",
            "Let it retrain again",
            told,
            "POST",
            _run("close_breaker_model"),
            (REASON,),
            {"model": model},
        )
    if "label_incident" in reasons:
        answer = Field(
            "answer",
            "Answer",
            "choice",
            required=True,
            choices=(
                ("poison", "poison: the labels are wrong"),
                ("the_world", "the_world: they are right, and the world has changed"),
            ),
        )
        told = "The champion falls on new labels, by the gate. Nothing is promoted until somebody says why."
        yield Button(
            "labels",
            "Answer the label incident",
            told,
            "POST",
            _run("label_incident_model"),
            (answer, REASON),
            {"model": model},
        )


def _answer(asked: Question, option: str, refused: str) -> Button:
    place = (
        f"{_run(asked.dag_id)}/{quote(asked.run_id, safe='')}/taskInstances/{quote(asked.task_id, safe='')}"
    )
    return Button(
        key=f"answer-{option.lower()}",
        label=option,
        told=f"Answers {asked.task_id} with {option}; the next step writes down your name and reason.",
        method="PATCH",
        url=f"{place}/{asked.map_index}/hitlDetails",
        fields=(Field("why", "Why", told="The ledger keeps it."),),
        fixed={"chosen_options": [option]},
        refused=refused,
    )
