"""The tasks of our DAGs, one function a verb, each giving
its task's output: the words that dags/ is written in.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Context, TriggerRule, XComArg, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from plugins.causes import started_by, training_asked
from plugins.janitor import GONE
from plugins.operators import BY_CLOCK, BY_DATA, step_operator
from plugins.runners import Owner
from plugins.schedules import is_a_look, lake_asset
from tasks.data.outcomes import Outcomes, result_of
from tasks.settings import settings
from tasks.spec import PipelineSpec, TableSpec

STEP_LIMIT = timedelta(hours=1)
BATCH_LIMIT = timedelta(hours=12)
# The train step ends a training that takes too long and says so; Airflow only steps in when that fails.
AFTER_TRAINING = timedelta(minutes=2)


# --- data ---------------------------------------------------------------------------------------------------


def ingest_files(table: TableSpec) -> XComArg:
    """Validate what has landed, publish the good rows, quarantine the bad ones, refuse broken files."""

    def decided(work_url: str) -> dict[str, Any]:
        return result_of(table.table, Outcomes(work_url).all()).model_dump(mode="json")

    return step(
        "ingest",
        {"table": table},
        from_run=lambda run: {"files": run["params"]["files"]},
        decided=decided,
    )


def publish(table: TableSpec, ingested: XComArg) -> XComArg:
    """Tell every DAG that waits for the table that it has new rows; skipped when there are none.

    It runs where the ingest failed, too: what had joined by then has joined.
    """
    asset = lake_asset(table)

    @task(task_id="publish", outlets=[asset], trigger_rule=TriggerRule.ALL_DONE)
    def announce(result: dict[str, Any] | None) -> None:
        files = result["files"] if result else []
        joined = [file for file in files if file["status"] in {"published", "already_published"}]
        if not result or not joined:
            raise AirflowSkipException("No rows joined the table.")
        rows = sum(file["published_rows"] for file in joined)
        extra = {
            "rows": rows,
            "table_version": result["table_version"],
            "files": [file["file"] for file in joined],
        }
        get_current_context()["outlet_events"][asset].extra = extra

    return announce(ingested)


def report_refused(ingested: XComArg) -> XComArg:
    """Fail where files were refused, with each file's reason; what was published stays published.

    Fails where the ingest failed, too: the last task of a run says how the run ended.
    """

    @task(task_id="report_refused", trigger_rule=TriggerRule.ALL_DONE)
    def report(result: dict[str, Any] | None) -> None:
        files = result["files"] if result else []
        refused = [_refusal(file) for file in files if file["status"] == "refused"]
        told = ["Refused, nothing of these files joined the table:", *refused] if refused else []
        if (state := _state_here("ingest")) != "success":
            told.append(f"The task ingest is {state}; its log says why. What it did not decide waits.")
        if told:
            raise AirflowFailException("\n".join(told))

    return report(ingested)


def _refusal(file: dict[str, Any]) -> str:
    """Why a file was refused; most reasons begin with its name."""
    name, reason = file["file"], file["reason"]
    return reason if reason.startswith(name) else f"{name}: {reason}"


# --- training and judgement ---------------------------------------------------------------------------------


def count_rows(spec: PipelineSpec) -> XComArg:
    """Look whether there are rows to train on; where rows that joined started the run, whether enough, and
    where the look of each day did, whether the champion is too old, or its code another.
    """
    training = spec.training

    def wanted(run: Context) -> dict[str, Any]:
        ran = run["dag_run"]
        is_look = ran.run_type == BY_CLOCK and is_a_look(spec, ran.logical_date or ran.run_after)
        return {
            "as_of": run["params"]["as_of"],
            "minimum_new_rows": training.minimum_new_rows if ran.run_type == BY_DATA else 0,
            "by_itself": ran.run_type in {BY_CLOCK, BY_DATA},
            "maximum_age_days": training.maximum_age_days if is_look else None,
            "on_code_change": is_look and training.on_code_change,
        }

    return step("count", {"spec": spec}, from_run=wanted)


def preflight(spec: PipelineSpec, after: XComArg) -> XComArg:
    """Look at the place where the training will run, its image, devices and limits, before it begins."""
    place = model_step("preflight", spec, {}, **_gpu_place(spec))
    after >> place
    return place


def check_labels(spec: PipelineSpec, after: XComArg) -> XComArg:
    """Compare the labels of each new batch with what the batches before it, and the champion, say."""
    check = model_step("check_labels", spec, {}, from_run=lambda run: {"as_of": run["params"]["as_of"]})
    after >> check
    return check


def quarantine(spec: PipelineSpec, check: XComArg) -> XComArg:
    """Write down what was found; a batch whose labels seem wrong is not trained on until a person says so."""
    return step("quarantine", {"spec": spec}, {"check": check})


def report_quarantined(check: XComArg, quarantined: XComArg) -> XComArg:
    """Fail where batches were quarantined, with each one's reason; the training goes on without them."""

    @task(task_id="report_quarantined")
    def report(result: dict[str, Any]) -> None:
        bad = [verdict["why"] for verdict in result["verdicts"] if verdict["state"] == "quarantined"]
        if bad:
            raise AirflowFailException("\n".join(["Incident: labels of new batches seem wrong.", *bad]))

    told = report(check)
    quarantined >> told
    return told


