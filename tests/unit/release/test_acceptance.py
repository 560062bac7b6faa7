"""What a version has to show before any user meets it, on a real snapshot, behaviour tests and an MLflow run.

What holds the version answers in this process: that TorchServe answers alike is for tests/services.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from tasks.contracts import Archive, RolloutCheck, SnapshotPart, TrainingRun
from tasks.errors import CheckFailed, FrozenSetMismatch, ServingError
from tasks.release.acceptance import acceptance_checks
from tasks.spec import BehaviourTest, PipelineSpec, ReleaseSpec
from tasks.stores.row_hash import sha256_of_rows
from tests.unit.trained import package_request, use_mlflow, write_model

ROWS = 60
RELEASE = {"mode": "canary", "acceptance": {"rows": 20, "requests": 0}}
BIG = BehaviourTest(
    name="big", kind="minimum_functionality", instances=({"number": 50}, {"number": 70}), answer=1
)
ALIKE = BehaviourTest(
    name="next",
    kind="invariance",
    instances=({"number": 50},),
    changed=({"number": 51},),
    tolerance=0.1,
)

Answer = Callable[[int], dict[str, Any]]


class Answering:
    """Holds one version, which answers by a function; it has no other part in an acceptance."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[int] = []

    def predict(self, _model: str, _version: str, instance: dict[str, Any], **_how: Any) -> dict[str, Any]:
        self.asked.append(instance["number"])
        return self.answer(instance["number"])


def as_judged(number: int) -> dict[str, Any]:
    """Refuses one row of the frozen ones."""
    if number == 4:
        raise ServingError("A number is 4.")
    return {"prediction": int(number >= 30), "score": number / 100}


def other_for(*numbers: int) -> Answer:
    """The same, but for these numbers."""

    def answer(number: int) -> dict[str, Any]:
        found = as_judged(number)
        return found | {"prediction": 1 - found["prediction"]} if number in numbers else found

    return answer


class Judged:
    """A version as its training and the gate left it: a snapshot, a run, and the answers of its judgement."""

    def __init__(self, home: Path, client: MlflowClient) -> None:
        self.spec = write_model(home / "models").model_copy(
            update={"behaviour": (BIG, ALIKE), "release": ReleaseSpec.model_validate(RELEASE)}
        )
        rows = pa.table(
            {
                "id": [f"r{number}" for number in range(ROWS)],
                "number": list(range(ROWS)),
                "label": [int(number >= 30) for number in range(ROWS)],
            }
        )
        self.part = home / "test.parquet"
        pq.write_table(rows, self.part)
        frozen = SnapshotPart(url=str(self.part), rows=ROWS, sha256=sha256_of_rows(rows))
        self.run_id = client.create_run(client.get_experiment_by_name("tiny").experiment_id).info.run_id
        made = package_request(self.spec, home, self.run_id, {}).run
        self.run: TrainingRun = made.model_copy(
            update={"snapshot": made.snapshot.model_copy(update={"test": frozen})}
        )
        self._keep_answers(home, client, rows)

    def _keep_answers(self, home: Path, client: MlflowClient, rows: pa.Table) -> None:
        said = [None if number == 4 else as_judged(number) for number in rows["number"].to_pylist()]
        answers = {
            "id": rows["id"],
            "candidate_prediction": [str(each and each["prediction"]) for each in said],
            "candidate_score": [each and each["score"] for each in said],
        }
        file = home / "answers.parquet"
        pq.write_table(pa.table(answers), file)
        client.log_artifact(self.run_id, str(file), "evaluation")

    def accepted(self, answer: Answer, **acceptance: Any) -> tuple[list[RolloutCheck], list[int]]:
        """The checks that passed, and what was asked."""
        held = Answering(answer)
        rules = {**RELEASE, "acceptance": {**RELEASE["acceptance"], **acceptance}}  # type: ignore[dict-item]
        spec: PipelineSpec = self.spec.model_copy(update={"release": ReleaseSpec.model_validate(rules)})
        archive = Archive(
            model="tiny",
            version=self.run_id,
            run_id=self.run_id,
            url="unused",
            sha256="1" * 64,
            size_bytes=1,
            example_prediction={},
        )
        return list(acceptance_checks(held, archive, self.run, spec)), held.asked  # type: ignore[arg-type]


@pytest.fixture
def judged(home: Path, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch) -> Judged:
    return Judged(home, use_mlflow(home, mlflow_store, monkeypatch))


def test_a_version_that_is_what_was_judged_shows_it(judged: Judged) -> None:
    checks, asked = judged.accepted(as_judged)

    assert [each.check for each in checks] == ["behaviour.big", "behaviour.next", "frozen rows"]
    assert checks[-1].detail == "20 are answered as when judged"
    assert asked[:4] == [50, 70, 50, 51]
    assert len(set(asked[4:])) == 20
    assert max(asked[4:]) >= 50, "from all over the frozen rows"
    assert judged.accepted(as_judged, requests=10)[0][-1].check == "load"


def test_a_row_that_was_refused_when_it_was_judged_may_be_refused_again(judged: Judged) -> None:
    checks, asked = judged.accepted(as_judged, rows=ROWS)

    assert 4 in asked
    assert checks[-1].detail == "60 are answered as when judged"


def test_a_version_that_answers_frozen_rows_otherwise_is_refused_with_the_rows(judged: Judged) -> None:
    with pytest.raises(
        CheckFailed, match=r"2 of 60 frozen rows otherwise.*'r7' is 1 instead of 0"
    ) as refused:
        judged.accepted(other_for(7, 8), rows=ROWS)

    assert refused.value.evidence == {"wrong": 2}


def test_another_score_is_another_answer(judged: Judged) -> None:
    with pytest.raises(CheckFailed, match="frozen rows otherwise"):
        judged.accepted(lambda number: as_judged(number) | {"score": number / 100 + 0.01}, rows=ROWS)


def test_a_row_that_is_refused_only_where_it_is_deployed_is_told(judged: Judged) -> None:
    def refuses(number: int) -> dict[str, Any]:
        if number == 9:
            raise ServingError("No module named fast_tokenizer.")
        return as_judged(number)

    with pytest.raises(CheckFailed, match="row 'r9' is not answered"):
        judged.accepted(refuses, rows=ROWS)


def test_a_version_that_behaves_otherwise_where_it_is_deployed_is_refused(judged: Judged) -> None:
    with pytest.raises(CheckFailed, match=r"fails the behaviour test big\. 1 of 2 cases"):
        judged.accepted(other_for(70))
    with pytest.raises(CheckFailed, match="fails the behaviour test next"):
        judged.accepted(other_for(51))


def test_a_frozen_part_that_was_changed_since_is_not_asked(judged: Judged) -> None:
    pq.write_table(pq.read_table(judged.part).slice(1), judged.part)

    with pytest.raises(FrozenSetMismatch):
        judged.accepted(as_judged)


def test_where_no_answers_were_kept_it_says_so(judged: Judged) -> None:
    (artifacts,) = judged.part.parent.glob(f"artifacts/{judged.run_id}/artifacts/evaluation/answers.parquet")
    artifacts.unlink()

    checks, _ = judged.accepted(as_judged)

    assert "keeps no evaluation/answers.parquet" in checks[-1].detail
