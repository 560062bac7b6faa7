"""What a step in a container or a pod is told through its
environment: what it needs, and no secret that is not its own.

Model code is a team's own program with whatever it imports, so the verbs that run it get no credentials of
the platform: not the gateway's token, not the database with the ledger nor the key that signs its heads, not
the keys of what serves. Those of the store they cannot do without, and in MLflow each step is the user that
its work needs (mlflow_login.py).
"""

import math
import re
from collections.abc import Mapping

from pydantic import SecretStr

from plugins.runners.mlflow_login import KEY, LOGIN, login_of
from plugins.runners.step import Step
from tasks.settings import Settings

SCRATCH = "/scratch"
HEARTBEAT = "PERENNIAL_HEARTBEAT_URL"
MODEL_CODE = frozenset({"check_labels", "train", "package", "evaluate", "reproduce"})
ASKS_ARCHIVES = {"describe": ("database_url", "ledger_url")}
"""Verbs that ask an archive and read the ledger: what they need of the platform, and nothing else."""
STORE = ("store_url", "lake_url", "runs_url", "landing_url", "mlflow_url")
PLATFORM = (
    "database_url",
    "ledger_url",
    "ledger_key",
    "gateway_url",
    "gateway_token",
    "release_environments",
    "torchserve_inference_url",
    "torchserve_management_url",
    "torchserve_store",
    "torchserve_key_file",
    "oip_url",
    "oip_store",
    "oip_key_file",
)
PASSED_ON = ("AWS_", "GOOGLE_", "MLFLOW_", "STORAGE_EMULATOR_HOST")
OF_THIS_MACHINE = frozenset(
    {
        "AWS_PROFILE",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    }
)
SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|CREDENTIALS_JSON|_KEY(_ID)?$|DATABASE_URL$")
PASSWORD_IN_URL = re.compile(r"://[^/@\s]*:[^/@\s]+@")
# Paths, whatever their names sound like.
NOT_SECRET = frozenset(
    {"PERENNIAL_TORCHSERVE_KEY_FILE", "PERENNIAL_OIP_KEY_FILE", "GOOGLE_APPLICATION_CREDENTIALS"}
)


def environment_of(
    step: Step, place: Settings, ours: Mapping[str, str], image: str, gpu_missing: str = ""
) -> dict[str, str]:
    """The variables of a step, beside those that its image sets.

    Args:
        ours: The environment of this process.
        image: The image that the step runs in, by digest.
        gpu_missing: Why it gets no GPU although it asked for one.
    """
    names = STORE + of_platform(step.verb)
    given = {
        f"PERENNIAL_{name.upper()}": _text(getattr(place, name))
        for name in names
        if name in place.model_fields_set
    }
    login = login_of(step, place)
    kept_back = OF_THIS_MACHINE | (LOGIN if login else frozenset())
    credentials = {
        name: value for name, value in ours.items() if name.startswith(PASSED_ON) and name not in kept_back
    }
    refused = {"PERENNIAL_GPU_MISSING": gpu_missing} if gpu_missing else {}
    return {**credentials, **login, **given, **_own(step, image), **refused}


def withheld(verb: str) -> frozenset[str]:
    """The variables of ours that a step of this verb is not told, wherever it runs."""
    platform = set(PLATFORM) - set(of_platform(verb))
    return frozenset({KEY, HEARTBEAT, *(f"PERENNIAL_{name.upper()}" for name in platform)})


def of_platform(verb: str) -> tuple[str, ...]:
    """What a verb is told of the platform, beside the store."""
    return () if verb in MODEL_CODE else ASKS_ARCHIVES.get(verb, PLATFORM)


def _own(step: Step, image: str) -> dict[str, str]:
    """`OMP_NUM_THREADS`: a limit of cores is invisible to torch,
    which would start a thread for each core of the machine.
    """
    return {
        "HOME": SCRATCH,
        "TMPDIR": SCRATCH,
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(math.ceil(step.resources.cpus)),
        "PERENNIAL_HOME": SCRATCH,
        "PERENNIAL_IMAGE_DIGEST": image,
        "PERENNIAL_MEMORY_MIB": str(step.resources.memory_mib),
        "PERENNIAL_SCRATCH_MIB": str(step.resources.scratch_mib),
    }


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def is_secret(name: str, value: str) -> bool:
    """Whether a variable's value must not be seen by those who may look at pods, or at a task's fields."""
    return name not in NOT_SECRET and bool(SECRET.search(name) or PASSWORD_IN_URL.search(value))


def command_of(verb: str, request_url: str, result_url: str, model: str | None) -> tuple[str, ...]:
    """What runs in a container: the step changes to its
    model's own environment by itself, where the image has one.
    """
    files = ("--request", request_url, "--result", result_url)
    return ("python", "-m", "tasks", verb, *files, *(("--model", model) if model else ()))
