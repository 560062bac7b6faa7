"""A step as a pod: plain data, made by a pure function, so that
it can be held against Kubernetes' schema without a cluster.

Requests equal limits, so the pod gets what it was promised and is the last that a node in need evicts. Its
scratch folder lies on the node's disk within a limit. It starts behind a gate: making the pod takes the
step's name, opening the gate starts it.
"""

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow.providers.cncf.kubernetes.pod_generator import make_safe_label_value

from plugins.runners.environment import SCRATCH, command_of, environment_of, is_secret
from plugins.runners.image import DIGEST, TMP_MIB
from plugins.runners.labels import labels_of
from plugins.runners.mlflow_login import PASSWORD, user_of
from plugins.runners.step import Step
from plugins.runners.volumes import Volume, volumes_for
from tasks.errors import InvalidProject
from tasks.settings import Settings

CONTAINER = "base"
USER, GROUP = 10001, 0
GATE = "perennial/begun"
GPU = "nvidia.com/gpu"
LOG_MIB = 256  # of the node's disk, for what the step prints
GRACE_SECONDS = 5


@dataclass(frozen=True)
class PodSpec:
    """Everything that the cluster is told of a step's pod.

    Attributes:
        image: `name@sha256:...`.
        labels: Whole, as annotations; as labels, by which pods are found, they are shortened to what
            Kubernetes allows.
        secret_keys: Variables whose values the Secret `secret` holds, and under which keys; no value of
            theirs is in the pod.
        memory_mib: The kernel's limit, with what lies in /dev/shm.
        scratch_mib: The limit of the scratch folder on the node's disk; a pod that exceeds it is evicted.
        gpus: How many; 0 for none.
        seconds: After which the cluster ends the pod, whoever forgot it.
    """

    name: str
    namespace: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    secret: str
    secret_keys: Mapping[str, str]
    labels: Mapping[str, str]
    service_account: str
    node_selector: Mapping[str, str]
    volumes: tuple[Volume, ...]
    cpus: float
    memory_mib: int
    scratch_mib: int
    gpus: int
    seconds: int

    def body(self) -> dict[str, Any]:
        """The manifest."""
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": {name: make_safe_label_value(value) for name, value in self.labels.items()},
                "annotations": {**self.labels, "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
            },
            "spec": {
                "schedulingGates": [{"name": GATE}],
                "restartPolicy": "Never",
                "activeDeadlineSeconds": self.seconds,
                "terminationGracePeriodSeconds": GRACE_SECONDS,
                "automountServiceAccountToken": False,
                # Otherwise a service that is called `mlflow` sets MLFLOW_PORT in every pod, and MLflow reads
                # it.
                "enableServiceLinks": False,
                **({"serviceAccountName": self.service_account} if self.service_account else {}),
                **({"nodeSelector": dict(self.node_selector)} if self.node_selector else {}),
                **(
                    {"tolerations": [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]}
                    if self.gpus
                    else {}
                ),
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": USER,
                    "runAsGroup": GROUP,
                    "fsGroup": USER,
                    "fsGroupChangePolicy": "OnRootMismatch",
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [self._container()],
                "volumes": [*self._folders(), *map(_claim, self.volumes)],
            },
        }

    def _container(self) -> dict[str, Any]:
        return {
            "name": CONTAINER,
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": list(self.command),
            "env": [*self._variables(), *self._secrets()],
            "resources": {"requests": self._quantities(), "limits": self._quantities()},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [
                {"name": "scratch", "mountPath": SCRATCH},
                {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - in the container
                {"name": "shared", "mountPath": "/dev/shm"},  # noqa: S108
                *(
                    {"name": volume.name, "mountPath": volume.target, "readOnly": volume.read_only}
                    for volume in self.volumes
                ),
            ],
        }

    def _variables(self) -> list[dict[str, Any]]:
        return [{"name": name, "value": value} for name, value in sorted(self.environment.items())]

    def _secrets(self) -> list[dict[str, Any]]:
        references = ((name, {"name": self.secret, "key": key}) for name, key in self.secret_keys.items())
        return [{"name": name, "valueFrom": {"secretKeyRef": reference}} for name, reference in references]

    def _quantities(self) -> dict[str, str]:
        return {
            "cpu": f"{round(self.cpus * 1000)}m",
            "memory": f"{self.memory_mib}Mi",
            "ephemeral-storage": f"{self.scratch_mib + TMP_MIB + LOG_MIB}Mi",
            **({GPU: str(self.gpus)} if self.gpus else {}),
        }

    def _folders(self) -> list[dict[str, Any]]:
        """Torch's data loaders pass batches through /dev/shm,
        of which a pod has 64 MiB unless it is given more.
        """
        return [
            {"name": "scratch", "emptyDir": {"sizeLimit": f"{self.scratch_mib}Mi"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": f"{TMP_MIB}Mi"}},
            {
                "name": "shared",
                "emptyDir": {"medium": "Memory", "sizeLimit": f"{max(self.memory_mib // 2, 1)}Mi"},
            },
        ]


def pod_of(
    step: Step, place: Settings, *, gpus: int, gpu_missing: str = "", ours: Mapping[str, str] = os.environ
) -> PodSpec:
    """The pod of a step.

    Args:
        place: Image, namespace, secret, volumes, and where the store and the services are.
        gpus: How many it gets.
        gpu_missing: Why it gets none, although it asked for one.
        ours: The environment of this process.

    Raises:
        InvalidProject: A setting is wrong, or the store is a folder that the pod would not see.
    """
    volumes, image = volumes_for(step, place), _image(place)
    environment = environment_of(step, place, ours, image, gpu_missing)
    secret = sorted(name for name, value in environment.items() if is_secret(name, value))
    if secret and not place.kubernetes_secret:
        raise InvalidProject(
            f"The variables {secret} are secret, and a pod does not carry secrets where everybody "
            "reads them. Put them into a Secret of the namespace, each under its own name, and name it in "
            "PERENNIAL_KUBERNETES_SECRET."
        )
    return PodSpec(
        name=step.name,
        namespace=place.kubernetes_namespace,
        image=image,
        command=command_of(step.verb, step.request_url, step.result_url, step.model),
        environment={name: value for name, value in environment.items() if name not in secret},
        secret=place.kubernetes_secret,
        secret_keys={name: _key_of(name, step, place) for name in secret},
        labels=labels_of(step, place),
        service_account=place.kubernetes_service_account,
        node_selector=node_selector_of(place),
        volumes=volumes,
        cpus=step.resources.cpus,
        memory_mib=step.resources.memory_mib,
        scratch_mib=step.resources.scratch_mib,
        gpus=gpus,
        seconds=max(1, math.ceil(step.deadline - time.time())),
    )


def _key_of(name: str, step: Step, place: Settings) -> str:
    """A variable's key in the Secret is its name; of MLflow's password, which differs, the user's too."""
    return f"{name}.{user_of(step)}" if name == PASSWORD and place.mlflow_key.get_secret_value() else name


def node_selector_of(place: Settings) -> dict[str, str]:
    """The labels that a node must have, of `PERENNIAL_KUBERNETES_NODE_SELECTOR`.

    Raises:
        InvalidProject: One is not `name=value`.
    """
    parts = [
        part.strip().partition("=") for part in place.kubernetes_node_selector.split(",") if part.strip()
    ]
    if not all(name and equals for name, equals, _ in parts):
        raise InvalidProject(
            f"PERENNIAL_KUBERNETES_NODE_SELECTOR is {place.kubernetes_node_selector!r}. Give "
            "`name=value`, comma-separated."
        )
    return {name: value for name, _, value in parts}


def _image(place: Settings) -> str:
    found = DIGEST.fullmatch(place.step_image)
    if not found or not found["name"]:
        raise InvalidProject(
            f"PERENNIAL_STEP_IMAGE is {place.step_image!r}, which a node of a cluster cannot fetch. Push the "
            "image to a registry that the cluster reaches and set `name@sha256:...`, as the registry answers "
            "to the push."
        )
    return place.step_image


def _claim(volume: Volume) -> dict[str, Any]:
    claim = {"claimName": volume.name, "readOnly": volume.read_only}
    return {"name": volume.name, "persistentVolumeClaim": claim}
