"""What one step of a training made and others read: the parts of its snapshot, its archive, its version."""

from openlineage.client.event_v2 import InputDataset

from plugins.lineage.facets import read
from plugins.lineage.places import Places, also_called, located
from tasks.contracts import Archive, DataSnapshot, ModelVersion, SnapshotPart
from tasks.spec import PipelineSpec


def parts_of(snapshot: DataSnapshot) -> dict[str, SnapshotPart]:
    """The parts of a snapshot by their names."""
    return {"train": snapshot.train, "validation": snapshot.validation, "test": snapshot.test}


def snapshot_read(
    places: Places, spec: PipelineSpec, snapshot: DataSnapshot, *names: str
) -> list[InputDataset]:
    """These parts of the snapshot, each in the version that its rows make."""
    parts = parts_of(snapshot)
    return [
        read(
            places.of_model(spec.name, f"snapshot/{name}"),
            parts[name].sha256,
            also_called(location=located(parts[name].url)),
        )
        for name in names
    ]


def archive_read(places: Places, model: str, archive: Archive) -> InputDataset:
    """The archive, in the version that its bytes make."""
    place = also_called(location=located(archive.url))
    return read(places.of_model(model, "archive"), archive.sha256, place)


def version_read(places: Places, version: ModelVersion) -> InputDataset:
    """The version of MLflow's registered model."""
    return read(places.registered(version.model), version.version)
