"""Which variables of ours something reads, and what to say of those that nothing does."""

from collections.abc import Iterator
from difflib import get_close_matches

from cli.settings import CommandSettings
from embedded.settings import EmbeddedSettings
from tasks.settings import PROJECT, Settings
from tasks.variables import PREFIX, given_variables

SERVICES = ("AIRFLOW", "ENGINE", "GATEWAY", "INFERENCE", "ML", "MLFLOW", "OBJECTSTORE", "TORCHSERVE")
IMAGES = {f"{name}_IMAGE" for name in SERVICES}
OF_CONTAINERS = {
    "ENGINE_CONTAINERS",
    "ENGINE_CPUS",
    "ENGINE_HOST",
    "ENGINE_IMAGES",
    "ENGINE_MEMORY_MIB",
    "ENGINE_PIDS",
    "ENGINE_PORT",
    "ENGINE_PULL",
    "ENGINE_SOCKET",
    "GATEWAY_DATABASE_URL",
    "GATEWAY_ENVIRONMENT",
    "GATEWAY_HOST",
    "INFERENCE_FOLDER",
    "INFERENCE_GPUS",
    "INFERENCE_HOST",
    "INFERENCE_KEY_FILE",
    "INFERENCE_MOST_BYTES",
    "INFERENCE_QUEUE",
    "INFERENCE_SCRATCH",
    "INFERENCE_START_SECONDS",
    "INFERENCE_STORE",
    "INFERENCE_TOKEN",
    "MLFLOW_ARTIFACTS_URL",
    "MLFLOW_DATABASE_URL",
    "MLFLOW_HOST",
    "MLFLOW_METRICS_PORT",
    "TORCHSERVE_HOST",
    "USER",
}
OF_PROCESSES = {
    "CLONE",
    "ON",
    "PLATFORM_PROCESS",
    "PLATFORM_PROCESS_OF_START",
    "STEP",
    "WORKER_LAUNCHER",
    "WORKER_PYTHON",
    "WORKER_SPAWNER",
}
"""What programs of ours tell each other; ON is read by `./perennial`."""

OF_SETTINGS = {
    name.upper() for kind in (Settings, EmbeddedSettings, CommandSettings) for name in kind.model_fields
}
KNOWN = frozenset(PREFIX + name for name in OF_SETTINGS | OF_CONTAINERS | OF_PROCESSES | IMAGES)


def tell_unread() -> Iterator[str]:
    """A sentence for each variable of ours in the environment or in .env that nothing reads."""
    names = {name.removeprefix(PREFIX): name for name in KNOWN}
    for variable, source in sorted(given_variables(PROJECT / ".env").items()):
        if variable not in KNOWN:
            meant = get_close_matches(variable.removeprefix(PREFIX), names, n=1)
            what_to_do = f"do you mean {names[meant[0]]}?" if meant else "correct or remove it."
            yield f"Nothing reads {variable} (from {source}): {what_to_do}"
