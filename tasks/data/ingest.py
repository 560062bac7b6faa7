"""Let landed files join their table: write, audit, publish.

A file is judged before a row of it can be read from the table. What will be published is staged first, and
every append is made once for a batch, whose name is the hash of its content. So an ingest may be killed at
any point, run again, or run twice at the same time: each accepted row joins once, each other row is in the
quarantine table or its file beside the reason.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from tasks.contracts import Action, FileOutcome, IngestRequest, IngestResult
from tasks.data import quarantine
from tasks.data.landed_file import LandedFile, take
from tasks.data.landing import Arrival, Landing, Plan
from tasks.data.landing_names import is_landed
from tasks.data.outcomes import Outcomes, result_of
from tasks.errors import DataRejected, InvalidRequest, MachineFull, PerennialError
from tasks.ledger import entries
from tasks.stores.files import at, remove, write_text
from tasks.stores.lake import Lake
from tasks.stores.machine import is_of_machine

AGAIN = "Remove it, or land rows that are new."


def ingest(request: IngestRequest) -> IngestResult:
    """Settle the named files, or all that wait; a file that is refused is a result, not an error.

    A retry answers for what its earlier tries settled, too. A file that is still being written waits.

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
        self.request = request
        self.table = request.table.table
        self.quarantine = quarantine.name_of(self.table)
        self.lake = Lake()
        self.landing = Landing(self.table)
        self.outcomes = Outcomes(request.context.work_url)
        for name in request.files or ():
            _require_name(name)

    def settle_all(self, names: Sequence[str]) -> None:
        """Settle each file that is at rest.

        A fault of the machine at one does not keep the others: the first such is raised at the end. One at
        which an earlier try was killed comes last.
        """
        ready = dict.fromkeys(self.landing.at_rest(names))
        for name in names:
            if name not in ready and self.landing.waits(name):
                print(f"{name} is still being written, and waits.", flush=True)
        faults: list[Exception] = []
        for name in sorted(ready, key=self._killed_at):
            try:
                self._settle(name)
            except PerennialError as error:
                if not isinstance(error, MachineFull):
                    raise
                faults.append(error)
            except Exception as error:  # noqa: BLE001 - raised below
                error.add_note(f"while {name} was ingested")
                faults.append(error)
        self.landing.sweep()
        if faults:
            raise faults[0]

    def require_settled(self, names: Sequence[str]) -> None:
        """Say which of the named files this step has not found, or has found unfinished."""
        found = {outcome.file for outcome in self.outcomes.all()}
        left = [name for name in names if name not in found]
        if writing := [name for name in left if self.landing.waits(name)]:
            raise InvalidRequest(
                f"{', '.join(writing)} changed while it was looked at: its writer has not finished. It waits "
                f"in the landing folder of {self.table!r}; name it again when it is whole.",
                writing=writing,
            )
        if left:
            raise InvalidRequest(
                f"There is no {', '.join(left)} in the landing folder of {self.table!r}. Name a file that "
                "waits there; what was ingested lies in .archive, what was refused in .refused.",
                missing=left,
            )

    def _settle(self, name: str) -> None:
        """Publish or refuse one file, unless another ingest has settled it meanwhile."""
        state = self.landing.state(name)
        if state is None:
            return
        self.lake.create(self.table, self.request.table.columns)
        self.lake.create(self.quarantine, quarantine.COLUMNS)
        write_text(self._mark_of(name), text=name)
        arrival = Arrival(name, state)
        try:
            landed = take(self.landing, arrival)
            if landed is None:
                print(f"{name} changed or went away while it was read.", flush=True)
            else:
                self._settle_content(landed)
        except DataRejected as error:
            self._refuse(arrival, arrival.identity[:32], error)
        remove(at(self._mark_of(name)))

    def _settle_content(self, landed: LandedFile) -> None:
        with landed:
            try:
                self._refuse_again(landed.name, landed.batch_id)
                plan = self.landing.plan(landed.batch_id) or self._plan(landed)
            except DataRejected as error:
                if is_of_machine(error):
                    raise (error.__cause__ or error) from error
                self._refuse(landed.arrival, landed.batch_id, error)
                return
        if plan:
            self._publish(landed.arrival, landed.batch_id, plan)

    def _refuse_again(self, name: str, batch_id: str) -> None:
        """Refuse content that is there already.

        Raises:
            DataRejected: A file with the same content was published, or waits under another name and will be.
        """
        before, plan = self.landing.find_archived(batch_id), self.landing.plan(batch_id)
        if before == name and plan is not None:
            return  # an ingest was killed while it moved the file, or moves it now: this one carries on
        if before:
            raise DataRejected(
                f"{name} has the same content as {before}, which was ingested as the batch {batch_id}. "
                f"{AGAIN}"
            )
        if plan is None and any(
            self.lake.app_version(table, batch_id) for table in (self.table, self.quarantine)
        ):
            raise DataRejected(
                f"{name} has the same content as the batch {batch_id}, which was ingested before. {AGAIN}"
            )
        if plan is not None and plan.outcome.file != name and self.landing.waits(plan.outcome.file):
            raise DataRejected(
                f"{name} has the same content as {plan.outcome.file}, which is being ingested. {AGAIN}"
            )

    def _plan(self, landed: LandedFile) -> Plan | None:
        """Audit a new file, and stage what will be published of it.

        Raises:
            DataRejected: Nothing will be; so says whatever goes wrong, unless it is the machine that failed.
        """
        # Imports Great Expectations: seconds that a run without new files does not pay.
        from tasks.data.judge_file import judge_file

        staging = self.landing.staging(landed.batch_id)
        work_url = str(at(self.request.context.work_url, "reports", landed.batch_id))
        try:
            outcome = judge_file(landed, self.request.table, self.lake, staging, work_url)
            return self.landing.stage(landed.batch_id, outcome, staging)
        except BaseException as error:
            staging.discard()
            if isinstance(error, PerennialError) or not isinstance(error, Exception) or is_of_machine(error):
                raise
            raise DataRejected(f"{landed.name} cannot be judged: {type(error).__name__}: {error}.") from error

    def _publish(self, arrival: Arrival, batch_id: str, plan: Plan) -> None:
        again = self.lake.app_version(self.table, batch_id) is not None
        if not again and self.landing.state(arrival.name) != arrival.state:
            return  # settled by another ingest, or written to: it will be judged anew
        origin = {"file": arrival.name, "step_key": self.request.context.step_key}
        version = None
        self._decided(plan.outcome.model_copy(update={"file": arrival.name}))
        try:
            if plan.outcome.quarantined_rows:
                rows = self.landing.staged_rows(batch_id, plan, "quarantined")
                self.lake.append(self.quarantine, rows, batch_id=batch_id, metadata=origin)
            if plan.outcome.published_rows:
                rows = self.landing.staged_rows(batch_id, plan, "accepted")
                self.lake.widen(self.table, rows.schema)
                version = self.lake.append(self.table, rows, batch_id=batch_id, metadata=origin)
        except Exception:
            if self.landing.plan(batch_id) is None:
                return  # settled by another ingest, which has removed what this one was reading
            raise
        status = "already_published" if again else plan.outcome.status
        told = {"file": arrival.name, "status": status, "table_version": version}
        self.outcomes.record(plan.outcome.model_copy(update=told))
        if not self.landing.archive(arrival, batch_id):
            print(
                f"{arrival.name} was written to after it was read: it stays, and is read again.", flush=True
            )

    def _refuse(self, arrival: Arrival, batch_id: str, error: DataRejected) -> None:
        outcome = FileOutcome(
            file=arrival.name,
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
        if self.landing.state(arrival.name) == arrival.state:
            self._decided(outcome)
            self.outcomes.record(outcome)
            if not self.landing.refuse(arrival, reason):
                self.outcomes.forget(outcome)

    def _decided(self, outcome: FileOutcome) -> None:
        """Write into the ledger what becomes of a file, before it does; once, by however many tries."""
        entries.record(
            model=self.table,
            actor=self.request.context.actor,
            action=Action.INGEST,
            before=None,
            after=outcome.status,
            why=outcome.reason or _counted(outcome),
            evidence=outcome,
        )

    def _killed_at(self, name: str) -> bool:
        """Whether an earlier try of this step did not survive the file."""
        return bool(at(self._mark_of(name)).exists())

    def _mark_of(self, name: str) -> str:
        digest = hashlib.sha256(name.encode()).hexdigest()[:32]
        return str(at(self.request.context.work_url, "trying", digest))


def _counted(outcome: FileOutcome) -> str:
    return (
        f"{outcome.file}: {outcome.published_rows} rows met the table's expectations and join it, "
        f"{outcome.quarantined_rows} did not and are quarantined."
    )


def _require_name(name: str) -> None:
    """Let no name lead out of the folder."""
    if "/" in name or "\\" in name or not is_landed(name):
        raise InvalidRequest(
            f"{name!r} is not the name of a landed file. Name files of the landing folder itself, "
            "which their writers have finished."
        )
