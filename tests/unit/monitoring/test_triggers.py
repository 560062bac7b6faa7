"""Which triggers of a model are armed, what each waits for, and what stands against it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.contracts import Action, Trigger
from tasks.errors import InvalidRequest
from tasks.ledger import entries
from tasks.monitoring.armed import Seen, triggers
from tasks.monitoring.memory import remember
from tasks.monitoring.triggers import look
from tasks.monitoring.watch import Memory
from tasks.settings import PROJECT, settings
from tasks.spec import PipelineSpec
from tasks.spec.monitor import RetrainBudget
from tasks.stores.database import engine
from tasks.stores.lake import Lake
from tests.dags.runs import grant
from tests.unit.reviews import SPEC, as_table, reviews

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SERVES: dict[str, Any] = {"trained_at": NOW - DAY, "rows": 9000, "new_rows": 3214}


def spent(what: str, limit: str) -> str:
    return (
        f"The budget is spent: {what}, and monitor.retrain_budget.{limit}. Nothing is retrained until they "
        "are older. Start a training by hand, or raise the budget."
    )


def spec(training: dict[str, Any] | None = None, monitor: dict[str, Any] | None = None) -> PipelineSpec:
    changed = {
        "training": SPEC.training.model_copy(update=training or {}),
        "monitor": SPEC.monitor.model_copy(update=monitor or {}),
    }
    return SPEC.model_copy(update=changed)


def armed(of: PipelineSpec, **seen: Any) -> dict[str, Trigger]:
    return {each.trigger: each for each in triggers(of, Seen(now=NOW, **{**SERVES, **seen})).triggers}


def test_every_kind_is_shown_and_says_what_it_waits_for() -> None:
    both = spec(
        {"trigger": "both", "schedule": "0 2 * * *", "minimum_new_rows": 10_000, "maximum_age_days": 30}
    )
    found = armed(both, too_young="The champion is 1.0 days old, and training.maximum_age_days is 30.")
    assert list(found) == ["manual", "calendar", "age", "data", "drift", "performance", "code"]
    assert [name for name, each in found.items() if not each.armed] == ["code"]
    assert found["code"].waits_for.startswith("Nothing: training.on_code_change is not set.")
    assert found["data"].waits_for == "3,214 of 10,000 new rows (training.minimum_new_rows)."
    assert found["age"].waits_for.startswith("The champion is 1.0 days old")
    assert found["calendar"].waits_for == "Its time, 0 2 * * * (UTC)."
    assert 'perennial train review_sentiment --why "..."' in found["manual"].waits_for
    assert all(not each.against for each in found.values())


def test_what_pipeline_yaml_does_not_ask_for_is_not_armed() -> None:
    found = armed(spec({"trigger": "schedule", "schedule": None}))
    assert [name for name, each in found.items() if each.armed] == ["manual", "drift", "performance"]
    assert found["data"].waits_for == "Nothing: training.trigger is schedule."
    assert found["age"].waits_for == "Nothing: training.maximum_age_days is not set."


def test_a_change_of_code_is_armed_where_pipeline_yaml_says_so_and_an_incident_stands_against_it() -> None:
    changed = spec({"on_code_change": True})
    found = armed(changed, incident="It is open.")["code"]
    assert (found.armed, found.dag_id, found.by) == (True, "train_review_sentiment", "once a day")
    assert found.waits_for == "The next look: the model's code is not what the champion was trained with."
    assert found.against == ("It is open.",)
    assert armed(changed, same_code="It is the same.")["code"].waits_for == "It is the same."


@pytest.mark.parametrize(
    ("monitor", "seen", "said"),
    [
        ({}, {"trained_at": None}, "No version serves, so there is no traffic to check."),
        ({"mode": "suggest"}, {}, "monitor.mode is suggest: an alarm is told, and a person trains."),
        ({"mode": "approve"}, {}, "monitor.mode is approve: a person is asked first."),
        ({}, {"memory": Memory(open_training="retrain__1")}, "retrain__1 has not ended: one at a time."),
        ({}, {"memory": Memory(seconds_since_grant=43_200)}, "monitor.cooldown_seconds lasts 12.0 h more."),
        ({}, {"memory": Memory(runs=8)}, spent("8 retrains were granted in the last 30 days", "runs is 8")),
        (
            {"retrain_budget": RetrainBudget(seconds=100)},
            {"memory": Memory(runs=1, seconds=60, dearest_seconds=60)},
            spent("the retrains of the last 30 days cost 60 s, another one may cost 60 s", "seconds is 100"),
        ),
        ({}, {"last_check": "stopped", "last_why": "The breaker is open."}, "The breaker is open."),
        ({}, {"new_rows": 150}, "150 of 200 new rows (monitor.minimum_new_rows)."),
        ({}, {"incident": "A label incident is not answered."}, "A label incident is not answered."),
        ({}, {"silenced": ("Nobody is alerted of drift.",)}, "Nobody is alerted of drift."),
    ],
)
def test_what_stands_against_a_retrain_is_said(
    monitor: dict[str, Any], seen: dict[str, Any], said: str
) -> None:
    found = armed(spec(monitor={"minimum_new_rows": 200, "cooldown_seconds": 86_400, **monitor}), **seen)
    assert found["drift"].against == (said,)
    assert found["performance"].against == (said,)


def test_an_incident_stands_against_what_trains_by_itself_and_not_against_a_person() -> None:
    found = armed(spec({"trigger": "both", "schedule": "0 2 * * *"}), incident="It is open.")
    assert [name for name, each in found.items() if each.against] == [
        "calendar",
        "data",
        "drift",
        "performance",
    ]


def test_a_first_training_says_how_many_rows_it_waits_for() -> None:
    found = armed(spec(), trained_at=None, rows=120)
    wanted = SPEC.data.minimum_rows
    assert found["manual"].against == (f"120 of {wanted:,} rows for a first one (data.minimum_rows).",)


@pytest.fixture
def project(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one model of this project."""
    source = PROJECT / "models" / "review_sentiment"
    folder = home / "models" / "review_sentiment"
    folder.mkdir(parents=True)
    for file in source.glob("*"):
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    fields = yaml.safe_load((folder / "pipeline.yaml").read_text())
    fields["training"] = {
        **fields["training"],
        "trigger": "both",
        "schedule": "0 2 * * *",
        "minimum_new_rows": 500,
    }
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(fields))
    monkeypatch.setenv("PERENNIAL_MODELS", str(home / "models"))
    settings.cache_clear()
    return home


