"""What a text is about: a prediction, a version, a run, an entry, a batch, a row or a model."""

from tasks.contracts import Subject
from tasks.errors import InvalidRequest, NotFound
from tasks.provenance.looks import Looks, as_chosen, look

LONGEST = 300
FORMS = (
    "Give a prediction's id, a version (review_sentiment/3), the id of a run of MLflow's or Airflow's, the "
    "number of an entry of the ledger, a batch's id or the name of the file that it landed as, a row "
    "(reviews:r17, table and key), or a model's name; where several things have it, with the kind before it "
    "(batch:day.csv)."
)


def find(text: str) -> Subject:
    """The one thing that a text names.

    Raises:
        NotFound: Nothing has this name, or several things have; the message says what was looked for where,
            or how to choose one.
    """
    looks = look(_name(text))
    if looks.found:
        return _one_of(text, looks.found)
    if looks.refused:
        raise NotFound(" ".join(looks.refused), refused=looks.refused)
    raise _nothing(text, looks)


def find_batch(text: str, what: str) -> Subject:
    """The batch that a text names, whatever else has the same name.

    Args:
        what: Can be done with a batch alone, for example "can be recalled".

    Raises:
        NotFound: As `find`.
        InvalidRequest: It is the name of something else.
    """
    found = look(_name(text), only="batch").found
    if not found:
        raise InvalidRequest(f"{text!r} is {told(find(text))}, and only a batch {what}.")
    return _one_of(text, found)


def _name(text: str) -> str:
    text = text.strip()
    if not text or len(text) > LONGEST or not text.isprintable():
        raise NotFound(f"{text[:40]!r} cannot be a name of anything here. {FORMS}")
    return text


def _one_of(text: str, found: list[Subject]) -> Subject:
    if len(found) == 1:
        return found[0]
    each = "; ".join(f"{told(one)} ({as_chosen(one)})" for one in found)
    raise NotFound(
        f"{text!r} is the name of {len(found)} things: {each}. Write which of them you mean as it stands in "
        "brackets.",
        found=[one.model_dump(exclude_none=True) for one in found],
    )


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
