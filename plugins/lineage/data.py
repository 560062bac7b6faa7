"""What the steps read and wrote that bring rows into the lake and out of it."""

from collections.abc import Mapping

from openlineage.client.event_v2 import InputDataset
from openlineage.client.facet_v2 import JobFacet, sql_job

from plugins.lineage.facets import (
    StepLineage,
    files_of,
    read,
    table_facets,
    tags,
    tests_of_files,
    tests_of_rows,
    written,
)
from plugins.lineage.made import parts_of, snapshot_read
from plugins.lineage.places import Places, also_called, located
from tasks.contracts import (
    CheckLabelsRequest,
    CollectRequest,
    CollectResult,
    CountRequest,
    DataSnapshot,
    DriftDecision,
    DriftRequest,
    IngestRequest,
    IngestResult,
    LabelCheck,
    PinnedTable,
    Recall,
    RecallRequest,
    RowCount,
    SnapshotRequest,
    ValidateRequest,
    ValidationReport,
)
from tasks.spec import DataSpec


def ingest(places: Places, request: IngestRequest, result: IngestResult | None) -> StepLineage:
    """From the landed files to the table, and to its quarantine."""
    table = request.table.table
    if result is None:
        return StepLineage(inputs=[read(places.landing_folder(table))])
    landed = read(places.landing_folder(table))
    landed.inputFacets = files_of(result)
    outputs = []
    if result.published_rows:
        facets = table_facets(request.table)
        outputs.append(written(places.table(table), result.table_version, facets, rows=result.published_rows))
    if result.quarantined_rows:
        quarantine = places.table(f"{table}__quarantine")
        outputs.append(written(quarantine, None, table_facets(), rows=result.quarantined_rows))
    return StepLineage([landed], outputs, tests_of_files(result))


def count(places: Places, request: CountRequest, result: RowCount | None) -> StepLineage:
    """The tables that were looked at."""
    own = {} if result is None else {result.table: result.table_version}
    return StepLineage(_tables(places, request.spec.data, own))


def check_labels(places: Places, request: CheckLabelsRequest, result: LabelCheck | None) -> StepLineage:
    """The tables whose new labels were judged."""
    return StepLineage(_tables(places, request.spec.data, _versions(result.tables if result else ())))


def snapshot(places: Places, request: SnapshotRequest, result: DataSnapshot | None) -> StepLineage:
    """From the pinned versions of the tables, by the query, to the three parts."""
    inputs = _tables(places, request.spec.data, _versions(result.pinned if result else ()))
    query: dict[str, JobFacet] = {"sql": sql_job.SQLJobFacet(request.spec.data.query, "duckdb")}
    if result is None:
        return StepLineage(inputs, job_facets=query)
    outputs = [
        written(
            places.of_model(request.spec.name, f"snapshot/{name}"),
            part.sha256,
            also_called(location=located(part.url)),
            rows=part.rows,
        )
        for name, part in parts_of(result).items()
    ]
    facts = tags({"snapshot_sha256": result.sha256, "as_of": result.as_of})
    return StepLineage(inputs, outputs, facts, query)


def validate(places: Places, request: ValidateRequest, result: ValidationReport | None) -> StepLineage:
    """The parts, and what the suite said of their rows."""
    inputs = snapshot_read(places, request.spec, request.snapshot, "train", "validation", "test")
    return StepLineage(inputs, run_facets=tests_of_rows(result) if result else {})


def collect(places: Places, request: CollectRequest, result: CollectResult | None) -> StepLineage:
    """From the gateway's log to its tables, and what is labelled to the training table's door."""
    model, table = request.spec.name, request.spec.data.table
    inputs = [read(places.log(model))]
    if result is None:
        return StepLineage(inputs)
    logs = {"predictions": result.prediction_rows, "feedback": result.feedback_rows}
    outputs = [
        written(places.table(f"{model}__{log}"), None, table_facets(), rows=rows)
        for log, rows in logs.items()
        if rows
    ]
    if result.landed_file:
        outputs.append(written(places.landing_folder(table), rows=result.labelled_rows))
    return StepLineage(inputs, outputs)


def recall(places: Places, _request: RecallRequest, result: Recall | None) -> StepLineage:
    """Each table, of which snapshots see less from this version on."""
    newest: dict[str, int] = {}
    for batch in result.batches if result else ():
        newest[batch.usage.table] = max(batch.table_version, newest.get(batch.usage.table, 0))
    return StepLineage(outputs=[written(places.table(name), newest[name], table_facets()) for name in newest])


def drift(places: Places, request: DriftRequest, result: DriftDecision | None) -> StepLineage:
    """The traffic that was judged, and the verdict."""
    inputs = [read(places.table(f"{request.spec.name}__predictions"), None, table_facets())]
    if result is None:
        return StepLineage(inputs)
    facts = {
        "verdict": result.verdict,
        "why": result.why,
        "champion_run_id": result.champion_run_id,
        "window_rows": result.window_rows,
        "domain_auc": result.domain_auc,
        "threshold": result.threshold,
    }
    if result.report_url is None:
        return StepLineage(inputs, run_facets=tags(facts))
    report = written(
        places.of_model(result.model, "drift_report"), None, also_called(location=located(result.report_url))
    )
    return StepLineage(inputs, [report], tags(facts))


def _versions(pinned: tuple[PinnedTable, ...]) -> dict[str, int]:
    return {table.table: table.version for table in pinned}


def _tables(places: Places, data: DataSpec, versions: Mapping[str, int]) -> list[InputDataset]:
    return [
        read(places.table(spec.table), versions.get(spec.table), table_facets(spec))
        for spec in data.all_tables
    ]
