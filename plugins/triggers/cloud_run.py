"""Wait, in the triggerer, until a Cloud Run service has done what it was told.

It looks at the service and not at Google's operation, so that a triggerer, or a try, that starts anew goes on
without having kept anything.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Literal

from airflow.triggers.base import BaseTrigger, TriggerEvent

from tasks.contracts import CloudRunPlan

Seen = dict[str, Any]


class CloudRunTrigger(BaseTrigger):
    """Fires once, with what was seen; its `state` is `ready`, `failed`, or `late` when the time is over.

    Args:
        plan: A `CloudRunPlan` as JSON.
        what: Whether the plan's revision is looked at, or where the traffic goes.
        until: When the time is over, in ISO format.
        poll_seconds: Between two looks.
    """

    def __init__(
        self, plan: Seen, what: Literal["revision", "traffic"], until: str, poll_seconds: float
    ) -> None:
        super().__init__()
        self.plan = plan
        self.what = what
        self.until = until
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, Seen]:
        """What Airflow makes this trigger again from."""
        names = ("plan", "what", "until", "poll_seconds")
        return "plugins.triggers.cloud_run.CloudRunTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until it has happened; at least once."""
        while True:
            seen = await asyncio.to_thread(self._look)
            if seen["state"] == "pending" and datetime.now(UTC) >= datetime.fromisoformat(self.until):
                seen["state"] = "late"
            if seen["state"] != "pending":
                yield TriggerEvent(seen)
                return
            await asyncio.sleep(self.poll_seconds)

    def _look(self) -> Seen:
        """What there is; a Google that does not answer is asked again until the time is over."""
        from google.api_core.exceptions import GoogleAPICallError

        from plugins.cloud_run.service import CloudRunService

        service = CloudRunService(CloudRunPlan.model_validate(self.plan))
        try:
            return service.look() if self.what == "revision" else service.look_at_traffic()
        except GoogleAPICallError as error:
            self.log.warning("Cloud Run cannot be seen; it is looked at again until it can: %s", error)
            return {"state": "pending", "said": f"Cloud Run cannot be seen: {error}", "serving": {}}
