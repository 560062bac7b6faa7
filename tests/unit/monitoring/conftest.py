"""What the tests of the drift check begin with."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tasks.contracts import SnapshotPart
from tasks.monitoring import domain_classifier
from tasks.stores.lake import Lake
from tasks.stores.row_hash import sha256_of_rows
from tests.unit import judged
from tests.unit.monitoring.traffic import labelled


@pytest.fixture
def few_relabellings(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests in which the null does not matter: it takes most of the time."""
    monkeypatch.setattr(domain_classifier, "RELABELLINGS", 4)


@pytest.fixture
def trained(home: Path) -> Any:
    """A champion's run: its table has one version, its validation part 400 rows."""
    Lake().append("reviews", labelled(600, 1), batch_id="first")
    validation = labelled(400, 2).select(["review_id", "source", "text", "label"])
    pq.write_table(validation, home / "validation.parquet")
    part = SnapshotPart(url=str(home / "validation.parquet"), rows=400, sha256=sha256_of_rows(validation))
    train = labelled(600, 1).select(["review_id", "source", "text", "label"])
    test = labelled(200, 4).select(["review_id", "source", "text", "label"])
    version = Lake().latest("reviews")
    pinned = {"table_version": version, "version_at": Lake().committed_at("reviews", version)}
    others = {"train": judged.part(home, "train", train), "test": judged.part(home, "test", test)}
    frozen = {"validation": part, **others, **pinned}
    return judged.run(snapshot=judged.snapshot().model_copy(update=frozen))
