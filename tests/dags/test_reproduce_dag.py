"""The DAG that trains a version again: the champion or the one that is named; another model fails it."""

from pathlib import Path

from tests.dags.runs import RunDag, SetScript, asked, states, xcom

REPRODUCE = "reproduce_review_sentiment"


def test_the_version_of_the_form_is_asked_for_and_another_model_fails_the_run_once_it_is_recorded(
    run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    heavy({"reproduce": [{}, {"result": {"verdict": "different", "why": "different: weight is off by 2."}}]})

    same, other = run_dag(REPRODUCE), run_dag(REPRODUCE, {"version": "3", "code": "here"})

    assert states(same) == dict.fromkeys(("champion", "reproduce", "attest"), "success")
    assert states(other) == {"champion": "success", "reproduce": "success", "attest": "failed"}
    first, second = asked(home, "reproduce")
    assert (first["version"], first["code"]) == (None, "recorded")
    assert (second["version"], second["code"]) == ("3", "here")
    assert first["champion"] == xcom(same, "champion")
    assert [request["reproduction"]["verdict"] for request in asked(home, "attest")] == [
        "identical",
        "different",
    ]
