"""A small image of our steps, made without an index: the base,
`tasks` as it is here, and the packages of this environment.
"""

import secrets
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

if TYPE_CHECKING:
    import docker

PROJECT = Path(__file__).resolve().parents[2]
BASE = "python:3.11-slim-bookworm"
PACKAGES = ("jsonschema", "pydantic", "pydantic-settings", "universal-pathlib", "typer", "pyyaml", "tenacity")
DOCKERFILE = f"""
FROM {BASE}
COPY packages /opt/packages
COPY perennial /opt/perennial
ENV PYTHONPATH=/opt/packages PERENNIAL_CODE_COMMIT=of-the-test-image
RUN command -v python || ln -s "$(command -v python3)" /usr/local/bin/python
WORKDIR /opt/perennial
USER 10001:0
"""


def build(engine: "docker.DockerClient", folder: Path) -> str:
    """Build the image in `folder` and return its id, which is this call's
    alone: whoever made it removes it.
    """
    for name in closure(PACKAGES):
        copy(name, folder / "packages")
    shutil.copytree(
        PROJECT / "tasks", folder / "perennial" / "tasks", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(
        Path(__file__).with_name("scripted.py"), folder / "perennial" / "tasks" / "data" / "collect.py"
    )
    (folder / "Dockerfile").write_text(DOCKERFILE)
    image, _ = engine.images.build(
        path=str(folder), rm=True, forcerm=True, labels={"perennial.test": secrets.token_hex(8)}
    )
    return str(image.id)


def closure(names: tuple[str, ...]) -> set[str]:
    """The packages and all that they need here."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        needed = [Requirement(text) for text in distribution(name).requires or ()]
        waiting += [
            need.name for need in needed if need.marker is None or need.marker.evaluate({"extra": ""})
        ]
    return found


def copy(name: str, target: Path) -> None:
    """The files of an installed package."""
    try:
        files = distribution(name).files or []
    except PackageNotFoundError:
        return
    for file in files:
        if file.parts[0] in {"..", "__pycache__"} or file.suffix == ".pyc":
            continue
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(str(file.locate()), target / file)
