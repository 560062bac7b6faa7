"""Steps as containers of a Docker engine, which go on
when their worker dies and are followed by the next one.

A container's name comes from its step alone, and an engine has no two of one name: creating it is the lock on
the step. Who finds the name taken looks at the hash of the request: the same work is followed, or its end
taken; other work is removed.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import requests
from airflow.providers.docker.hooks.docker import DockerHook
from airflow.sdk.exceptions import AirflowException
from docker.errors import APIError, NotFound
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from plugins.runners import connections
from plugins.runners.docker.container import ContainerSpec, container_of
from plugins.runners.docker.errors import NO_GPU, away, translate_errors
from plugins.runners.labels import as_left
from plugins.runners.log_stream import LogStream
from plugins.runners.step import Ended, Left, Say, State, Step
from plugins.runners.worker import require
from tasks.errors import InvalidProject
from tasks.runtime import limits
from tasks.settings import settings

TIMEOUT_SECONDS = 60
PATIENCE_SECONDS = 60
PAUSE_SECONDS = 1
NOT_FOUND, CONFLICT = 404, 409
KILLED = -9
SIGNALS = 128
Container = dict[str, Any]
log = logging.getLogger(__name__)


class MakeSpec(Protocol):
    """Gives the container of a step; with `gpu_missing`,
    which says why, one that gets no GPU although it asked for one.
    """

    def __call__(self, step: Step, gpu_missing: str | None = None) -> ContainerSpec: ...


def engine_hook(address: connections.Address) -> DockerHook:
    """Airflow's client of the engine: by TCP, TLS, SSH or a socket."""
    tls = DockerHook.construct_tls_config(
        ca_cert=address.ca_cert, client_cert=address.client_cert, client_key=address.client_key
    )
    return DockerHook(docker_conn_id=None, base_url=address.url, tls=tls, timeout=TIMEOUT_SECONDS)


def spec_by_settings(step: Step, gpu_missing: str | None = None) -> ContainerSpec:
    gpus = step.resources.gpus != "none" and gpu_missing is None
    return container_of(step, settings(), gpus=gpus, gpu_missing=gpu_missing or "")


