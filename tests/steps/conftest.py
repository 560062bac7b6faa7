"""What the tests of steps share."""

from typing import Any

import pytest

from tasks.contracts import Archive
from tasks.stores import files
from tests.archives import write_archive
from tests.steps.evaluated import HANDLER
from tests.unit import judged


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("archives")

    def build(name: str, body: str) -> Archive:
        file = folder / f"{name}.mar"
        if not file.exists():
            write_archive(file, model="m", version=name, handler=HANDLER.format(body=body.strip()))
        return judged.archive(
            run_id=name,
            version=name,
            url=str(file),
            sha256=files.sha256(str(file)),
            size_bytes=file.stat().st_size,
        )

    return build
