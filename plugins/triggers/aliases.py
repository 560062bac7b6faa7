"""Watch MLflow's registry and tell Airflow when an alias moves, so that what a person does there takes effect
within seconds.

Runs in the triggerer, which imports it as `plugins.triggers.aliases`. An event that is lost, with a triggerer
that dies or before one has looked for the first time, is made up for by the look of each minute.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from plugins.runners.mlflow_login import reader
from tasks.errors import PerennialError
from tasks.settings import settings
from tasks.stores import mlflow_rest

Aliases = dict[str, dict[str, str]]
"""The version that each alias of each model names."""


class AliasTrigger(BaseEventTrigger):
    """Fires with the names of the models of which an alias was moved, set or removed.

    Args:
        poll_seconds: Between two looks, each of which is one request to MLflow.
    """

    def __init__(self, poll_seconds: float = 2.0) -> None:
        super().__init__()
        self.poll_seconds = poll_seconds
        self.away = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What Airflow makes this trigger again from."""
        return "plugins.triggers.aliases.AliasTrigger", {"poll_seconds": self.poll_seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event for each look that finds something moved, for ever."""
        before: Aliases | None = None
        while True:
            now = await asyncio.to_thread(self.look, before)
            if before is not None and now is not None and (models := moved(before, now)):
                yield TriggerEvent({"models": models})
            before = now
            await asyncio.sleep(self.poll_seconds)

    def look(self, last: Aliases | None) -> Aliases | None:
        """The aliases now; `last` where MLflow does not tell them, which is logged once and tried again."""
        try:
            registered = mlflow_rest.registered_models(reader(settings()))
        except PerennialError as error:
            if not self.away:
                self.log.warning("%s Aliases are looked at each minute alone, until it answers.", error)
            self.away = True
            return last
        self.away = False
        return {
            str(each["name"]): {str(one["alias"]): str(one["version"]) for one in each.get("aliases", [])}
            for each in registered
        }


def moved(before: Aliases, now: Aliases) -> list[str]:
    """The models whose aliases differ; of one that came or went, only where it has or had some."""
    return sorted(name for name in {*before, *now} if before.get(name, {}) != now.get(name, {}))
