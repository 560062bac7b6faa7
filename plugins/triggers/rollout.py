"""Look at a stage of a release every few seconds, in the triggerer, until there is something to decide.

It decides nothing: the step after it does, and writes it down. Everything that it has to know is in its
serialised arguments, so that a triggerer that starts anew goes on.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from tasks.contracts import Stage
from tasks.errors import PerennialError
from tasks.release.judge_stage import see_stage
from tasks.serving.gateway import Gateway
from tasks.spec import PipelineSpec

Seen = dict[str, Any]


class StageTrigger(BaseTrigger):
    """Fires once: as soon as the stage's decision is not `wait`, its split is gone, or its time is over.

    Args:
        stage: A `Stage` as JSON.
        spec: The model's specification as JSON.
        poll_seconds: Between two looks.
    """

    def __init__(self, stage: dict[str, Any], spec: dict[str, Any], poll_seconds: float) -> None:
        super().__init__()
        self.stage = stage
        self.spec = spec
        self.poll_seconds = poll_seconds
        self._is_away = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What Airflow makes this trigger again from."""
        names = ("stage", "spec", "poll_seconds")
        return "plugins.triggers.rollout.StageTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is something to decide; at least once."""
        stage, spec = Stage.model_validate(self.stage), PipelineSpec.model_validate(self.spec)
        while True:
            seen = await asyncio.to_thread(self._look, stage, spec)
            if seen is not None or datetime.now(UTC) >= stage.until:
                yield TriggerEvent(seen or {"verdict": "over", "why": "The stage's time is over."})
                return
            await asyncio.sleep(self.poll_seconds)

    def _look(self, stage: Stage, spec: PipelineSpec) -> Seen | None:
        """What is to be decided; a gateway that does not answer is told of once and asked again."""
        try:
            seen = look(stage, spec, Gateway(retries=1))
        except PerennialError as error:
            if not self._is_away:
                self.log.warning("The stage cannot be seen; it is looked at again until it can: %s", error)
            self._is_away = True
            return None
        self._is_away = False
        return seen


def look(stage: Stage, spec: PipelineSpec, gateway: Gateway) -> Seen | None:
    """What there is to decide; None for nothing yet.

    Raises:
        ServingError: The gateway does not answer.
    """
    split = gateway.split(stage.model)
    if split is None or split.release_id != stage.release_id:
        return {"verdict": "gone", "why": "The gateway divides the requests no more: somebody ended this."}
    decision = see_stage(stage, spec, gateway)
    return None if decision.verdict == "wait" else {"verdict": decision.verdict, "why": decision.why}
