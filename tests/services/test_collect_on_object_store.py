"""The log and the labels go the same way where lake and landing folder lie on an object store."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.object_stores import BUCKET, ObjectStore, forget, point_to, s3  # noqa: F401 - a fixture
from tests.services.test_collect import (  # noqa: F401 - the same must hold here
    fresh,
    test_predictions_and_labels_land_once_and_typed,
)


@pytest.fixture(scope="module")
def settled(settled: Path, s3: ObjectStore) -> Iterator[Path]:  # noqa: F811
    """The services' settings, and everything else on s3://."""
    with pytest.MonkeyPatch.context() as patched:
        point_to(s3, f"s3://{BUCKET}/{uuid.uuid4().hex[:8]}", settled, patched)
        yield settled
    forget()
