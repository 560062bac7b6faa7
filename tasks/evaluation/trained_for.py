"""See that a candidate was trained for what its model's pipeline.yaml says now."""

from tasks.contracts import TrainedFor, TrainingRun
from tasks.errors import CheckFailed
from tasks.spec import PipelineSpec


def require_trained_for(spec: PipelineSpec, run: TrainingRun) -> None:
    """Refuse a candidate of another task, label or features, whose answers would be measured as others.

    A run of before this was kept passes.

    Raises:
        CheckFailed: It was trained for something else.
    """
    then, now = run.trained_for, TrainedFor.of(spec)
    if then is None or then == now:
        return
    pairs = {
        "task": (then.task, now.task),
        "data.label": (then.label, now.label),
        "data.features": (", ".join(then.features), ", ".join(now.features)),
    }
    changed = "; ".join(f"{name} was {old} and is {new}" for name, (old, new) in pairs.items() if old != new)
    raise CheckFailed(
        f"models/{spec.name}/pipeline.yaml was changed after run {run.run_id} was trained: {changed}. "
        "Start a new training, or change pipeline.yaml back and clear this task.",
        trained_for=then.model_dump(mode="json"),
    )
