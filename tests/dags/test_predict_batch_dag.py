"""The DAG that predicts a table: what its form says reaches the step, and each try reads the same rows."""

from datetime import datetime
from pathlib import Path

from tests.dags.runs import RunDag, SetScript, asked, states, xcom

PREDICT = "predict_batch_review_sentiment"


def test_the_step_is_asked_for_what_the_form_says_at_one_time(
    run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    heavy({})
    run = run_dag(PREDICT, {"source": "reviews", "into": "scored"})

    assert states(run) == {"predict_batch": "success"}
    assert xcom(run, "predict_batch")["into"] == "scored"
    (request,) = asked(home, "predict_batch")
    assert (request["source"], request["into"]) == ("reviews", "scored")
    assert datetime.fromisoformat(request["as_of"]).tzinfo is not None
