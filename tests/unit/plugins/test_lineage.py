"""What OpenLineage is told of each step, from its request and result alone."""

from pathlib import Path
from typing import Any

import pytest
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.serde import Serde
from openlineage.client.uuid import generate_new_uuid

from plugins.lineage import Places, StepLineage, lineage_of
from plugins.lineage.places import Name, located
from plugins.lineage.steps import VERBS_WITH_DATA
from tasks.contracts import (
    DeployRequest,
    IngestRequest,
    ModelVersion,
    Request,
    Rollout,
    Route,
    SnapshotRequest,
    ValidateRequest,
)
from tasks.data.quarantine import name_of
from tasks.settings import Settings
from tasks.spec import PipelineSpec
from tasks.verbs import VERBS
from tests.unit import judged
from tests.unit.trained import context, snapshot, train_request, write_model

PLACES = Places("unit", "s3://lakes/lake", "/data/landing", "http://mlflow:5000", "http://gateway:8000")
SHA = "0" * 64


@pytest.fixture
def spec(tmp_path: Path) -> PipelineSpec:
    return write_model(tmp_path / "models")


def told(verb: str, request: Request, outcome: dict[str, Any] | None = None) -> StepLineage:
    """The lineage, which the client can send."""
    found = lineage_of(verb, request, outcome or {}, PLACES)
    event = RunEvent(
        eventType=RunState.COMPLETE,
        eventTime="2026-01-05T00:00:00Z",
        run=Run(str(generate_new_uuid()), found.run_facets),
        job=Job("unit", verb, found.job_facets),
        inputs=found.inputs,
        outputs=found.outputs,
    )
    assert Serde.to_json(event)
    return found


def test_no_event_has_a_login_in_it() -> None:
    place = Settings(mlflow_url="https://ada:secret@mlflow/x@y", gateway_url="http://gateway:8000")
    found = Places.of(place)
    assert (found.mlflow, found.gateway) == ("https://mlflow/x@y", "http://gateway:8000")


def names(sets: Any) -> list[tuple[str, str, str | None]]:
    return [
        (each.namespace, each.name, getattr(each.facets.get("version"), "datasetVersion", None))
        for each in sets
    ]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("/data/lake/reviews", Name("file", "/data/lake/reviews")),
        ("file:///data/lake/reviews", Name("file", "/data/lake/reviews")),
        ("s3://bucket/lake/reviews", Name("s3://bucket", "lake/reviews")),
        ("gs://bucket", Name("gs://bucket", "/")),
    ],
)
def test_a_place_is_named_as_openlineage_names_places(url: str, name: Name) -> None:
    assert located(url) == name


def test_every_verb_that_is_told_of_is_one() -> None:
    assert set(VERBS_WITH_DATA) <= set(VERBS)
    assert not set(VERBS_WITH_DATA) & {"retrain", "preflight", "champion"}


def test_a_snapshot_says_its_tables_versions_its_query_and_where_each_part_lies(
    spec: PipelineSpec, tmp_path: Path
) -> None:
    taken = snapshot(tmp_path)

    found = told(
        "snapshot",
        SnapshotRequest(context=context(tmp_path, "snapshot"), spec=spec),
        taken.model_dump(mode="json"),
    )

    assert names(found.inputs) == [("s3://lakes", "lake/numbers", "4")]
    fields = {field.name: field.type for field in found.inputs[0].facets["schema"].fields}
    assert fields == spec.data.columns
    assert found.job_facets["sql"].query == spec.data.query
    assert names(found.outputs) == [
        ("perennial://unit", f"tiny/snapshot/{name}", getattr(taken, name).sha256)
        for name in ("train", "validation", "test")
    ]
    [place] = found.outputs[0].facets["symlinks"].identifiers
    assert (place.namespace, place.name, place.type) == ("file", taken.train.url, "LOCATION")
    assert found.outputs[0].outputFacets["outputStatistics"].rowCount == 1


