"""Steps as pods of a Kubernetes cluster, which go on when their worker dies and are followed by the next one.

A pod's name comes from its step alone, and a namespace has no two of one name: making it is the lock on the
step. Who finds the name taken looks at the hash of the request: the same work is followed, or its end taken;
other work is removed.
"""

import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from airflow.settings import pod_mutation_hook
from kubernetes.client import ApiException, V1DeleteOptions, V1Preconditions
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from plugins.runners.kubernetes import pod_status
from plugins.runners.kubernetes.errors import CONFLICT, NOT_FOUND, UNPROCESSABLE, may_pass, translate_errors
from plugins.runners.kubernetes.pod import CONTAINER, GPU, GRACE_SECONDS, PodSpec, pod_of
from plugins.runners.labels import as_left
from plugins.runners.log_stream import LogStream
from plugins.runners.step import Ended, EngineFault, Left, Say, State, Step
from plugins.runners.worker import require
from tasks.settings import settings

TIMEOUT_SECONDS = (5, 60)
PATIENCE_SECONDS = 60
LOOK_SECONDS = 0.5
GOING_SECONDS = GRACE_SECONDS + 60
KILLED = -9
Pod = Any
log = logging.getLogger(__name__)


def client_of_the_cluster() -> Any:
    """Airflow's client of the cluster that its connection names."""
    return KubernetesHook(conn_id=settings().kubernetes_connection).core_v1_client


def manifest_of(spec: PodSpec) -> Pod:
    """The pod as the installation's `pod_mutation_hook` leaves it."""
    pod = PodGenerator.deserialize_model_dict(spec.body())
    pod_mutation_hook(pod)
    return pod


