"""From the gateway's log to the lake and to the training table's door: every row once, whatever happens."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from upath import UPath

from tasks.contracts import CollectRequest, CollectResult, StepContext
from tasks.data import labels
from tasks.data.collect import Collector, collect
from tasks.errors import PerennialError
from tasks.provenance.predictions import answers_of, in_lake
from tasks.provenance.why import why
from tasks.serving.gateway import Gateway
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores import files
from tasks.stores.lake import Lake
from tests.services.conftest import HANDLER, Model, Platform, load_on, new_model


def run(spec: PipelineSpec) -> CollectResult:
    context = StepContext(
        actor="tests", step_key="collect", work_url=str(files.at(settings().runs, "collect"))
    )
    return collect(CollectRequest(spec=spec, context=context))


def ask(platform: Platform, model: Model, *texts: str) -> list[str]:
    answer = platform.predict(model.name, *texts)
    assert answer.status_code == 200, answer.text
    return [each["prediction_id"] for each in answer.json()["predictions"]]


def label(platform: Platform, model: Model, values: dict[str, int]) -> None:
    items = [{"prediction_id": prediction_id, "label": value} for prediction_id, value in values.items()]
    answer = platform.post(f"/v1/models/{model.name}/feedback", {"feedback": items})
    assert answer.status_code == 202, answer.text


def rows(table: str, **how: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = Lake().read(table, **how).to_pylist()
    return found


def landing(model: Model) -> UPath:
    return files.at(settings().landing, model.spec.data.table)


def read(file: str | None) -> list[dict[str, Any]]:
    """The rows of a landed file."""
    with files.at(str(file)).open("rb") as opened:
        found: list[dict[str, Any]] = pq.read_table(opened).to_pylist()
    return found


def landed(model: Model, *ids: str) -> dict[str, int]:
    """The labels under which these predictions landed; a row that landed twice fails."""
    landed = [path for path in landing(model).rglob("*.parquet") if not path.name.startswith(".")]
    found = [row for path in sorted(landed, key=str) for row in read(str(path))]
    assert len({row["id"] for row in found}) == len(found)
    return {row["id"]: row["label"] for row in found if row["id"] in ids}


TELLS_TYPES = """        if text == "types":
            seen = [type(instance[name]).__name__ for name in ("month", "weight")]
            return {{"prediction": 1.0, "score": int(seen == ["int", "float"])}}
        if text == "refuse":
