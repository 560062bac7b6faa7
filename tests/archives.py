"""Archives as TorchServe takes them: the real archiver packs one, and the others differ in their files."""

import json
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path

MANIFEST = "MAR-INF/MANIFEST.json"


@cache
def _packed() -> Path:
    """An archive of an empty handler and an empty file of weights, packed by the real archiver."""
    folder = Path(tempfile.mkdtemp(prefix="perennial-archive-"))
    for name in ("handler.py", "weights.bin"):
        (folder / name).touch()
    packer = [sys.executable, "-m", "model_archiver.model_packaging", "--model-name=m", "--version=1"]
    packer += [f"--handler={folder / 'handler.py'}", f"--serialized-file={folder / 'weights.bin'}"]
    subprocess.run([*packer, f"--export-path={folder}"], check=True, capture_output=True)
    return folder / "m.mar"


def write_archive(target: Path, *, model: str, version: str, handler: str) -> Path:
    """An archive of this handler, in which nothing else differs from what the archiver makes."""
    with zipfile.ZipFile(_packed()) as packed:
        manifest = json.loads(packed.read(MANIFEST))
    manifest["model"] |= {"modelName": model, "modelVersion": version}
    return vary(_packed(), target, {"handler.py": handler, MANIFEST: json.dumps(manifest)})


def vary(archive: Path, target: Path, contents: dict[str, str]) -> Path:
    """Copy an archive with other contents in some of its files, named as in the archive."""
    with zipfile.ZipFile(archive) as packed, zipfile.ZipFile(target, "w") as varied:
        unknown = set(contents) - set(packed.namelist())
        assert not unknown, f"{archive} has no {unknown}"
        for name in packed.namelist():
            varied.writestr(name, contents.get(name, packed.read(name)))
    return target
