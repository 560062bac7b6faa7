"""What a container costs: a step run in one, against the same step as a process, in turns.

    .perennial/envs/dev/bin/python benchmarks/container_overhead.py [--rounds 7] [--at-most 2.0]

The step is `ingest` of a table into which nothing has landed: it imports its libraries, looks and answers, so
that what differs is the place. Both go the way that Airflow's tasks go, through the runners of `plugins`,
from the request's file to the checked result, nothing left. Needs a Docker engine on this machine and the
image that `make images` built (--image names another).
"""

import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(
    prefix="perennial-airflow-"
)  # Airflow makes one where it is imported

import docker  # noqa: E402 - what Airflow reads is set above

from plugins import attempts  # noqa: E402
from plugins.runners import RUNNERS, Owner, Resources, Step  # noqa: E402
from tasks.contracts import IngestRequest, StepContext  # noqa: E402
from tasks.settings import settings  # noqa: E402
from tasks.spec import PipelineSpec, table_of  # noqa: E402

LIMITS = Resources(cpus=2, memory_mib=2048, scratch_mib=256)
IMAGES = PROJECT / ".perennial" / "images.env"


def main(
    rounds: Annotated[int, typer.Option(help="How often each is measured; the medians are compared.")] = 7,
    at_most: Annotated[float, typer.Option(help="The largest overhead that passes, in seconds.")] = 2.0,
    image: Annotated[
        str, typer.Option(help="The id of the image; by default the one that `make images` built.")
    ] = "",
) -> None:
    """Print the medians, their difference and their ratio."""
    with a_store(image or built_image()) as folder:
        seconds: dict[str, list[float]] = {"process": [], "docker": []}
        for turn in range(rounds + 1):
            for name, measured in seconds.items():
                took = run(name, folder / f"{name}-{turn}")
                if turn:  # the first of each fills the caches of files
                    measured.append(took)
                    typer.echo(f"round {turn}: {name:8} {took:5.2f} s")
    process, container = median(seconds["process"]), median(seconds["docker"])
    typer.echo(f"the step as a process:     {process:5.2f} s")
    typer.echo(f"the step in a container:   {container:5.2f} s")
    typer.echo(
        f"overhead of the container: {container - process:5.2f} s (at most {at_most}), ratio "
        f"{container / process:.2f}"
    )
    if container - process > at_most:
        raise SystemExit(1)


def run(runner: str, folder: Path) -> float:
    """Run the step by this runner and return the seconds
    from laying down its request until its result was read.
    """
    place, (step, request, files) = RUNNERS[runner](), step_in(folder)
    began = time.monotonic()
    job = place.submit(step, lambda: attempts.begin(request, files))
    lines: list[str] = []
    ended = place.follow(job, step, lines.append, None, lambda _stamp: None)
    if ended.code != 0:
        raise SystemExit(
            f"The step ended with {ended.code} as {runner}: {ended.why or ''} " + "\n".join(lines[-20:])
        )
    attempts.result(step.verb, files)
    place.remove(job)
    return time.monotonic() - began


def step_in(folder: Path) -> tuple[Step, IngestRequest, attempts.Files]:
    """The step, its request, and the files of both."""
    folder.mkdir(mode=0o777)
    spec = PipelineSpec.load(PROJECT / "models" / "review_sentiment" / "pipeline.yaml")
    context = StepContext(actor="benchmark", step_key=folder.name, work_url=str(folder))
    request, files = IngestRequest(context=context, table=table_of(spec)), attempts.Files.of(str(folder))
    step = Step(
        verb="ingest",
        request_url=str(files.request),
        result_url=str(files.result),
        model=None,
        key=folder.name,
        request_sha256=secrets.token_hex(32),
        owner=Owner("ingest_reviews", "benchmark", "ingest"),
        resources=LIMITS,
        deadline=time.time() + 600,
    )
    return step, request, files


@contextmanager
def a_store(image: str) -> Iterator[Path]:
    """A folder that is a volume of the engine too, so that a step finds it under one path in both places."""
    folder = Path(tempfile.mkdtemp(prefix="perennial-overhead-"))
    folder.chmod(0o777)
    before = os.umask(0)  # the step in the container is another user
    engine, name = docker.from_env(), f"perennial-overhead-{secrets.token_hex(4)}"
    options = {"type": "none", "o": "bind", "device": str(folder)}
    volume = engine.volumes.create(name, driver="local", driver_opts=options)
    place = {
        "HOME": folder,
        "STORE_URL": folder / "store",
        "STEP_MOUNTS": f"{name}:{folder}",
        "STEP_IMAGE": image,
    }
    os.environ.update({f"PERENNIAL_{variable}": str(value) for variable, value in place.items()})
    os.environ["PERENNIAL_INSTALLATION"] = name
    settings.cache_clear()
    try:
        yield folder
    finally:
        os.umask(before)
        for left in engine.containers.list(all=True, filters={"label": f"perennial.installation={name}"}):
            left.remove(force=True)
        volume.remove()
        engine.close()
        for made in (folder, Path(os.environ["AIRFLOW_HOME"])):
            shutil.rmtree(made, ignore_errors=True)


def built_image() -> str:
    """The image of the steps that `make images` built last."""
    lines = IMAGES.read_text(encoding="utf-8").splitlines() if IMAGES.exists() else []
    names = dict(line.split("=", 1) for line in lines if "=" in line)
    if "PERENNIAL_ML_IMAGE" not in names:
        raise SystemExit(
            f"{IMAGES} names no image of the steps. Run `make images`, or name one with --image."
        )
    return names["PERENNIAL_ML_IMAGE"]


if __name__ == "__main__":
    typer.run(main)