"""


@pytest.fixture
def typed(platform: Platform, settled: Path) -> Iterator[Model]:
    """A model with a whole number and another one, which says 1 when it was given an int and a float."""
    types = {"text": {"type": "string"}, "month": {"type": "integer"}, "weight": {"type": "number"}}
    columns = {"id": "string", "at": "timestamp", "text": "string", "month": "int64", "weight": "float64"}
    query = "SELECT prediction_id AS id, predicted_at AS at, text, month, weight, label FROM labelled"
    data = {"columns": columns | {"label": "int64"}, "features": [*types], "feedback_query": query}
    model = new_model(settled, data=data, input_schema={"type": "object", "properties": types})
    model.deploy("one", handler=HANDLER.replace('        if text == "refuse":\n', TELLS_TYPES))
    yield model
    model.remove()


@pytest.fixture
def fresh(platform: Platform, steady: Model) -> Model:
    """The model of this file, everything of it collected."""
    run(steady.spec)
    return steady


def test_predictions_and_labels_land_once_and_typed(platform: Platform, fresh: Model) -> None:
    first, second = ask(platform, fresh, "good", "bad")
    label(platform, fresh, {first: 1})
    result = run(fresh.spec)
    assert (result.prediction_rows, result.feedback_rows, result.labelled_rows) == (2, 1, 1)
    found = {row["prediction_id"]: row for row in rows(f"{fresh.name}__predictions")}
    assert (found[first]["text"], found[first]["request"], found[first]["prediction"]) == (
        "good",
        '{"text": "good"}',
        '"one"',
    )
    assert found[second]["predicted_at"].utcoffset() is not None
    assert read(result.landed_file) == [
        {"id": first, "at": found[first]["predicted_at"], "text": "good", "label": 1}
    ]
    assert run(fresh.spec) == CollectResult(
        model=fresh.name, prediction_rows=0, feedback_rows=0, labelled_rows=0, landed_file=None
    )
    label(platform, fresh, {second: 0})
    assert run(fresh.spec).labelled_rows == 1
    assert landed(fresh, first, second) == {first: 1, second: 0}


def test_the_last_label_lands_and_a_row_that_landed_never_lands_again(
    platform: Platform, fresh: Model
) -> None:
    first, second = ask(platform, fresh, "a", "b")
    label(platform, fresh, {first: 1})
    label(platform, fresh, {first: 0})
    run(fresh.spec)
    assert landed(fresh, first, second) == {first: 0}
    label(platform, fresh, {first: 1, second: 1})
    run(fresh.spec)
    assert landed(fresh, first, second) == {first: 0, second: 1}
    told = sorted(rows(f"{fresh.name}__feedback"), key=lambda row: row["sequence"])
    assert [row["label"] for row in told if row["prediction_id"] == first] == ["1", "0", "1"]


def test_an_answer_is_found_by_its_id_before_and_after_it_was_collected(
    platform: Platform, fresh: Model
) -> None:
    (asked,) = ask(platform, fresh, "whose is this")
    label(platform, fresh, {asked: 0})
    before = why(asked)
    run(fresh.spec)
    kept = in_lake(Lake(), asked)

    assert before.lineage
    assert before.lineage.answer
    assert kept
    answer = before.lineage.answer
    assert (answer.request, answer.prediction, answer.labels[0].label) == (
        {"text": "whose is this"},
        "one",
        0,
    )
    assert kept == answer.model_copy(update={"kept_in": f"the lake's table {fresh.name}__predictions"})
    assert before.lineage.version is not None
    assert (before.lineage.version.version, before.why[-1]) == ("1", "It serves now.")
    assert before.gate is not None
    counted = answers_of(Lake(), fresh.name, answer.run_id, Gateway())
    assert counted.rows == len(rows(f"{fresh.name}__predictions", where_sql=f"run_id = '{answer.run_id}'"))
    ask(platform, fresh, "not collected yet")
    assert answers_of(Lake(), fresh.name, answer.run_id, Gateway()).rows == counted.rows + 1


@pytest.mark.parametrize(
    ("owner", "name"), [(Collector, "bring"), (Lake, "append"), (labels, "_write"), (labels, "labelled")]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_collect_that_dies_anywhere_loses_and_doubles_nothing(
    platform: Platform, steady: Model, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, when: str
) -> None:
    class Death(BaseException):
        pass

    def dies(*arguments: Any, **how: Any) -> Any:
        nonlocal calls
        calls += 1
        result = original(*arguments, **how) if when == "after" or calls < deadly else None
        if calls == deadly:
            raise Death
        return result

    told = ask(platform, steady, "a", "b")
    label(platform, steady, dict.fromkeys(told, 1))
    original, calls, deadly = getattr(owner, name), 0, 2 if owner is Lake else 1
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, dies)
        with pytest.raises(Death):
            run(steady.spec)
    run(steady.spec)
    assert landed(steady, *told) == dict.fromkeys(told, 1)
    ids = [row["prediction_id"] for row in rows(f"{steady.name}__predictions", columns=["prediction_id"])]
    assert len(ids) == len(set(ids)) == len(platform.logged("predictions", steady.name))
    assert len(rows(f"{steady.name}__feedback")) == len(platform.logged("feedback", steady.name))


def test_a_value_has_one_type_from_the_gateway_to_the_model_the_log_and_the_table(
    platform: Platform, typed: Model
) -> None:
    asked = [{"text": "types", "month": month, "weight": weight} for month, weight in ((1, 2), (1.0, 2.0))]
    answer = platform.post(f"/v1/models/{typed.name}/predict", {"instances": asked}).json()["predictions"]
    assert [repr(each["prediction"]) + repr(each["score"]) for each in answer] == ["11.0", "11.0"]
    told = [
        {"prediction_id": each["prediction_id"], "label": label}
        for each, label in zip(answer, (1, 1.0), strict=True)
    ]
    platform.post(f"/v1/models/{typed.name}/feedback", {"feedback": told})

    logged, labels = (platform.logged(table, typed.name) for table in ("predictions", "feedback"))
    assert {repr(row["features"]) for row in logged} == {repr({"text": "types", "month": 1, "weight": 2.0})}
    assert {repr(row["prediction"]) for row in logged} == {"1"}
    assert {repr(row["label"]) for row in labels} == {"1"}
    first, second = read(run(typed.spec).landed_file)
    seen = [repr((row["month"], row["weight"], row["label"])) for row in (first, second)]
    assert seen == [repr((1, 2.0, 1))] * 2


def test_an_ingest_that_took_the_file_meanwhile_is_not_given_it_again(
    platform: Platform, fresh: Model
) -> None:
    label(platform, fresh, dict.fromkeys(ask(platform, fresh, "a"), 1))
    file = files.at(run(fresh.spec).landed_file or "")
    seen = files.state_of(file)
    assert seen is not None
    files.move(file, landing(fresh) / ".archive" / "0123abcd" / file.name, seen)
    assert run(fresh.spec).landed_file is None
    assert not file.exists()


def test_collects_at_once_under_load_bring_each_row_once(platform: Platform, steady: Model) -> None:
    faults: list[BaseException] = []

    def often() -> None:
        try:
            for _ in range(3):
                run(steady.spec)
        except BaseException as fault:
            faults.append(fault)
            raise

    with load_on(platform, steady.name, per_second=40) as load:
        threads = [threading.Thread(target=often) for _ in range(3)]
        for thread in threads:
            thread.start()
        told = ask(platform, steady, *"abcdefgh")
        label(platform, steady, dict.fromkeys(told, 0))
        for thread in threads:
            thread.join()
    assert faults == []
    run(steady.spec)
    ids = [row["prediction_id"] for row in rows(f"{steady.name}__predictions", columns=["prediction_id"])]
    assert len(ids) == len(set(ids))
    assert load.ids | set(told) <= set(ids)
    assert landed(steady, *told) == dict.fromkeys(told, 0)


def test_a_wrong_feedback_query_says_so_and_loses_no_label(platform: Platform, fresh: Model) -> None:
    (told,) = ask(platform, fresh, "a")
    label(platform, fresh, {told: 1})
    wrong = fresh.spec.data.model_copy(update={"feedback_query": "SELECT nothing FROM labelled -- a comment"})
    with pytest.raises(PerennialError, match="nothing"):
        run(fresh.spec.model_copy(update={"data": wrong}))
    assert told in {row["prediction_id"] for row in rows(f"{fresh.name}__feedback")}
    assert landed(fresh, told) == {}
    assert run(fresh.spec).labelled_rows == 1
    assert landed(fresh, told) == {told: 1}


def test_a_model_whose_features_changed_is_still_collected(platform: Platform, fresh: Model) -> None:
    (again,) = ask(platform, fresh, "b")
    label(platform, fresh, {again: 0})
    columns = {**fresh.spec.data.columns, "length": "int64", "text": "int64"}
    changed = fresh.spec.data.model_copy(update={"columns": columns, "features": ("text", "length")})
    changed = changed.model_copy(
        update={"feedback_query": "SELECT prediction_id AS id, length, label FROM labelled;"}
    )
    serving = fresh.spec.serving.model_copy(update={"input_schema": {"type": "object"}})
    result = run(fresh.spec.model_copy(update={"data": changed, "serving": serving}))
    assert read(result.landed_file) == [{"id": again, "length": None, "label": 0}]
    found = {row["prediction_id"]: row for row in rows(f"{fresh.name}__predictions")}
    assert (found[again]["text"], found[again]["request"]) == (None, '{"text": "b"}')


def test_a_portion_is_written_from_the_versions_that_were_written_down(
    platform: Platform, fresh: Model
) -> None:
    (told,) = ask(platform, fresh, "a")
    label(platform, fresh, {told: 1})
    file = files.at(run(fresh.spec).landed_file or "")
    before = file.read_bytes()
    file.unlink()  # as if the collect had died before it was written
    label(platform, fresh, {told: 0})
    run(fresh.spec)
    assert file.read_bytes() == before


def test_a_gateway_that_lost_its_database_is_collected_from_the_start(
    platform: Platform, fresh: Model
) -> None:
    ask(platform, fresh, *"abcdefghij")
    run(fresh.spec)
    route = platform.internal("GET", f"/routes/{fresh.name}").json()
    platform.gateway.stop()
    kept = platform.database_file.with_suffix(".kept")
    platform.database_file.rename(kept)
    platform.gateway.start()
    try:
        platform.internal("PUT", f"/routes/{fresh.name}", json=route)
        told = ask(platform, fresh, "after the loss")
        assert run(fresh.spec).prediction_rows == 1
        assert told[0] in {row["prediction_id"] for row in rows(f"{fresh.name}__predictions")}
    finally:
        platform.gateway.stop()
        for path in platform.database_file.parent.glob("gateway.db*"):
            if path != kept:
                path.unlink()
        kept.rename(platform.database_file)
        platform.gateway.start()
