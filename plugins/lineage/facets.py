"""Datasets and facets of OpenLineage, made of what our contracts hold; only facets of its own standard."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    InputDatasetFacet,
    JobFacet,
    RunFacet,
    base_subset_dataset,
    dataset_version_dataset,
    output_statistics_output_dataset,
    schema_dataset,
    storage_dataset,
    tags_run,
    test_run,
)

from plugins.lineage.places import Name
from tasks.contracts import GateDecision, IngestResult, ValidationReport
from tasks.spec import TableSpec

SOURCE = "PERENNIAL"

Facets = dict[str, DatasetFacet]


@dataclass(frozen=True)
class StepLineage:
    """What one step read and wrote, and what there is to say of its run and of its job."""

    inputs: list[InputDataset] = field(default_factory=list)
    outputs: list[OutputDataset] = field(default_factory=list)
    run_facets: dict[str, RunFacet] = field(default_factory=dict)
    job_facets: dict[str, JobFacet] = field(default_factory=dict)


def read(name: Name, version: object = None, facets: Facets | None = None) -> InputDataset:
    """A dataset that was read, in this version where it has one."""
    return InputDataset(name.namespace, name.name, facets=_versioned(version, facets))


def written(
    name: Name,
    version: object = None,
    facets: Facets | None = None,
    *,
    rows: int | None = None,
    size_bytes: int | None = None,
) -> OutputDataset:
    """A dataset that was written; `version` is the one that came of it."""
    counted = rows is not None or size_bytes is not None
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rows, size_bytes)
    return OutputDataset(
        name.namespace,
        name.name,
        facets=_versioned(version, facets),
        outputFacets={"outputStatistics": statistics} if counted else {},
    )


def _versioned(version: object, facets: Facets | None) -> Facets:
    said: Facets = {}
    if version is not None:
        said["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(str(version))
    return said | (facets or {})


def table_facets(spec: TableSpec | None = None) -> Facets:
    """What a table of the lake is; its columns where pipeline.yaml declares them."""
    delta: Facets = {"storage": storage_dataset.StorageDatasetFacet("delta", "parquet")}
    if spec is None:
        return delta
    columns = [schema_dataset.SchemaDatasetFacetFields(name, kind) for name, kind in spec.columns.items()]
    return {**delta, "schema": schema_dataset.SchemaDatasetFacet(fields=columns)}


def files_of(result: IngestResult) -> dict[str, InputDatasetFacet]:
    """Which files of the landing folder were read."""
    files = base_subset_dataset.LocationSubsetCondition([file.file for file in result.files])
    return {"subset": base_subset_dataset.InputSubsetInputDatasetFacet(inputCondition=files)}


def tags(told: Mapping[str, object]) -> dict[str, RunFacet]:
    """Facts about the run, by name; those that are not known are left out."""
    known = {name: value for name, value in told.items() if value is not None}
    fields = [tags_run.TagsRunFacetFields(name, str(value), SOURCE) for name, value in known.items()]
    return {"tags": tags_run.TagsRunFacet(tags=fields)}


def tests_of_rows(report: ValidationReport) -> dict[str, RunFacet]:
    """The suite as one test, and each expectation that was not met."""
    suite = test_run.TestExecution(
        name=report.suite,
        status=_status(passed=report.success),
        severity="error",
        type="suite",
        expected=f"{report.evaluated} expectations met",
        actual=f"{len(report.failed)} not met in {report.rows} rows",
    )
    unmet = [
        test_run.TestExecution(
            name=f"{failed.expectation}({failed.column or ''})",
            status="fail",
            type=failed.expectation,
            description=failed.message,
            actual=None if failed.unexpected_rows is None else f"{failed.unexpected_rows} unexpected rows",
        )
        for failed in report.failed
    ]
    return {"test": test_run.TestRunFacet(tests=[suite, *unmet])}


def tests_of_files(result: IngestResult) -> dict[str, RunFacet]:
    """Each landed file as a test: one that was refused failed."""
    files = [
        test_run.TestExecution(
            name=file.file,
            status=_status(passed=file.status != "refused"),
            severity="error",
            type="landed_file",
            description=file.reason,
            actual=f"{file.status}: {file.published_rows} rows joined, {file.quarantined_rows} quarantined",
        )
        for file in result.files
    ]
    return {"test": test_run.TestRunFacet(tests=files)}


def tests_of_rules(decision: GateDecision) -> dict[str, RunFacet]:
    """The gate's rules, each with its value and threshold."""
    rules = [
        test_run.TestExecution(
            name=rule.rule,
            status=_status(passed=rule.passed),
            severity="error",
            type=rule.blocks,
            description=rule.why,
            expected=None if rule.threshold is None else str(rule.threshold),
            actual=None if rule.value is None else str(rule.value),
        )
        for rule in decision.rules
    ]
    return {"test": test_run.TestRunFacet(tests=rules)}


def _status(*, passed: bool) -> str:
    return "pass" if passed else "fail"
