"""A revision of a Cloud Run service, as JSON of its API."""

import hashlib
import json
from typing import Any

from tasks.spec.cloud_run import CloudRunSpec

PORT = 8080
TOKEN = "PERENNIAL_INFERENCE_TOKEN"  # noqa: S105 - the name of a variable
EVERY_SECONDS, PROBES = 5, 48
"""Cloud Run gives a start 240 s at most."""
INGRESS = {
    "all": "INGRESS_TRAFFIC_ALL",
    "internal": "INGRESS_TRAFFIC_INTERNAL_ONLY",
    "internal_and_load_balancer": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
}


def template_of(
    rules: CloudRunSpec, model: str, model_version: str, image: str, timeout_seconds: float
) -> dict[str, Any]:
    """The revision that runs an image, without its name.

    It is ready when the server has loaded the archive, whose SHA-256 it has then checked.

    Args:
        image: By its digest.
        timeout_seconds: For one answer.
    """
    token = {"secret": rules.token_secret, "version": rules.token_version}
    container = {
        "image": image,
        "ports": [{"containerPort": PORT}],
        "env": [{"name": TOKEN, "valueSource": {"secretKeyRef": token}}],
        "resources": {"limits": {"cpu": rules.cpu, "memory": rules.memory}, "startupCpuBoost": True},
        "startupProbe": {**_get("ready"), "periodSeconds": EVERY_SECONDS, "failureThreshold": PROBES},
        "livenessProbe": _get("live"),
    }
    account = {"serviceAccount": rules.service_account} if rules.service_account else {}
    return {
        **account,
        "labels": {"perennial-model": model, "perennial-version": model_version},
        "scaling": {"minInstanceCount": rules.min_instances, "maxInstanceCount": rules.max_instances},
        "maxInstanceRequestConcurrency": rules.concurrency,
        "timeout": f"{max(1, round(timeout_seconds))}s",
        "containers": [container],
    }


def revision_of(service: str, model_version: str, template: dict[str, Any]) -> str:
    """The name of a revision: the same for the same version, run with the same settings."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()
    return f"{service}-v{model_version}-{digest[:8]}"


def service_of(rules: CloudRunSpec) -> str:
    """The service's full name."""
    return f"projects/{rules.project}/locations/{rules.region}/services/{rules.service}"


def secret_of(rules: CloudRunSpec) -> str:
    """The full name of the version of the secret that holds the token."""
    return f"projects/{rules.project}/secrets/{rules.token_secret}/versions/{rules.token_version}"


def _get(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": f"/v2/health/{path}", "port": PORT}, "timeoutSeconds": EVERY_SECONDS}
