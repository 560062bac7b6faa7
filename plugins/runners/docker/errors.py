"""What an engine or its proxy refuses, as a sentence that
says what to do, split into what may pass and what will not.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from docker.errors import APIError, DockerException

from plugins.runners.step import EngineFault
from tasks.errors import InvalidProject

NO_GPU = "could not select device driver"
FORBIDDEN, NOT_FOUND = 403, 404


@contextmanager
def translate_errors(url: str) -> Iterator[None]:
    """Turns what the engine at `url` says into our errors.

    Raises:
        InvalidProject: It will not do this however often it is asked.
        EngineFault: It does not answer, or failed.
    """
    try:
        yield
    except APIError as error:
        raise _as_ours(url, error) from error
    except (requests.RequestException, DockerException) as error:
        raise away(url, error) from error


def away(url: str, error: Exception) -> EngineFault:
    """What to say of an engine that cannot be reached."""
    return EngineFault(
        f"The Docker engine {url} does not answer: {error}. Look whether it runs and whether this worker "
        "reaches it; the Airflow connection 'docker_default' says where it is. The task will be tried again."
    )


def _as_ours(url: str, error: APIError) -> Exception:
    said = str(error.explanation or error).strip()
    if NO_GPU in said:
        return InvalidProject(
            f"The engine {url} has no GPU to give ({said}), and pipeline.yaml says `resources.gpus: "
            "required`. Install the NVIDIA Container Toolkit on a machine with one and send the task there "
            "(PERENNIAL_GPU_QUEUE), or say `preferred`."
        )
    if error.status_code == FORBIDDEN:
        return InvalidProject(f"The proxy in front of the engine {url} refused it: {said}")
    if error.status_code == NOT_FOUND and "network" in said:
        return InvalidProject(
            f"The engine {url} says: {said}. Set PERENNIAL_STEP_NETWORK to a network that it has."
        )
    if error.status_code is not None and error.status_code < 500:
        return InvalidProject(f"The engine {url} refused the step's container: {said}")
    return EngineFault(f"The engine {url} failed: {said}. The task will be tried again.")
