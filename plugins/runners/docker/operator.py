"""A step's task where steps are containers: Airflow's own Docker operator, with what it lacks."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from airflow.providers.docker.hooks.docker import DockerHook
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk import Context
from docker.types import DeviceRequest, Mount
from docker.utils import parse_bytes
from pydantic import BaseModel

from plugins import attempts
from plugins.jobs import StepJob, resources_of
from plugins.operators import StepOperator
from plugins.runners import Runner, Step
from plugins.runners.connections import ENGINE, engine
from plugins.runners.docker.container import (
    LOG_FILES,
    LOG_SIZE,
    USER,
    ContainerSpec,
    container_of,
    memory_bytes_of,
    shared_bytes_of,
)
from plugins.runners.docker.runner import TIMEOUT_SECONDS, DockerRunner, engine_hook
from plugins.runners.environment import command_of, is_secret
from plugins.runners.step import step_name
from tasks.settings import settings
from tasks.spec import PipelineSpec

REQUEST, RESULT = "{{ task.files_of(ti).request }}", "{{ task.files_of(ti).result }}"


class DockerStepOperator(StepOperator, DockerOperator):
    """Run one verb of `tasks` in a container, which goes on when its worker dies and is followed by the next.

    The container is made from this operator's fields, so that a cluster policy may change them, and from what
    no step goes without: a read-only root, no capabilities, a kernel's limit of memory, processor time and
    processes. The provider's own `execute` sets none of these, reads results from the log, and cannot find a
    container again.

    Three fields mean a little more than the provider's: `docker_conn_id` names the engine, where the
    provider's names a registry to log in to, since nothing is pulled here; `cpus` are cores and no weight;
    `environment` gets what the step is told, save its secrets, once it has begun.

    Args:
        verb, constants: As for `StepOperator`.
        docker_conn_id: The Airflow connection of the engine.
    """

    template_fields: Sequence[str] = (
        *StepOperator.template_fields,
        *DockerOperator.template_fields,
        *("network_mode", "cpus", "mem_limit", "shm_size", "device_requests", "labels"),
    )
    template_fields_renderers = {  # noqa: RUF012 - Airflow reads plain class attributes
        **DockerOperator.template_fields_renderers,
        **StepOperator.template_fields_renderers,
        **dict.fromkeys(("command", "environment", "mounts", "device_requests", "labels"), "json"),
    }
    template_ext: Sequence[str] = ()  # a landed file may be called `a.sh` and is no template
    overwrite_rtif_after_execution = True  # Airflow shows the fields again as they were used

    def __init__(
        self, *, verb: str, constants: dict[str, BaseModel], docker_conn_id: str = ENGINE, **kwargs: Any
    ) -> None:
        place, spec = settings(), constants.get("spec")
        wanted = resources_of(verb, spec if isinstance(spec, PipelineSpec) else None)
        super().__init__(
            verb=verb,
            constants=constants,
            image=place.step_image,
            docker_conn_id=docker_conn_id,
            container_name="{{ task.name_for(ti) }}",
            command=list(command_of(verb, REQUEST, RESULT, kwargs.get("model"))),
            network_mode=place.step_network or "bridge",
            cpus=wanted.cpus,
            mem_limit=memory_bytes_of(wanted),
            shm_size=shared_bytes_of(wanted),
            device_requests=[DeviceRequest(count=-1, capabilities=[["gpu"]])]
            if wanted.gpus != "none"
            else [],
            user=USER,
            auto_remove="force",
            mount_tmp_dir=False,
            timeout=TIMEOUT_SECONDS,
            log_opts_max_size=LOG_SIZE,
            log_opts_max_file=LOG_FILES,
            **kwargs,
        )

    @cached_property
    def hook(self) -> DockerHook:
        """Airflow's client of the engine that `docker_conn_id` names."""
        return engine_hook(engine(self.docker_conn_id))

    def runner(self) -> Runner:
        return DockerRunner(self.docker_conn_id, self.spec_of)

    def name_for(self, ti: Any) -> str:
        """The container's name, the same for each try of the task."""
        return step_name(attempts.context_of(ti).step_key)

    def files_of(self, ti: Any) -> attempts.Files:
        return attempts.Files.of(attempts.context_of(ti).work_url)

    def spec_of(self, step: Step, gpu_missing: str | None = None) -> ContainerSpec:
        """The step's container: this operator's fields, and what no step goes without.

        Raises:
            InvalidProject: A setting is wrong, or the store is a folder that the container would not see.
        """
        requests = () if gpu_missing is not None else tuple(self.device_requests or ())
        named = {"step_image": self.image, "step_network": self.network_mode or ""}
        place = settings().model_copy(update=named)
        spec = container_of(step, place, gpus=bool(requests), gpu_missing=gpu_missing or "")
        return replace(
            spec,
            name=self.container_name,
            command=tuple(self.command),
            environment={**spec.environment, **self.environment, **self._private_environment},
            labels={**spec.labels, **(self.labels or {})},
            cpus=self.cpus,
            memory_bytes=parse_bytes(self.mem_limit),
            shared_bytes=self.shm_size,
            device_requests=requests,
        )

    def _job_of(self, context: Context) -> StepJob:
        job = super()._job_of(context)
        self._show(self.spec_of(job.step))
        return job

    def _show(self, spec: ContainerSpec) -> None:
        """Let the rendered fields say what the container is told, and where its volumes are."""
        self.environment = {
            name: value for name, value in spec.environment.items() if not is_secret(name, value)
        }
        self.labels = dict(spec.labels)
        self.mounts = [
            Mount(volume.target, volume.name, type="volume", read_only=volume.read_only)
            for volume in spec.volumes
        ]
