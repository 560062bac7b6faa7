"""Look at the place where a training will run, before anything
is spent on it: with its image, its devices and its limits.

Without a wish for a GPU this imports no library of the heavy steps.
"""

import importlib
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tasks.contracts import PreflightReport, PreflightRequest, TrainRequest
from tasks.errors import GpuMissing, ServiceAway, WrongCode
from tasks.runtime import code_version
from tasks.serving.environments import require_on_platform
from tasks.serving.gateway import Gateway
from tasks.serving.replica_count import require_servers
from tasks.settings import settings
from tasks.stores import files
from tasks.training.mlflow_records import require_records

TIMEOUT_SECONDS = 10
MIB = 1024 * 1024


@dataclass(frozen=True)
class Gpu:
    """The GPU that the training will find: its name and memory, or why there is none, as a sentence."""

    name: str | None
    why: str


def preflight(request: PreflightRequest) -> PreflightReport:
    """Report on the place, or refuse the run in a sentence.

    Raises:
        WrongCode: The image was built from another commit than the run's.
        InvalidRequest: The model is to pass through an environment that the platform has not, or in another
            order than its own; or it wants more replicas than the platform has servers.
        GpuMissing: The specification requires a GPU and none is visible.
        ServiceAway: The store, MLflow or the database does not answer.
        DeletedInMlflow: The model's experiment, or the version that serves, was deleted in MLflow.
        MlflowRefused: MLflow does not answer this user.
    """
    spec = request.spec
    require_commit(request)
    require_on_platform([each.name for each in spec.release.environments])
    require_servers(spec.serving, if_named=True)
    _require_store(request.context.work_url)
    _require_mlflow(spec.name)
    _require_database()
    wanted = spec.resources.gpus
    gpu = (
        find_gpu() if wanted != "none" else Gpu(None, "pipeline.yaml asks for no GPU (resources.gpus: none).")
    )
    if wanted == "required" and gpu.name is None:
        raise GpuMissing(
            f"{spec.name} needs a GPU (resources.gpus: required), and this step sees none: {gpu.why}"
        )
    return PreflightReport(
        model=spec.name,
        device="cuda" if gpu.name else "cpu",
        gpu=gpu.name,
        why=gpu.why,
        code_commit=code_version.code_commit(settings().project),
        image_digest=settings().image_digest or None,
        memory_mib=settings().memory_mib or None,
    )


def require_commit(request: PreflightRequest | TrainRequest) -> None:
    """A run trains with the code that its DAG came from, where that is known.

    Raises:
        WrongCode: This environment holds another commit.
    """
    expected, found = request.context.code_commit, code_version.code_commit(settings().project)
    if expected is None or expected == found or request.spec.training.allow_other_commit:
        return
    raise WrongCode(
        f"The run is of commit {expected}, and the code of this step is of {found or 'no known commit'} "
        f"(image {settings().image_digest or 'none'}). Build the image from that commit (`make images` "
        "there) and set PERENNIAL_STEP_IMAGE to it, or say `training.allow_other_commit: true` in "
        "pipeline.yaml.",
        expected=expected,
        found=found,
    )


def find_gpu() -> Gpu:
    """The first GPU that torch will use, or why there is
    none: from the engine, the driver, or torch's own build.
    """
    if settings().gpu_missing:
        return Gpu(None, f"The engine has no GPU to give: {settings().gpu_missing}.")
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        return Gpu(None, f"torch cannot be imported in the step's environment ({error}).")
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        name = f"{properties.name}, {properties.total_memory // MIB} MiB"
        return Gpu(name, f"torch {torch.__version__} sees {torch.cuda.device_count()} GPU(s).")
    return Gpu(None, _why_no_gpu(torch, driver()))


def driver() -> str | None:
    """What the driver's own program says of the GPUs; None where the place has no driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nothing ({error})"
    return (done.stdout + done.stderr).strip() or "nothing"


def _why_no_gpu(torch: Any, driver_says: str | None) -> str:
    if torch.version.cuda is None:
        return (
            f"torch {torch.__version__} is built for the CPU only. Build the image with TORCH_BACKEND set to "
            "a CUDA version (`make images TORCH_BACKEND=cu126`). The driver says: "
            f"{driver_says or 'there is none'}."
        )
    if driver_says is None:
        return (
            "There is no NVIDIA driver in this step: the machine has none, or the container was started "
            "without its devices. Install the NVIDIA Container Toolkit on a machine with a GPU and send the "
            "task there (PERENNIAL_GPU_QUEUE)."
        )
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return (
            f"torch {torch.__version__} (CUDA {torch.version.cuda}) cannot use it: {error} The driver says: "
            f"{driver_says}."
        )
    return (
        f"torch {torch.__version__} (CUDA {torch.version.cuda}) finds no device. The driver says: "
        f"{driver_says}."
    )


def _require_store(work_url: str) -> None:
    probe = files.at(work_url, f".preflight-{uuid4().hex}")
    try:
        files.write_whole(probe, b"")
        files.remove(probe)
    except OSError as error:
        raise ServiceAway(
            f"The store cannot be written at {work_url}: {error}. Look at PERENNIAL_STORE_URL and its "
            "credentials."
        ) from error


def _require_mlflow(model: str) -> None:
    if not settings().mlflow_url.startswith(("http://", "https://")):
        return
    # A box at the edge has no token of the gateway's, and cannot know what serves.
    knows_gateway = bool(settings().gateway_token.get_secret_value())
    require_records(model, Gateway().route(model) if knows_gateway else None)


def _require_database() -> None:
    """Asks over the settings' own engine, which makes the platform's tables where they are missing."""
    import sqlalchemy as sa

    from tasks.stores.database import engine

    try:
        with engine().connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except sa.exc.SQLAlchemyError as error:
        place = sa.make_url(settings().database).render_as_string(hide_password=True)
        raise ServiceAway(
            f"The platform's database does not answer at {place} (PERENNIAL_DATABASE_URL): {error}"
        ) from error
