"""What a team says of the Cloud Run service that a model's serving image runs on."""

import re
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from tasks.spec.base import Spec

Ingress = Literal["all", "internal", "internal_and_load_balancer"]

SHAPES = {
    "project": (r"[a-z][a-z0-9-]{4,28}[a-z0-9]", "the id of a Google Cloud project, such as our-project"),
    "region": (r"[a-z]+-[a-z]+[0-9]+", "a region of Cloud Run, such as europe-west1"),
    "service": (
        r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?",
        "a name of at most 40 lower-case letters, digits and hyphens that begins with a letter",
    ),
    "registry": (
        r"[a-z0-9][a-z0-9.:-]*(/[a-z0-9][a-z0-9._-]*)+",
        "what `make image REGISTRY=...` pushes to, without the model's name, a tag or a digest, such as "
        "europe-west1-docker.pkg.dev/our-project/team",
    ),
    "token_secret": (r"[A-Za-z0-9_-]{1,255}", "the name of a secret in Secret Manager, without its path"),
    "token_version": (r"latest|[1-9][0-9]*", "the number of the secret's version, or latest"),
    "service_account": (r"|[^@\s]+@[^@\s]+\.[^@\s]+", "the e-mail address of a service account, or empty"),
    "cpu": (r"[1-9][0-9]?|[1-9][0-9]{2}m", "a number of processors, such as 1 or 500m"),
    "memory": (r"[1-9][0-9]{0,5}Mi|[1-9][0-9]{0,2}Gi", "an amount of memory, such as 512Mi or 1Gi"),
}


class CloudRunSpec(Spec):
    """The service, and how each revision of it runs the image of one version.

    Attributes:
        project: The Google Cloud project of the service.
        region: Its region.
        service: Its name; it is made where it is not there.
        registry: Where `make image REGISTRY=...` pushed the images.
        token_secret: The secret that holds what a request has to bear, `PERENNIAL_INFERENCE_TOKEN`.
        token_version: Of the secret.
        service_account: Which a revision runs as; empty for the project's default.
        cpu: Processors of each instance, such as 1 or 500m.
        memory: Memory of each instance, such as 512Mi.
        min_instances: How many there are at least; with 0 the first request waits for a start.
        max_instances: How many there may be.
        concurrency: So many requests an instance gets at once.
        ingress: From where it can be reached. The task that tries a new revision has to be able to.
        ready_seconds: How long a new revision may take until it is ready.
    """

    project: str
    region: str
    service: str
    registry: str
    token_secret: str
    token_version: str = "latest"  # noqa: S105 - which version of a secret, not one
    service_account: str = ""
    cpu: str = "1"
    memory: str = "1Gi"
    min_instances: Annotated[int, Field(ge=0, le=1000)] = 0
    max_instances: Annotated[int, Field(ge=1, le=1000)] = 10
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 32
    ingress: Ingress = "all"
    ready_seconds: Annotated[float, Field(ge=30, le=3600)] = 600

    @field_validator(*SHAPES, mode="before")
    @classmethod
    def _may_be_a_number(cls, value: object) -> object:
        """YAML reads `cpu: 1` and `token_version: 3` as numbers."""
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator(*SHAPES)
    @classmethod
    def _has_its_shape(cls, value: str, info: ValidationInfo) -> str:
        shape, meant = SHAPES[str(info.field_name)]
        if not re.fullmatch(shape, value):
            raise ValueError(f"{value!r} is not {meant}")
        return value

    @model_validator(mode="after")
    def _has_no_less_than_the_least(self) -> "CloudRunSpec":
        if self.max_instances < self.min_instances:
            raise ValueError(
                f"max_instances: {self.max_instances} is less than min_instances ({self.min_instances})"
            )
        return self
