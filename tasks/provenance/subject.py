"""What a text is about: a prediction, a version, a run, an entry, a batch, a row or a model."""

from tasks.contracts import Subject
from tasks.errors import NotFound
from tasks.provenance.looks import Looks, look

LONGEST = 300
FORMS = (
    "Give a prediction's id, a version (review_sentiment/3), the id of a run of MLflow's or Airflow's, the "
    "number of an entry of the ledger, a batch's id or the name of the file that it landed as, a row "
    "(reviews:r17, table and key), or a model's name."
)


def find(text: str) -> Subject:
    """The one thing that a text names.

    Raises:
        NotFound: Nothing has this name, or several things have; the message says what was looked for where.
    """
    text = text.strip()
    if not text or len(text) > LONGEST or not text.isprintable():
        raise NotFound(f"{text[:40]!r} cannot be a name of anything here. {FORMS}")
    looks = look(text)
    if len(looks.found) == 1:
        return looks.found[0]
    if looks.found:
        raise NotFound(
            f"{text!r} is the name of {len(looks.found)} things: {'; '.join(map(told, looks.found))}. Name "
            "one of them by its id.",
            found=[each.model_dump(exclude_none=True) for each in looks.found],
        )
    if looks.refused:
        raise NotFound(" ".join(looks.refused), refused=looks.refused)
    raise _nothing(text, looks)


def told(subject: Subject) -> str:
    """What a subject is, in a few words."""
    return {
        "prediction": f"the prediction {subject.prediction_id} of {subject.model}",
        "version": f"version {subject.version} of {subject.model}",
        "run": f"the run {subject.run_id} of {subject.model}",
        "airflow_run": f"the run {subject.airflow_run} of Airflow",
        "entry": f"entry {subject.entry} of the ledger",
        "batch": f"the batch {subject.batch_id} of {subject.table}",
        "row": f"the row {subject.key} of {subject.table}",
        "model": f"the model {subject.model}",
    }[subject.kind]


def _nothing(text: str, looks: Looks) -> NotFound:
    where = f"It was looked for in {'; '.join(looks.looked)}." if looks.looked else "Nowhere could be looked."
    away = f" What could not be looked into: {'; '.join(looks.away)}" if looks.away else ""
    return NotFound(
        f"Nothing has the name {text!r}. {where}{away} {FORMS}", looked=looks.looked, away=looks.away
    )
