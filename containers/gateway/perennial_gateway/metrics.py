"""What Prometheus reads from the gateway: TorchServe itself has no histograms.

Where several processes answer, each writes its counts to a file in the folder that `FOLDER` names, and who is
asked adds them up.
"""

import os
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

from perennial_gateway.environments import PRODUCTION

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Read by `prometheus_client` when it is imported: it has to be in the environment before."""

Outcome = Literal["answered", "refused", "failed"]
"""What became of a request: refused through its caller's fault, failed through the version's."""

REGISTRY = CollectorRegistry()
LATENCY = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

REQUESTS = Counter(
    "perennial_gateway_requests",
    "Requests by endpoint, model and status.",
    ["endpoint", "model", "status"],
    registry=REGISTRY,
)
PREDICTIONS = Counter(
    "perennial_gateway_predictions", "Predictions answered.", ["model", "model_version"], registry=REGISTRY
)
ANSWERS = Counter(
    "perennial_gateway_answers",
    "Requests for predictions by version, role (stable, candidate, or named by the caller) and outcome.",
    ["model", "model_version", "role", "outcome"],
    registry=REGISTRY,
)
SHADOWS = Counter(
    "perennial_gateway_shadows",
    "Copies to a version that answers nobody: agreed, differed, failed or dropped.",
    ["model", "model_version", "outcome"],
    registry=REGISTRY,
)
LABELS = Counter("perennial_gateway_labels", "Labels accepted.", ["model"], registry=REGISTRY)
PREDICT_SECONDS = Histogram(
    "perennial_gateway_predict_seconds",
    "From the request's arrival to its answer, logging included; answered requests only.",
    ["model", "model_version"],
    buckets=LATENCY,
    registry=REGISTRY,
)
BACKEND_SECONDS = Histogram(
    "perennial_gateway_backend_seconds",
    "One instance at the serving backend, further tries included.",
    ["model", "model_version"],
    buckets=LATENCY,
    registry=REGISTRY,
)
BACKEND_RETRIES = Counter(
    "perennial_gateway_backend_retries",
    "Further tries at the backend.",
    ["model", "model_version"],
    registry=REGISTRY,
)
RETRIES_WITHHELD = Counter(
    "perennial_gateway_backend_retries_withheld",
    "Further tries at the backend for which the retry budget had nothing left.",
    ["model", "model_version"],
    registry=REGISTRY,
)
COMMIT_SECONDS = Histogram(
    "perennial_gateway_commit_seconds", "One commit of the log.", buckets=LATENCY, registry=REGISTRY
)
COMMIT_ROWS = Histogram(
    "perennial_gateway_commit_rows", "Rows in one commit of the log.", buckets=COUNTS, registry=REGISTRY
)
REFUSED_ROWS = Counter(
    "perennial_gateway_refused_rows",
    "Rows that the log's database refused; they are kept in a file beside the spool.",
    registry=REGISTRY,
)
SPOOLED_BYTES = Gauge(
    "perennial_gateway_spooled_bytes",
    "What the log's database has not taken yet.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)


def label_of(environment: str, model: str) -> str:
    """What the metrics call a model: in another environment than production its name comes first."""
    return model if environment == PRODUCTION else f"{environment}/{model}"


class OfVersion:
    """The counters of one version of a model, looked up once: a look-up by labels costs more than a count."""

    def __init__(self, model: str, model_version: str) -> None:
        self._names = (model, model_version)
        self._answers: dict[tuple[str | None, Outcome], Counter] = {}
        self.predictions = PREDICTIONS.labels(model, model_version)
        self.predict_seconds = PREDICT_SECONDS.labels(model, model_version)
        self.backend_seconds = BACKEND_SECONDS.labels(model, model_version)
        self.backend_retries = BACKEND_RETRIES.labels(model, model_version)
        self.backend_retries_withheld = RETRIES_WITHHELD.labels(model, model_version)
        self.labels = LABELS.labels(model)

    def count(self, role: str | None, outcome: Outcome) -> None:
        """Count a request by what became of it."""
        if (role, outcome) not in self._answers:
            self._begin(role)
        self._answers[role, outcome].inc()

    def _begin(self, role: str | None) -> None:
        """Every outcome from 0: Prometheus sees no change where a count begins, as first failures would."""
        for outcome in get_args(Outcome):
            self._answers[role, outcome] = ANSWERS.labels(*self._names, role or "named", outcome)


IN_FLIGHT = Gauge(
    "perennial_gateway_requests_in_flight",
    "Predictions being worked on.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)


class Gauges:
    """What this process is at work on, in all environments that answer on its port."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, int]] = {}

    def tell(self, environment: str, spooled_bytes: int, in_flight: int) -> None:
        """Bring the gauges up to what one environment says now. Any thread may call it."""
        self._held[environment] = (spooled_bytes, in_flight)
        held = list(self._held.values())
        SPOOLED_BYTES.set(sum(spooled for spooled, _ in held))
        IN_FLIGHT.set(sum(flying for _, flying in held))


def exposition() -> bytes:
    """All of it in Prometheus' text format, of every process. It reads files: call it in a thread."""
    if FOLDER not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def forget_process(pid: int) -> None:
    """Leave out what a process was doing that has ended; what it has done stays counted."""
    if FOLDER in os.environ:
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