class DockerRunner:
    """Runs steps in containers of an engine.

    Args:
        connection: The Airflow connection of the engine.
        spec_of: Gives the container of a step.
    """

    outlives = True

    def __init__(self, connection: str = connections.ENGINE, spec_of: MakeSpec = spec_by_settings) -> None:
        self._address = connections.engine(connection)
        self._spec_of = spec_of
        self._client: Any = None
        self._job: str | None = None
        self._stopped = False

    # --- start ----------------------------------------------------------------------------------------------

    def submit(self, step: Step, begin: Callable[[], object]) -> str:
        """Create and start the step's container, or find it.

        Raises:
            InvalidProject: A setting, the image or the network is wrong, or a GPU is required and there is
                none.
            EngineFault: The engine does not answer, or fails.
        """
        with translate_errors(self._address.url):
            try:
                self._job = self._find_or_start(step, self._spec_of(step), begin)
            except APIError as error:
                if NO_GPU not in str(error.explanation) or step.resources.gpus == "required":
                    raise
                spec = self._spec_of(step, gpu_missing=str(error.explanation))
                self._job = self._find_or_start(step, spec, begin)
        return self._job

    def _find_or_start(self, step: Step, spec: ContainerSpec, begin: Callable[[], object]) -> str:
        found = self._find(spec.name)
        if found is not None and not _same(found, step):
            self._remove(found["Id"])
            found = None
        found = found or self._create(spec)
        if found["State"]["Status"] == "created":
            begin()
            self._start(found["Id"])
        else:
            log.info("The step is there already, in the container %s; it is followed.", found["Id"][:12])
        return str(found["Id"])

    def _create(self, spec: ContainerSpec) -> Container:
        """Create it; where another worker was quicker, its container."""
        self._require_image(spec.image)
        try:
            made = self._engine().create_container_from_config(spec.body(), name=spec.name)
        except APIError as error:
            if error.status_code != CONFLICT:
                raise
            return self._inspect(spec.name)
        return self._inspect(made["Id"])

    def _start(self, job: str) -> None:
        try:
            self._engine().start(job)
        except APIError:
            self._remove(job)
            raise

    def _require_image(self, image: str) -> None:
        try:
            found = self._engine().inspect_image(image)
        except NotFound as error:
            raise InvalidProject(
                f"The engine {self._address.url} has no image {image}, which PERENNIAL_STEP_IMAGE names. "
                "Build it there with `make images`, or pull it there by that digest."
            ) from error
        digest = image.rpartition("@")[2]
        known = {found["Id"], *(name.rpartition("@")[2] for name in found.get("RepoDigests") or ())}
        if digest not in known:
            raise InvalidProject(
                f"The engine {self._address.url} answers for {image} with another image, {found['Id']}. "
                "Nothing is started. Set PERENNIAL_STEP_IMAGE to the digest of the image that you mean."
            )

    # --- follow ---------------------------------------------------------------------------------------------

    def state(self, job: str, step: Step) -> State:
        """Whether the step is there; what was never started, or asked for something else, is not the step."""
        with translate_errors(self._address.url):
            found = self._find(job)
        if found is None or not _same(found, step) or found["State"]["Status"] == "created":
            return "gone"
        return "ended" if _has_ended(found) else "running"

    def follow(self, job: str, step: Step, say: Say, since: str | None, seen: Callable[[str], None]) -> Ended:
        """Pass on what the container prints until it has ended.

        Raises:
            WorkerLost: The supervisor of this task is gone; the container goes on.
            EngineFault: The engine does not answer for a minute.
        """
        self._job, parent = job, os.getppid()
        stream = LogStream(lambda start: self._open(job, start), since)
        with translate_errors(self._address.url):
            while True:
                for line in stream.lines(lambda: require(parent)):
                    say(line)
                    if stream.last:
                        seen(stream.last)
                if self._stopped:
                    self._remove(job)
                    return Ended(KILLED, "It was stopped: its task was cleared, marked, or ran out of time.")
                found = self._inspect_at_end(job)
                if found is None:
                    return Ended(None, f"Its container {job[:12]} was removed while it was followed.")
                if _has_ended(found):
                    return _end(found, step)
                say(
                    f"The step goes on, but its log broke off ({stream.fault or 'it ended'}). It is opened "
                    "again."
                )

    def _inspect_at_end(self, job: str) -> Container | None:
        """The container a moment after its log came to an end,
        which is a little before the engine calls it ended.
        """
        with contextlib.suppress(requests.RequestException, NotFound):
            self._engine().wait(job, timeout=PAUSE_SECONDS)
        return self._find(job)

    def _open(self, job: str, start: float | None) -> Iterator[bytes]:
        return iter(self._engine().logs(job, stream=True, follow=True, timestamps=True, since=start))

    # --- end ------------------------------------------------------------------------------------------------

    def remove(self, job: str) -> None:
        """Leave nothing of a container; fine where there is none."""
        with translate_errors(self._address.url):
            self._remove(job)

    def stop(self) -> None:
        """Kill and remove the container.

        By a connection of its own, because a signal may have come in the middle of a call.
        """
        self._stopped = True
        if self._job is not None:
            with translate_errors(self._address.url):
                _remove(self._connect(), self._job)

    def list_left(self) -> list[Left]:
        """Every container of this installation."""
        mine = {"label": f"perennial.installation={settings().installation}"}
        with translate_errors(self._address.url):
            return [
                as_left(found["Id"], found["Labels"])
                for found in self._engine().containers(all=True, filters=mine)
            ]

    # --- engine ---------------------------------------------------------------------------------------------

    def _engine(self) -> Any:
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _connect(self) -> Any:
        try:
            return engine_hook(self._address).api_client
        except AirflowException as error:  # all that Airflow's hook says of an engine that it does not reach
            raise away(self._address.url, error) from error

    def _find(self, job: str) -> Container | None:
        try:
            return self._inspect(job)
        except NotFound:
            return None

    def _inspect(self, job: str) -> Container:
        """Patiently: an engine that restarts is back in seconds."""
        away = (requests.ConnectionError, requests.Timeout)
        for attempt in Retrying(
            retry=retry_if_exception_type(away),
            wait=wait_fixed(1),
            stop=stop_after_delay(PATIENCE_SECONDS),
            reraise=True,
        ):
            with attempt:
                found: Container = self._engine().inspect_container(job)
        return found

    def _remove(self, job: str) -> None:
        _remove(self._engine(), job)


def _remove(engine: Any, job: str) -> None:
    """Kill and remove; fine where it is gone or going."""
    try:
        engine.remove_container(job, force=True, v=True)
    except APIError as error:
        if error.status_code not in {NOT_FOUND, CONFLICT}:
            raise


def _same(found: Container, step: Step) -> bool:
    labels = found["Config"]["Labels"] or {}
    return bool(labels.get("perennial.request_sha256") == step.request_sha256)


def _has_ended(found: Container) -> bool:
    return found["State"]["Status"] in {"exited", "dead"}


def _end(found: Container, step: Step) -> Ended:
    """How it ended. The first process hands on a signal that killed the step as 128 and its number."""
    state, wanted = found["State"], step.resources
    code = int(state["ExitCode"])
    code = SIGNALS - code if code > SIGNALS else code
    if code and state.get("OOMKilled"):
        why = limits.out_of_memory(step.verb, step.model, wanted.memory_mib, wanted.scratch_mib)
        return Ended(code, why, final=True)
    return Ended(code, f"The engine says: {state['Error']}" if state.get("Error") else None)