class KubernetesRunner:
    """Runs steps in pods of the cluster that Airflow's connection names."""

    outlives = True

    def __init__(self) -> None:
        self._client: Any = None
        self._namespace = settings().kubernetes_namespace
        self._job: str | None = None
        self._stopped = False

    # --- start ----------------------------------------------------------------------------------------------

    def submit(self, step: Step, begin: Callable[[], object]) -> str:
        """Make the step's pod, or find it. One that only prefers a
        GPU does without, when no node with one takes it in time.

        Raises:
            InvalidProject: A setting is wrong, or the cluster refuses the pod.
            EngineFault: The cluster does not answer, or fails.
        """
        wish = step.resources.gpus
        with translate_errors():
            pod = self._find_or_start(step, pod_of(step, settings(), gpus=int(wish != "none")), begin)
            if wish == "preferred" and (missing := self._why_unplaced(pod)):
                self._remove(_job(pod))
                spec = pod_of(step, settings(), gpus=0, gpu_missing=missing)
                pod = self._find_or_start(step, spec, begin)
        self._job = _job(pod)
        return self._job

    def _find_or_start(self, step: Step, spec: PodSpec, begin: Callable[[], object]) -> Pod:
        found = self._find(spec.name)
        if found is not None and (pod_status.is_going(found) or not _same(found, step)):
            self._remove(_job(found))
            self._await_gone(_job(found))
            found = None
        found = found or self._create(spec)
        if pod_status.is_gated(found):
            begin()
            self._open_gate(found)
        else:
            log.info("The step is there already, in the pod %s; it is followed.", spec.name)
        return found

    def _create(self, spec: PodSpec) -> Pod:
        """Make it; where another worker was quicker, its pod."""
        try:
            return self._cluster().create_namespaced_pod(
                self._namespace, manifest_of(spec), _request_timeout=TIMEOUT_SECONDS
            )
        except ApiException as error:
            if error.status != CONFLICT:
                raise
            return self._inspect(spec.name)

    def _open_gate(self, pod: Pod) -> None:
        """Let the pod begin; fine where another worker has just done so."""
        opened = [
            {"op": "test", "path": "/metadata/uid", "value": pod.metadata.uid},
            {"op": "remove", "path": "/spec/schedulingGates"},
        ]
        name = pod.metadata.name
        try:
            self._cluster().patch_namespaced_pod(
                name, self._namespace, opened, _request_timeout=TIMEOUT_SECONDS
            )
        except ApiException as error:
            if error.status != UNPROCESSABLE or pod_status.is_gated(self._inspect(name)):
                raise

    def _why_unplaced(self, pod: Pod) -> str | None:
        """Why no node has taken a pod that asks for a GPU; None where one has, or it asks for none."""
        deadline = pod.metadata.creation_timestamp.timestamp() + settings().kubernetes_gpu_seconds
        while True:
            found = self._inspect(pod.metadata.name)
            missing = pod_status.without_node(found)
            asks = GPU in (found.spec.containers[0].resources.limits or {})
            if not asks or found.spec.node_name or pod_status.has_ended(found):
                return None
            if time.time() >= deadline:
                return missing or "no node took the pod"
            time.sleep(LOOK_SECONDS)

    def _await_gone(self, job: str) -> None:
        deadline = time.monotonic() + GOING_SECONDS
        while self._find(job) is not None:
            if time.monotonic() > deadline:
                raise EngineFault(
                    f"The pod {job} is still there {GOING_SECONDS} seconds after it was deleted; its node "
                    "may be lost."
                )
            time.sleep(LOOK_SECONDS)

    # --- follow ---------------------------------------------------------------------------------------------

    def state(self, job: str, step: Step) -> State:
        """Whether the step is there; what was never started, or asked for something else, is not the step."""
        with translate_errors():
            found = self._find(job)
        if (
            found is None
            or not _same(found, step)
            or pod_status.is_gated(found)
            or pod_status.is_going(found)
        ):
            return "gone"
        return "ended" if pod_status.has_ended(found) else "running"

    def follow(self, job: str, step: Step, say: Say, since: str | None, seen: Callable[[str], None]) -> Ended:
        """Pass on what the pod prints until it has ended, and before that, what it waits for.

        Raises:
            WorkerLost: The supervisor of this task is gone; the pod goes on.
            EngineFault: The cluster does not answer for a minute.
        """
        self._job, parent, waits_for = job, os.getppid(), None
        stream = LogStream(lambda start: self._open_log(job, start), since)
        with translate_errors():
            while (found := self._find(job)) is not None and not self._stopped:
                require(parent)
                waits_for = _tell(found, waits_for, say)
                if pod_status.has_begun(found):
                    for line in stream.lines(lambda: require(parent)):
                        say(line)
                        if stream.last:
                            seen(stream.last)
                if (end := _end(found, step)) and not self._stopped:
                    return end
                time.sleep(LOOK_SECONDS)
            return self._early_end(job)

    def _early_end(self, job: str) -> Ended:
        if not self._stopped:
            return Ended(None, f"Its pod {_name(job)} was removed while it was followed, or its node was.")
        self._remove(job)
        return Ended(KILLED, "It was stopped: its task was cleared, marked, or ran out of time.")

    def _open_log(self, job: str, start: float | None) -> Iterator[bytes]:
        """The log's lines; whole seconds are all that Kubernetes
        lets one choose, what it repeats is left out by its time.
        """
        response = self._cluster().read_namespaced_pod_log(
            _name(job),
            self._namespace,
            container=CONTAINER,
            follow=True,
            timestamps=True,
            _preload_content=False,
            _request_timeout=(TIMEOUT_SECONDS[0], None),
            **({"since_seconds": max(1, math.ceil(time.time() - start) + 1)} if start else {}),
        )
        return iter(response)

    # --- end ------------------------------------------------------------------------------------------------

    def remove(self, job: str) -> None:
        """Leave nothing of a pod; fine where there is none."""
        with translate_errors():
            self._remove(job)

    def stop(self) -> None:
        """Delete the pod.

        By a connection of its own, because a signal may have come in the middle of a call.
        """
        self._stopped = True
        if self._job is not None:
            with translate_errors():
                _delete(client_of_the_cluster(), self._namespace, self._job)

    def list_left(self) -> list[Left]:
        """Every pod of this installation."""
        selector = f"perennial.installation={settings().installation}"
        with translate_errors():
            pods = self._cluster().list_namespaced_pod(
                self._namespace, label_selector=selector, _request_timeout=TIMEOUT_SECONDS
            )
        return [
            as_left(_job(pod), pod.metadata.annotations) for pod in pods.items if not pod_status.is_going(pod)
        ]

    # --- cluster --------------------------------------------------------------------------------------------

    def _cluster(self) -> Any:
        if self._client is None:
            self._client = client_of_the_cluster()
        return self._client

    def _find(self, job: str) -> Pod | None:
        """The pod, if it is that very one: a later one may have its name."""
        try:
            found = self._inspect(_name(job))
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise
            return None
        return found if _uid(job) in {None, found.metadata.uid} else None

    def _inspect(self, name: str) -> Pod:
        """Patiently: a control plane that restarts is back in seconds."""
        for attempt in Retrying(
            retry=retry_if_exception(may_pass),
            wait=wait_fixed(1),
            stop=stop_after_delay(PATIENCE_SECONDS),
            reraise=True,
        ):
            with attempt:
                found = self._cluster().read_namespaced_pod(
                    name, self._namespace, _request_timeout=TIMEOUT_SECONDS
                )
        return found

    def _remove(self, job: str) -> None:
        _delete(self._cluster(), self._namespace, job)


def _delete(cluster: Any, namespace: str, job: str) -> None:
    """Delete that very pod; fine where it is gone."""
    options = V1DeleteOptions(preconditions=V1Preconditions(uid=_uid(job))) if _uid(job) else None
    try:
        cluster.delete_namespaced_pod(
            _name(job),
            namespace,
            grace_period_seconds=GRACE_SECONDS,
            body=options,
            _request_timeout=TIMEOUT_SECONDS,
        )
    except ApiException as error:
        if error.status not in {NOT_FOUND, CONFLICT}:
            raise


def _job(pod: Pod) -> str:
    return f"{pod.metadata.name}/{pod.metadata.uid}"


def _name(job: str) -> str:
    return job.partition("/")[0]


def _uid(job: str) -> str | None:
    return job.partition("/")[2] or None


def _same(pod: Pod, step: Step) -> bool:
    notes = pod.metadata.annotations or {}
    return bool(notes.get("perennial.request_sha256") == step.request_sha256)


def _tell(pod: Pod, told: str | None, say: Say) -> str | None:
    """Say what the pod waits for, once, and return it."""
    waits_for = pod_status.waits_for(pod)
    if waits_for and waits_for != told:
        say(f"Waiting. {waits_for}")
    return waits_for


def _end(pod: Pod, step: Step) -> Ended | None:
    if pod_status.has_ended(pod):
        return pod_status.end_of(pod, step)
    never = pod_status.never_begins(pod)
    return Ended(None, never, final=True) if never else None
