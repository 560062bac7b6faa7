"""Resolve every environment again and write its hash-pinned lock beside its requirements.in (`make lock`).

What a lock has and still fits stays as it is, so that one new library changes nothing else; `UPGRADE=1` takes
the newest of everything instead.

The development environment is resolved first and constrains the others, so that a package has one version
wherever it is installed. torch is resolved as its CPU build, whose requirements hold no CUDA package, and
written as a plain version with the hashes of that build and of the index's own wheels: which of them is
installed is the installer's choice (`--find-links` or `--torch-backend`), never the lock's. A lock names no
index.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
DEVELOPMENT = ROOT / "tests"
ENVIRONMENTS = [
    ROOT / "containers" / name
    for name in (
        "airflow/requirements.in",
        "airflow/cluster.in",
        "airflow/google.in",
        "ml/requirements.in",
        "mlflow/requirements.in",
        "torchserve/requirements.in",
        "inference/requirements.in",
        "gateway/requirements.in",
        "engine/requirements.in",
        "objectstore/requirements.in",
    )
]
OPTIONS = ["--python-version=3.11", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
TORCH = re.compile(r"^torch==([\d.]+)\+cpu((?: \\\n    --hash=\S+)+)", re.MULTILINE)
PLAIN_TORCH = re.compile(r"^torch==[\d.]+(?: \\\n    --hash=\S+)+\n", re.MULTILINE)


def compile_requirements(uv: str, requirements: Path, *options: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "requirements.txt")
        output.write_text(kept(requirements.with_suffix(".txt")))
        command = [uv, "pip", "compile", str(requirements), "--output-file", str(output), *OPTIONS, *options]
        subprocess.run(command, check=True, cwd=ROOT)
        return output.read_text()


def kept(lock: Path) -> str:
    """The versions that a lock has, for uv to prefer; of torch none, for the CPU build has to win."""
    if os.environ.get("UPGRADE") or not lock.exists():
        return ""
    return PLAIN_TORCH.sub("", lock.read_text())


def torch_from_cpu() -> list[str]:
    """The options that make uv take torch's CPU build: a local
    wheelhouse where there is one, its own backend switch if not.
    """
    wheelhouse = os.environ.get("PIP_FIND_LINKS")
    return [f"--find-links={wheelhouse}"] if wheelhouse else ["--torch-backend=cpu"]


def index_hashes(uv: str, version: str) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, "torch.in")
        requirements.write_text(f"torch=={version}\n")
        return re.findall(r"--hash=\S+", compile_requirements(uv, requirements, "--no-deps"))


def plain_torch(uv: str, lock: str) -> str:
    found = TORCH.search(lock)
    if not found:
        return lock
    hashes = sorted({*re.findall(r"--hash=\S+", found[2]), *index_hashes(uv, found[1])})
    return TORCH.sub(f"torch=={found[1]}" + "".join(f" \\\\\n    {value}" for value in hashes), lock)


def lock(uv: str, wanted: Path, *options: str) -> None:
    requirements = compile_requirements(uv, wanted, *torch_from_cpu(), *options)
    written = wanted.with_suffix(".txt")
    written.write_text(plain_torch(uv, requirements))
    print(
        f"{written.relative_to(ROOT)}: {len(re.findall(r'^[a-z0-9]', requirements, re.MULTILINE))} packages"
    )


def main() -> None:
    uv = sys.argv[1]
    lock(uv, DEVELOPMENT / "requirements.in")
    for wanted in ENVIRONMENTS:
        lock(uv, wanted, f"--constraint={DEVELOPMENT / 'requirements.txt'}")


if __name__ == "__main__":
    main()
