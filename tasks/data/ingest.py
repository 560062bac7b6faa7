"""Let landed files join their table: write, audit, publish.

A file is judged before a row of it can be read from the table. What will be published is staged first, and
every append is made once for a batch, whose name is the hash of its content. So an ingest may be killed at
any point, run again, or run twice at the same time: each accepted row joins once, each other row is in the
quarantine table or its file beside the reason.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from tasks.contracts import FileOutcome, IngestRequest, IngestResult
from tasks.data import quarantine
from tasks.data.file_readers import content_of
from tasks.data.landing import Landing, Plan
from tasks.data.outcomes import Outcomes, result_of
from tasks.errors import DataRejected, InvalidRequest, PerennialError
from tasks.stores.files import at
from tasks.stores.lake import Lake


def ingest(request: IngestRequest) -> IngestResult:
    """Settle the named files, or all that wait; a file that is refused is a result, not an error.

    A retry answers for what its earlier tries settled, too.

    Raises:
        InvalidProject: The table's suite is wrong; the files wait.
        InvalidRequest: A name is not one of a file in the landing folder; the others are settled.
        LakeError: The table is there with other columns.
    """
    run = _Run(request)
    run.settle_all(run.landing.files() if request.files is None else request.files)
    run.require_settled(request.files or ())
    table, lake = request.table.table, run.lake
    version = lake.latest(table) if lake.exists(table) else None
    return result_of(table, run.outcomes.all()).model_copy(update={"table_version": version})


class _Run:
    """One step's ingest. Its outcomes lie in the step's folder, where a retry finds them."""

    def __init__(self, request: IngestRequest) -> None:
        for name in request.files or ():
            if "/" in name or "\\" in name or name.startswith("."):
                raise InvalidRequest(
                    f"{name!r} is not the name of a landed file. Name files of the landing folder itself."
                )
        self.request = request
        self.table = request.table.table
        self.quarantine = quarantine.name_of(self.table)
        self.lake = Lake()
        self.landing = Landing(self.table)
        self.outcomes = Outcomes(request.context.work_url)

    def settle_all(self, names: Sequence[str]) -> None:
        """Settle each file.

        A fault of the machine at one does not keep the others: the first such is raised at the end.
        """
        faults: list[Exception] = []
        for name in names:
            try:
                self._settle(name)
            except PerennialError:
                raise
            except Exception as error:  # noqa: BLE001 - raised below
                error.add_note(f"while {name} was ingested")
                faults.append(error)
        self.landing.sweep()
        if faults:
            raise faults[0]

    def require_settled(self, names: Sequence[str]) -> None:
        """Say which of the named files this step has not found."""
        found = {outcome.file for outcome in self.outcomes.all()}
        if missing := [name for name in names if name not in found]:
            raise InvalidRequest(
                f"There is no {', '.join(missing)} in the landing folder of {self.table!r}. Name a file that "
                "waits there; what was ingested lies in .archive, what was refused in .refused.",
                missing=missing,
            )

    def _settle(self, name: str) -> None:
        """Publish or refuse one file, unless another ingest has settled it meanwhile."""
        data = self.landing.read(name)
        if data is None:
            return
        self.lake.create(self.table, self.request.table.columns)
        self.lake.create(self.quarantine, quarantine.COLUMNS)
        batch_id = hashlib.sha256(data).hexdigest()[:32]
        try:
            content = content_of(name, data)
            batch_id = hashlib.sha256(content).hexdigest()[:32]
            self._refuse_again(name, batch_id)
            plan = self.landing.plan(batch_id) or self._plan(name, content, batch_id)
        except DataRejected as error:
            self._refuse(name, batch_id, error)
        else:
            if plan:
                self._publish(name, batch_id, plan)

    def _refuse_again(self, name: str, batch_id: str) -> None:
        """Refuse content that is there already.

        Raises:
            DataRejected: A file with the same content was published, or waits under another name and will be.
        """
        advice = "Remove it, or land rows that are new."
        before, plan = self.landing.archived(batch_id), self.landing.plan(batch_id)
        if before == name and plan is not None:
            return  # an ingest was killed while it moved the file, or moves it now: this one carries on
        if before:
            raise DataRejected(
                f"{name} has the same content as {before}, which was ingested as the batch {batch_id}. "
                f"{advice}"
            )
        if plan is None and any(
            self.lake.app_version(table, batch_id) for table in (self.table, self.quarantine)
        ):
            raise DataRejected(
                f"{name} has the same content as the batch {batch_id}, which was ingested before. {advice}"
            )
        if plan is not None and plan.outcome.file != name and self.landing.waits(plan.outcome.file):
            raise DataRejected(
                f"{name} has the same content as {plan.outcome.file}, which is being ingested. {advice}"
            )

    def _plan(self, name: str, content: bytes, batch_id: str) -> Plan | None:
        """Audit a new file and stage what will be published of it."""
        from tasks.data.audit import (
            audit,
        )  # imports Great Expectations: seconds that a run without new files does not pay

        found = audit(
            name, content, self.request.table, str(at(self.request.context.work_url, "reports", batch_id))
        )
        outcome = FileOutcome(
            file=name,
            status="published" if len(found.accepted) else "empty",
            batch_id=batch_id,
            published_rows=len(found.accepted),
            quarantined_rows=len(found.quarantined),
            report_url=found.report.url,
        )
        return self.landing.stage(batch_id, outcome, found.accepted, found.quarantined)

    def _publish(self, name: str, batch_id: str, plan: Plan) -> None:
        try:
            accepted, quarantined = (
                self.landing.staged_rows(batch_id, plan, kind) for kind in ("accepted", "quarantined")
            )
        except FileNotFoundError:
            if self.landing.archived(batch_id):
                return
            raise
        again = self.lake.app_version(self.table, batch_id) is not None
        origin = {"file": name, "step_key": self.request.context.step_key}
        if len(quarantined):
            self.lake.append(self.quarantine, quarantined, batch_id=batch_id, metadata=origin)
        version = None
        if len(accepted):
            version = self.lake.append(self.table, accepted, batch_id=batch_id, metadata=origin)
        status = "already_published" if again else plan.outcome.status
        told = {"file": name, "status": status, "table_version": version}
        self.outcomes.record(plan.outcome.model_copy(update=told))
        self.landing.archive(name, batch_id)

    def _refuse(self, name: str, batch_id: str, error: DataRejected) -> None:
        outcome = FileOutcome(
            file=name,
            status="refused",
            batch_id=batch_id,
            reason=str(error),
            report_url=error.evidence.get("report_url"),
        )
        reason = {
            **outcome.model_dump(mode="json", include={"file", "batch_id", "reason", "report_url"}),
            "table": self.table,
            "refused_at": datetime.now(UTC).isoformat(),
            "step_key": self.request.context.step_key,
        }
        if self.landing.waits(name):
            self.outcomes.record(outcome)
            if not self.landing.refuse(name, reason):
                self.outcomes.forget(outcome)
