"""Which triggers of a model are armed, and what each waits for: a pure function of its files and what is."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tasks.contracts import ModelTriggers, Trigger
from tasks.monitoring.answers import BUDGET
from tasks.monitoring.watch import Case, Check, Memory
from tasks.spec import PipelineSpec

A_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Seen:
    """What is, at one moment.

    Attributes:
        rows, new_rows: Of the model's query, and those of them that no training has seen; None before there
            is a table.
        trained_at: When what serves was promoted; None where nothing serves.
        too_young: Why the champion's age is no reason to train; None where it is, or does not count.
        same_code: Why the model's code is no reason to train; None where it is, or does not count.
        last_check, last_why: What the newest drift check said, and when; None before the first.
        incident: Why nothing is trained by itself while a label incident is open; None where none is.
        memory: What the ledger remembers of the model's retrains, as the drift check itself counts them.
        silenced: What nobody is alerted of.
    """

    now: datetime
    rows: int | None = None
    new_rows: int | None = None
    trained_at: datetime | None = None
    too_young: str | None = None
    same_code: str | None = None
    last_check: str | None = None
    last_why: str | None = None
    checked_at: datetime | None = None
    incident: str | None = None
    memory: Memory = field(default_factory=Memory)
    silenced: tuple[str, ...] = ()


def triggers(spec: PipelineSpec, seen: Seen) -> ModelTriggers:
    """Every trigger of a model, also those that are not armed."""
    kinds = (_manual, _calendar, _age, _data, _drift, _performance, _code)
    return ModelTriggers(model=spec.name, triggers=tuple(kind(spec, seen) for kind in kinds))


def _manual(spec: PipelineSpec, seen: Seen) -> Trigger:
    return Trigger(
        trigger="manual",
        armed=True,
        dag_id=f"train_{spec.name}",
        by=None,
        waits_for=f'You: perennial train {spec.name} --why "...", or Trigger in Airflow\'s pages.',
        against=_enough(spec, seen),
    )


def _calendar(spec: PipelineSpec, seen: Seen) -> Trigger:
    schedule = spec.training.schedule
    waits = f"Its time, {schedule} (UTC)." if schedule else "Nothing: training.schedule is not set."
    return _training(spec, seen, "calendar", armed=schedule is not None, by=schedule, waits_for=waits)


def _age(spec: PipelineSpec, seen: Seen) -> Trigger:
    most = spec.training.maximum_age_days
    if most is None:
        waits = "Nothing: training.maximum_age_days is not set."
    else:
        waits = seen.too_young or f"The next look: the champion is older than {most:g} days."
    return _training(spec, seen, "age", armed=most is not None, by="once a day", waits_for=waits)


def _data(spec: PipelineSpec, seen: Seen) -> Trigger:
    armed, wanted = spec.training.trigger != "schedule", spec.training.minimum_new_rows
    if not armed:
        waits = "Nothing: training.trigger is schedule."
    elif seen.new_rows is None:
        waits = f"The first file of {spec.data.table}."
    else:
        waits = f"{seen.new_rows:,} of {wanted:,} new rows (training.minimum_new_rows)."
    return _training(spec, seen, "data", armed=armed, by="rows that join", waits_for=waits)


def _drift(spec: PipelineSpec, seen: Seen) -> Trigger:
    return _watching(spec, seen, "drift", "that what comes in has changed")


def _performance(spec: PipelineSpec, seen: Seen) -> Trigger:
    return _watching(spec, seen, "performance", "that the model answers worse, once labels have come")


def _code(spec: PipelineSpec, seen: Seen) -> Trigger:
    armed = spec.training.on_code_change
    if not armed:
        waits = f"Nothing: training.on_code_change is not set. After a change: perennial train {spec.name}"
    else:
        waits = seen.same_code or "The next look: the model's code is not what the champion was trained with."
    return _training(spec, seen, "code", armed=armed, by="once a day", waits_for=waits)


def _training(
    spec: PipelineSpec, seen: Seen, name: str, *, armed: bool, by: str | None, waits_for: str
) -> Trigger:
    """One that starts the training's DAG itself."""
    return Trigger.model_validate(
        {
            "trigger": name,
            "armed": armed,
            "dag_id": f"train_{spec.name}",
            "by": by if armed else None,
            "waits_for": waits_for,
            "against": (*_incident(seen), *_enough(spec, seen)) if armed else (),
        }
    )


def _watching(spec: PipelineSpec, seen: Seen, name: str, finds: str) -> Trigger:
    """One that is the drift check's."""
    last = "It has not looked yet."
    if seen.checked_at is not None:
        last = f"Its last look ({seen.checked_at:%Y-%m-%d %H:%M} UTC) said {seen.last_check}."
    return Trigger.model_validate(
        {
            "trigger": name,
            "armed": True,
            "dag_id": f"drift_{spec.name}",
            "by": spec.monitor.schedule,
            "waits_for": f"A check that finds {finds}. {last}",
            "against": tuple(_against_a_retrain(spec, seen)),
        }
    )


def _against_a_retrain(spec: PipelineSpec, seen: Seen) -> list[str]:
    rules, told = spec.monitor, _incident(seen)
    if seen.trained_at is None:
        told.append("No version serves, so there is no traffic to check.")
    if rules.mode == "suggest":
        told.append("monitor.mode is suggest: an alarm is told, and a person trains.")
    if rules.mode == "approve":
        told.append("monitor.mode is approve: a person is asked first.")
    if seen.memory.open_training:
        told.append(f"{seen.memory.open_training} has not ended: one at a time.")
    elif (left := _cooldown(spec, seen)) > timedelta():
        told.append(f"monitor.cooldown_seconds lasts {_hours(left)} more.")
    if seen.last_check == "stopped" and seen.last_why:
        told.append(seen.last_why)
    elif BUDGET.applies(asked := Case(Check("alarm", ""), seen.memory, rules)):
        told.append(BUDGET.says(asked))
    if seen.new_rows is not None and seen.new_rows < rules.minimum_new_rows:
        told.append(f"{seen.new_rows:,} of {rules.minimum_new_rows:,} new rows (monitor.minimum_new_rows).")
    return [*told, *seen.silenced]


def _cooldown(spec: PipelineSpec, seen: Seen) -> timedelta:
    since = seen.memory.seconds_since_grant
    return timedelta() if since is None else timedelta(seconds=spec.monitor.cooldown_seconds - since)


def _incident(seen: Seen) -> list[str]:
    return [seen.incident] if seen.incident else []


def _enough(spec: PipelineSpec, seen: Seen) -> tuple[str, ...]:
    """A first training waits for its rows, whoever asks for it."""
    if seen.trained_at is None and seen.rows is not None and seen.rows < spec.data.minimum_rows:
        return (f"{seen.rows:,} of {spec.data.minimum_rows:,} rows for a first one (data.minimum_rows).",)
    return ()


def _hours(time: timedelta) -> str:
    return f"{time / timedelta(hours=1):.1f} h" if time < 2 * A_DAY else f"{time / A_DAY:.1f} days"
