"""What a pod's status says, in our words: whether it began, waits, will never begin, or how it ended."""

import re
from typing import Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import detect_pod_terminate_early_issues

from plugins.runners.kubernetes.pod import CONTAINER, GATE
from plugins.runners.step import Ended, Step
from tasks.runtime import limits

SIGNALS = 128
KILLED = -9
FINAL_PHASES = frozenset({"Succeeded", "Failed"})
NEVER_BEGINS = frozenset({"CreateContainerConfigError", "CreateContainerError"})
NEVER_BEGAN = frozenset({"ContainerCannotRun", "StartError"})
OUT_OF_DISK = re.compile(r"EmptyDir volume|ephemeral local storage|ephemeral-storage", re.IGNORECASE)


def is_gated(pod: Any) -> bool:
    """Whether nobody has started it yet."""
    return any(gate.name == GATE for gate in pod.spec.scheduling_gates or ())


def is_going(pod: Any) -> bool:
    """Whether it is being deleted."""
    return pod.metadata.deletion_timestamp is not None


def has_begun(pod: Any) -> bool:
    """Whether there is a log."""
    state = _state(pod)
    return bool(state and (state.running or state.terminated))


def has_ended(pod: Any) -> bool:
    """Whether the step has ended; containers that a mesh puts beside it may go on."""
    state = _state(pod)
    return pod.status.phase in FINAL_PHASES or bool(state and state.terminated)


def waits_for(pod: Any) -> str | None:
    """Why it has not begun, as the scheduler or the node says; None where they say nothing."""
    state = _state(pod)
    if state and state.waiting and state.waiting.reason != "ContainerCreating":
        return f"{state.waiting.reason}: {state.waiting.message or 'no message'}"
    return without_node(pod)


def without_node(pod: Any) -> str | None:
    """Why no node takes it; None where one has, or nobody has looked yet."""
    found = [
        one for one in pod.status.conditions or () if one.type == "PodScheduled" and one.status == "False"
    ]
    return (
        f"{found[0].reason}: {found[0].message}" if found and found[0].reason != "SchedulingGated" else None
    )


def never_begins(pod: Any) -> str | None:
    """Why it will not begin however long one waits: its image or its configuration."""
    state = _state(pod)
    if state and state.waiting and state.waiting.reason in NEVER_BEGINS:
        return f"Its pod cannot begin ({state.waiting.reason}): {state.waiting.message}"
    found = detect_pod_terminate_early_issues(pod)
    return str(found) if found else None


def end_of(pod: Any, step: Step) -> Ended:
    """How it ended. A signal is handed on as 128 and its number."""
    state, status, wanted = _state(pod), pod.status, step.resources
    if status.reason == "Evicted":
        return _eviction(status.message or "no reason given", step)
    if status.reason == "DeadlineExceeded":
        return Ended(KILLED, "It ran past its deadline, and the cluster ended its pod.")
    end = state.terminated if state else None
    if end is None:
        return Ended(
            None, f"Its pod failed ({status.reason or 'no reason given'}): {status.message or 'no message'}"
        )
    code = SIGNALS - end.exit_code if end.exit_code > SIGNALS else end.exit_code
    if end.reason == "OOMKilled":
        why = limits.out_of_memory(step.verb, step.model, wanted.memory_mib, wanted.scratch_mib)
        return Ended(code or KILLED, why, final=True)
    if end.reason in NEVER_BEGAN:
        return Ended(code, f"Its container could not run: {end.message}", final=True)
    return Ended(code)


def _eviction(message: str, step: Step) -> Ended:
    """Its own doing, if it filled its folders; else its node's, and another node may have room."""
    if OUT_OF_DISK.search(message) and "was low on resource" not in message:
        why = limits.full_scratch(step.verb, step.model, step.resources.scratch_mib)
        return Ended(KILLED, f"{why} The cluster said: {message}", final=True)
    return Ended(KILLED, f"Its node evicted it: {message} Another try may find a node with room.")


def _state(pod: Any) -> Any:
    """Of the container that the step runs in."""
    found = [one.state for one in pod.status.container_statuses or () if one.name == CONTAINER]
    return found[0] if found else None
