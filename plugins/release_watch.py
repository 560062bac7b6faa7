"""Wait, in the triggerer, until a stage of a release has something to decide."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator, Context

from plugins.triggers.rollout import StageTrigger
from tasks.spec import PipelineSpec

LATER = timedelta(minutes=5)
"""After the stage's longest time, Airflow ends a task whose trigger does not answer."""


class WatchStage(BaseOperator):
    """Hold no slot until the stage's decision is not `wait`, or its split is gone; the XCom says which.

    Args:
        spec: The model.
        stage: A `Stage` as JSON; usually another task's output.
        longest_seconds: How long the stage may last.
        poll_seconds: Between two looks at the gateway.
    """

    template_fields: Sequence[str] = ("stage",)

    def __init__(
        self,
        *,
        spec: PipelineSpec,
        stage: Any,
        longest_seconds: float,
        poll_seconds: float = 2.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.spec = spec
        self.stage = stage
        self.longest_seconds = longest_seconds
        self.poll_seconds = poll_seconds

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's name
        """Let the triggerer wait."""
        trigger = StageTrigger(self.stage, self.spec.model_dump(mode="json"), self.poll_seconds)
        timeout = timedelta(seconds=self.longest_seconds) + LATER
        self.defer(trigger=trigger, method_name="end", timeout=timeout)

    def end(self, context: Context, event: dict[str, Any]) -> str:  # noqa: ARG002 - Airflow's names
        """Tell what was seen; the step after this decides."""
        self.log.info("%s", event["why"])
        return str(event["verdict"])
