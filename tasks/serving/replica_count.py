"""Whether a platform has as many servers of a backend as a model wants `serving.replicas` of."""

from tasks.errors import InvalidRequest
from tasks.settings import separated, settings
from tasks.spec import ServingBackendName, ServingSpec

SETTINGS: dict[ServingBackendName, str] = {
    "oip": "PERENNIAL_OIP_URL",
    "torchserve": "PERENNIAL_TORCHSERVE_INFERENCE_URL (with as many management URLs and key files)",
}
"""Where a platform names a backend's servers."""


FIELDS: dict[ServingBackendName, str] = {"oip": "oip_url", "torchserve": "torchserve_inference_url"}


def require_servers(serving: ServingSpec, *, if_named: bool = False) -> None:
    """Refuse a model that wants more replicas than the settings name servers.

    Args:
        if_named: Only where the settings name any, for a place that is told of none serves nothing.

    Raises:
        InvalidRequest: It says how many there are, and where they are named.
    """
    chosen, field = settings(), FIELDS[serving.backend]
    if if_named and field not in chosen.model_fields_set:
        return
    if fault := fault_of_replicas(serving, len(separated(getattr(chosen, field)))):
        raise InvalidRequest(fault)


def fault_of_replicas(serving: ServingSpec, servers: int) -> str | None:
    """What is wrong with the replicas of a model where there are so many servers, as a sentence; None where
    nothing is.
    """
    if (serving.replicas or 0) <= servers:
        return None
    return (
        f"The model wants {serving.replicas} replicas, but the settings name {servers} "
        f"server{'s' * (servers != 1)} of the backend {serving.backend}. Name more of them in "
        f"{SETTINGS[serving.backend]}, or lower serving.replicas in its pipeline.yaml."
    )