def test_the_test_part_is_kept_from_the_training(spec: PipelineSpec, tmp_path: Path) -> None:
    failed = told("train", train_request(spec, tmp_path))
    assert [name for _, name, _ in names(failed.inputs)] == [
        "tiny/snapshot/train",
        "tiny/snapshot/validation",
    ]
    assert failed.outputs == []


def test_a_validation_that_failed_says_which_expectation_was_not_met(
    spec: PipelineSpec, tmp_path: Path
) -> None:
    unmet = {
        "expectation": "expect_column_values_to_not_be_null",
        "column": "number",
        "arguments": {},
        "unexpected_rows": 2,
        "unexpected_share": 0.5,
        "message": "2 rows are null.",
    }
    report = {"suite": "numbers", "suite_sha256": SHA, "success": False, "rows": 4, "evaluated": 3}
    evidence = {"report": {**report, "failed": [unmet], "url": "/r.html", "json_url": "/r.json"}}
    request = ValidateRequest(context=context(tmp_path, "validate"), spec=spec, snapshot=snapshot(tmp_path))

    suite, failed = told("validate", request, evidence).run_facets["test"].tests

    assert (suite.name, suite.status, suite.actual) == ("numbers", "fail", "1 not met in 4 rows")
    assert failed.name == "expect_column_values_to_not_be_null(number)"
    assert (failed.status, failed.description, failed.actual) == (
        "fail",
        "2 rows are null.",
        "2 unexpected rows",
    )


def test_an_ingest_says_which_files_joined_the_table_and_why_others_did_not(
    spec: PipelineSpec, tmp_path: Path
) -> None:
    good = {"file": "a.csv", "status": "published", "batch_id": "a", "published_rows": 3, "table_version": 5}
    bad = {"file": "b.csv", "status": "refused", "batch_id": None, "reason": "b.csv is empty."}
    counts = {"published_rows": 3, "quarantined_rows": 1}
    request = IngestRequest(context=context(tmp_path, "ingest"), table=spec.data.own_table)

    found = told("ingest", request, {"table": "numbers", "table_version": 5, "files": [good, bad], **counts})

    assert names(found.inputs) == [("file", "/data/landing/numbers", None)]
    assert found.inputs[0].inputFacets["subset"].inputCondition.locations == ["a.csv", "b.csv"]
    assert names(found.outputs) == [
        ("s3://lakes", "lake/numbers", "5"),
        ("s3://lakes", f"lake/{name_of('numbers')}", None),
    ]
    joined, refused = found.run_facets["test"].tests
    assert (joined.status, refused.status, refused.description) == ("pass", "fail", "b.csv is empty.")


@pytest.mark.parametrize(("verdict", "switched"), [("deployed", True), ("kept_previous", False)])
def test_a_deployment_that_kept_what_served_wrote_nothing(
    tmp_path: Path, verdict: Any, switched: bool
) -> None:
    serving = {"model_version": "3", "run_id": "r", "backend_version": "r", "archive_sha256": SHA}
    route = Route(model=judged.MODEL, **serving, input_schema={}, label_schema={}, timeout_seconds=1)
    nothing = {"previous": None, "candidate": None, "traffic_share": 0, "checks": (), "seconds": 1}
    result = Rollout(model=judged.MODEL, stable=route, verdict=verdict, **nothing)
    version = ModelVersion(
        model=judged.MODEL,
        version="3",
        run_id="r",
        archive=judged.archive(),
        decision_ledger_hash=SHA,
        tags={},
    )
    request = DeployRequest(context=context(tmp_path, "deploy"), spec=judged.SPEC, version=version)

    found = told("deploy", request, result.model_dump(mode="json"))

    assert names(found.inputs) == [("http://mlflow:5000", "models/review_sentiment", "3")]
    served = ("http://gateway:8000", "v1/models/review_sentiment", "3")
    assert names(found.outputs) == ([served] if switched else [])