def test_what_is_seen_is_what_lies_in_the_lake_and_in_the_ledger(project: Path) -> None:
    [model] = look().models
    assert (
        next(each for each in model.triggers if each.trigger == "data").waits_for
        == "The first file of reviews."
    )

    Lake().append("reviews", as_table(reviews(200)), batch_id="first")
    grant("retrain__7")
    entries.record(
        model="review_sentiment", actor="tests", action=Action.DRIFT, before="r1", after="wait", why="So.",
        evidence={"decision": {}},
    )  # fmt: skip
    entries.record(
        model="review_sentiment", actor="ann", action=Action.SILENCE, before="drift", after="silenced",
        why="I know.", evidence={"of": "drift", "days": 2},
    )  # fmt: skip
    [model] = look(("review_sentiment",)).models
    found = {each.trigger: each for each in model.triggers}
    assert found["data"].waits_for == "200 of 500 new rows (training.minimum_new_rows)."
    assert " said wait." in found["drift"].waits_for
    told = " ".join(found["drift"].against)
    assert "retrain__7 has not ended" in told
    assert "Nobody is alerted of drift until" in told


def test_a_model_that_the_project_does_not_have_is_refused(project: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"The project has no model taxi, .* It has: review_sentiment"):
        look(("taxi",))


def test_the_budget_that_is_shown_is_the_one_that_the_drift_check_counts(project: Path) -> None:
    for number in range(9):
        check = entries.record(
            model="review_sentiment", actor="tests", action=Action.DRIFT, before="r1", after="retrain",
            why="So.", evidence={"decision": {}},
        )  # fmt: skip
        evidence = {"train_run_id": f"retrain__{number}", "drift_decision": check.entry_hash}
        entries.record(
            model="review_sentiment", actor="tests", action=Action.RETRAIN, before=None, after="granted",
            why="So.", evidence=evidence,
        )  # fmt: skip
    entries.record(
        model="review_sentiment", actor="tests", action=Action.RETRAIN, before="retrain__8",
        after="not started", why="So.", evidence={},
    )  # fmt: skip
    [model] = look().models
    against = next(each for each in model.triggers if each.trigger == "drift").against
    with engine().connect() as connection:
        counted = remember(connection, "review_sentiment", "")
    assert counted.runs == 8
    assert any("monitor.cooldown_seconds lasts" in each for each in against)
    assert any("8 retrains were granted in the last 30 days" in each for each in against)