def take_snapshot(spec: PipelineSpec, after: XComArg, labels: XComArg | None = None) -> XComArg:
    """Pin the rows that this run sees, in three parts; where their labels were checked, as they were then."""
    inputs = {} if labels is None else {"label_check": labels}
    snapshot = step(
        "snapshot", {"spec": spec}, inputs, from_run=lambda run: {"as_of": run["params"].get("as_of")}
    )
    after >> snapshot
    return snapshot


def validate(spec: PipelineSpec, snapshot: XComArg) -> XComArg:
    """Hold the rows against their expectations; data that breaks them is never trained on."""
    return step("validate", {"spec": spec}, {"snapshot": snapshot})


def find_held(spec: PipelineSpec) -> XComArg:
    """Look for a held candidate that so many rows have come for that it can be decided."""
    return step("held", {"spec": spec})


def take_up(spec: PipelineSpec, held: XComArg, snapshot: XComArg, after: XComArg) -> XComArg:
    """The held candidate as it was trained, to be judged on the test part of the newer snapshot."""
    run = step("take_up", {"spec": spec}, {"held": held, "snapshot": snapshot})
    after >> run
    return run


def train_candidate(spec: PipelineSpec, snapshot: XComArg, validation: XComArg) -> XComArg:
    """Train with the form's parameters."""
    limit = timedelta(seconds=spec.training.timeout_seconds) + AFTER_TRAINING
    inputs = {"snapshot": snapshot, "validation": validation}
    more = {"execution_timeout": limit, "retries": spec.training.retries, **_gpu_place(spec)}

    return model_step("train", spec, inputs, from_run=lambda run: training_asked(run, spec), **more)


def package(spec: PipelineSpec, run: XComArg) -> XComArg:
    """Make the archive that is judged and, if promoted, served."""
    return model_step("package", spec, {"run": run})


def find_champion(spec: PipelineSpec, after: XComArg | None = None) -> XComArg:
    """Look which version serves now, and whether MLflow's alias agrees."""
    champion = step("champion", {"spec": spec})
    if after is not None:
        after >> champion
    return champion


def evaluate(spec: PipelineSpec, run: XComArg, archive: XComArg, against: XComArg) -> XComArg:
    """Score candidate, champion and baseline on the same frozen rows, through their archives."""
    return model_step("evaluate", spec, {"run": run, "archive": archive, "champion": against})


def gate(spec: PipelineSpec, run: XComArg, archive: XComArg, evaluation: XComArg) -> XComArg:
    """Decide: promote, hold or reject."""

    def asked(context: Context) -> dict[str, Any]:
        is_of_training = context["dag"].dag_id == f"train_{spec.name}"
        return {"started_by": started_by(context, spec)} if is_of_training else {}

    inputs = {"run": run, "archive": archive, "evaluation": evaluation}
    return step("gate", {"spec": spec}, inputs, from_run=asked)


def register(spec: PipelineSpec, run: XComArg, archive: XComArg, decision: XComArg) -> XComArg:
    """Make a promoted candidate a version; skipped, with all that follows, when the gate did not promote."""
    inputs = {"run": run, "archive": archive, "decision": decision}
    # Each field is an XCom of its own, too: the release by stages is started with the version's number alone.
    return step("register", {"spec": spec}, inputs, skip_because=not_promoted, multiple_outputs=True)


