"""Write down how far a training is, and a few points of its curves, for people who watch it.

It is a small file beside the step's result, replaced at each look that finds something new. A step that
trains runs a team's own program, so it has no login of the platform's database and of Airflow; the worker
that follows the step hands the file on to where the pages read it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tasks.contracts import Curve, TrainingCurves
from tasks.stores import files
from tasks.training.points import chosen, continued, curve_of
from tasks.training.progress import Logged

FILE = "curves.json"
ALIVE_SECONDS = 30.0
"""So often it is written although nothing is new, so that a reader knows that somebody still looks."""
MOST_READ = 1000
"""A curve of more points is not read anew at each look: the newest of them is added."""


@dataclass
class Live:
    """The record of one training.

    Attributes:
        folder: Where it is written.
        curves: By the metric, with how many points it was read from, and its newest value then.
    """

    client: Any
    run_id: str
    folder: str
    begun_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    curves: dict[str, tuple[Curve, int, Logged]] = field(default_factory=dict)
    written: TrainingCurves | None = None
    written_at: float = 0.0

    def look(self, newest: Sequence[Logged], told: dict[str, Any], *, last: bool = False) -> None:
        """Write down what there is now.

        Args:
            newest: The newest value of each metric.
            told: How far it is, as fields of the record.
            last: Nothing more will be logged.

        Raises:
            MlflowException, OSError: A curve cannot be read, or the file not be written.
        """
        by_name = {each.name: each for each in newest}
        names = chosen(newest)
        for name in names:
            self._bring_up_to(by_name[name])
        now = datetime.now(UTC)
        self._write(
            TrainingCurves(
                run_id=self.run_id,
                begun_at=self.begun_at,
                at=now,
                ended_at=now if last else None,
                curves=_courses([self.curves[name][0] for name in names]),
                **told,
            )
        )

    def _bring_up_to(self, newest: Logged) -> None:
        curve, count, seen = self.curves.get(newest.name, (None, 0, None))
        if seen == newest:
            return
        if curve is None or count <= MOST_READ:
            history = self.client.get_metric_history(self.run_id, newest.name)
            logged = [Logged(each.key, each.value, each.step, each.timestamp / 1000) for each in history]
            curve, count = curve_of(newest.name, logged), len(logged)
        else:
            curve, count = continued(curve, newest), count + 1
        self.curves[newest.name] = (curve, count, newest)

    def _write(self, record: TrainingCurves) -> None:
        """Write what is new; of what is not, now and then, when it was looked at."""
        ages = {"at": self.begun_at, "seconds_left": None}
        is_new = self.written is None or record.model_copy(update=ages) != self.written.model_copy(
            update=ages
        )
        if is_new or time.monotonic() - self.written_at >= ALIVE_SECONDS:
            files.write_text(self.folder, FILE, text=record.model_dump_json())
            self.written, self.written_at = record, time.monotonic()


def _courses(curves: Sequence[Curve]) -> tuple[Curve, ...]:
    """Without those of one value, which show no course, where there are others."""
    several = tuple(curve for curve in curves if len(curve.points) > 1)
    return several or tuple(curves)