def describe(spec: PipelineSpec, version: XComArg) -> None:
    """Write the version's card beside its release, which does not wait for it and does not fail by it."""
    step("describe", {"spec": spec}, {"version": version}, from_run=lambda _: {"energy": settings().energy})


def deploy(spec: PipelineSpec, version: XComArg) -> XComArg:
    """Let the version serve, without a failed request, and make it the champion once it does."""
    return step("deploy", {"spec": spec}, {"version": version})


def calibrate(spec: PipelineSpec, run: XComArg, after: XComArg) -> XComArg:
    """Make the reference that the traffic of what serves now is compared with."""
    reference = model_step("calibrate", spec, {"run": run})
    after >> reference
    return reference


def not_promoted(inputs: dict[str, Any]) -> str | None:
    """Why nothing is released; None when the gate promoted."""
    decision = inputs["decision"]
    return (
        None
        if decision["verdict"] == "promote"
        else f"The gate says {decision['verdict']}: {decision['why']}"
    )


# --- serving --------------------------------------------------------------------------------------


def collect(spec: PipelineSpec) -> XComArg:
    """Bring predictions and labels from the gateway's log to the lake."""
    return step("collect", {"spec": spec})


def predict_rows(spec: PipelineSpec) -> XComArg:
    """Let the version that serves answer the rows that the form names; a new try goes on where one ended."""

    def asked(run: Context) -> dict[str, Any]:
        named = {name: run["params"][name] for name in ("source", "into")}
        return {**named, "as_of": run["params"]["as_of"] or run["dag_run"].run_after.isoformat()}

    return step("predict_batch", {"spec": spec}, from_run=asked, execution_timeout=BATCH_LIMIT)


# --- reproduction -------------------------------------------------------------------------------------------


def reproduce_version(spec: PipelineSpec, champion: XComArg) -> XComArg:
    """Train the version that the form names again, else the champion, and compare."""
    limit = timedelta(seconds=spec.training.timeout_seconds) + STEP_LIMIT
    asked = ("version", "code")
    return model_step(
        "reproduce",
        spec,
        {"champion": champion},
        from_run=lambda run: {name: run["params"][name] for name in asked},
        execution_timeout=limit,
        **_gpu_place(spec),
    )


def attest(reproduction: XComArg) -> XComArg:
    """Keep what came of it in the ledger; fails where it is another model."""
    return step("attest", {}, {"reproduction": reproduction}, fail_because=not_reproduced)


def not_reproduced(reproduction: dict[str, Any]) -> str | None:
    """How the model that came of it differs; None where it is the same, or equivalent."""
    if reproduction["verdict"] != "different":
        return None
    version = f"Version {reproduction['version']} of {reproduction['model']}"
    return f"{version}, trained again, is {reproduction['why']}"


def _state_here(task_id: str) -> str | None:
    """The state of a task of this run."""
    ti = get_current_context()["ti"]
    return state_of(Owner(ti.dag_id, ti.run_id, task_id, -1, ti.try_number))


def state_of(owner: Owner) -> str | None:
    """The state of a task of any run; `GONE` where Airflow does not know it."""
    ti = get_current_context()["ti"]
    mapped = owner.map_index >= 0
    states = ti.get_task_states(
        dag_id=owner.dag_id, task_ids=[owner.task_id], run_ids=[owner.run_id], map_index=owner.map_index
    )
    name = f"{owner.task_id}_{owner.map_index}" if mapped else owner.task_id
    state: str | None = states.get(owner.run_id, {}).get(name, GONE)
    return state


def _gpu_place(spec: PipelineSpec) -> dict[str, Any]:
    """Where a step that wishes for a GPU waits for one, without holding a slot; nothing for others."""
    if spec.resources.gpus == "none":
        return {}
    place = settings()
    return {"queue": place.gpu_queue, "pool": place.gpu_pool, "executor": place.gpu_executor or None}


def model_step(verb: str, spec: PipelineSpec, inputs: dict[str, Any], **more: Any) -> XComArg:
    """A step in the model's own environment."""
    return step(verb, {"spec": spec}, inputs, model=spec.name, **more)


def step(verb: str, constants: dict[str, Any], inputs: dict[str, Any] | None = None, **more: Any) -> XComArg:
    """A step as a task of the verb's name, by the runner that the settings choose."""
    options = {"execution_timeout": STEP_LIMIT} | more
    operator = step_operator()
    return operator(task_id=verb, verb=verb, constants=constants, inputs=inputs, **options).output
