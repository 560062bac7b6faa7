"""The demo's story: a model is trained, serves, meets texts it does not know, is retrained, and gets better.

Each step does one thing through the platform's public doors (landing folder, Airflow's REST API, gateway) and
then requires what must hold; the first requirement that fails ends the story.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from demo import data
from demo.airflow import Airflow
from demo.data import MODEL, TABLE
from demo.failure import require
from demo.follow import follow_training, under_load, wait_for_published, wait_for_run
from demo.report import Decision
from demo.telling import Telling
from demo.traffic import Answered, ConstantLoad, Review, Users, accuracy
from tasks.contracts import Action
from tasks.ledger import entries

INGEST, TRAIN, DRIFT, COLLECT = f"ingest_{TABLE}", f"train_{MODEL}", f"drift_{MODEL}", f"collect_{MODEL}"
DAGS = [INGEST, TRAIN, DRIFT, COLLECT]
PATIENCE_SECONDS = 600
IN_USE = "This platform is in use: {} ran before. The story needs one without any state."


@dataclass(frozen=True)
class Scale:
    """How much of everything.

    Attributes:
        imdb_rows: Reviews that land, in `batches` dated files.
        quiet_days: Days of traffic like the training data, of `day_rows` predictions each.
        labelled_rows: Rotten Tomatoes snippets that come as traffic and whose labels come back.
        held_back_rows: Snippets that come as traffic too and whose labels nobody ever tells: what the
            accuracy on the new traffic is measured on.
        baseline: Whether a TF-IDF + logistic regression is trained on the same rows, to compare with.
    """

    imdb_rows: int
    batches: int
    quiet_days: int
    day_rows: int
    labelled_rows: int
    held_back_rows: int
    baseline: bool


FULL = Scale(
    25_000, batches=5, quiet_days=3, day_rows=500, labelled_rows=6_000, held_back_rows=2_500, baseline=True
)
SHORT = Scale(
    8_000, batches=2, quiet_days=1, day_rows=300, labelled_rows=6_000, held_back_rows=1_000, baseline=False
)


@dataclass
class Story:
    """What the steps hand on to each other: the texts,
    and the first champion's Airflow run and MLflow run.
    """

    airflow: Airflow
    users: Users
    telling: Telling
    scale: Scale
    folder: Path
    held_out: list[Review] = field(default_factory=list)
    turned: list[Review] = field(default_factory=list)
    held_back: list[Review] = field(default_factory=list)
    training_runs: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)

    def tell(self, *, first_model: bool = False) -> None:
        """The whole story, in order, or up to the first champion."""
        self.the_schedules_find_nothing()
        self.reviews_arrive()
        self.the_first_model_is_trained()
        if not first_model:
            self.it_meets_what_it_does_not_know()
        self.every_decision_has_a_reason()

    def it_meets_what_it_does_not_know(self) -> None:
        """The traffic changes, and a second model takes the first one's place."""
        self.days_pass_quietly()
        answered = self.the_traffic_turns()
        self.labels_come_back(answered)
        before = self.drift_leads_to_a_new_model()
        self.the_new_model_is_better(before)
        if self.scale.baseline:
            self.a_simple_model_compares()

    def the_schedules_find_nothing(self) -> None:
        """On tables and models that somebody has, the story would
        neither come out as told nor leave them as they were.
        """
        title = "The DAGs are on; the training and the drift check that the clock starts find nothing to do"
        with self.telling.step(title):
            used = [dag_id for dag_id in DAGS if self._ran_otherwise(dag_id)]
            require(not used, IN_USE.format(", ".join(used)))
            for dag_id in DAGS:
                self.airflow.unpause(dag_id)
            self.airflow.read_again(INGEST)
            for dag_id, decides in ((TRAIN, "count"), (DRIFT, "drift")):
                run_id = wait_for_run(self.airflow, dag_id, "The schedule", timeout_seconds=60)
                self._wait(dag_id, run_id)
                states = {task["task_id"]: task["state"] for task in self.airflow.tasks(dag_id, run_id)}
                require(states[decides] == "skipped", IN_USE.format(dag_id))

    def _ran_otherwise(self, dag_id: str) -> bool:
        """Whether a run was started by anything but the clock."""
        return any(run["run_type"] != "scheduled" for run in self.airflow.runs(dag_id))

    def reviews_arrive(self) -> None:
        title = (
            f"{self.scale.imdb_rows:,} IMDB reviews land in {self.scale.batches} dated files and are "
            "ingested by themselves"
        )
        with self.telling.step(title) as step:
            files = data.write_example_data(
                self.folder, rows=self.scale.imdb_rows, batches=self.scale.batches
            )
            self.held_out = data.read_reviews(files[0])[:100]
            data.land(files)
            published, quarantined = wait_for_published(
                self.airflow,
                INGEST,
                rows=self.scale.imdb_rows,
                stalled_seconds=PATIENCE_SECONDS,
                tell=self.telling.at_work,
            )
            step.facts |= {"files": len(files), "published_rows": published, "quarantined_rows": quarantined}
            for run in self.airflow.runs(INGEST):
                self._note(INGEST, run["dag_run_id"])
            self.telling.say(f"{published:,} rows joined the table, {quarantined} were quarantined")

    def the_first_model_is_trained(self) -> None:
        title = "A training is asked for, as the Trigger button does it, and the first champion serves"
        with self.telling.step(title) as step:
            with self._under_load(self.held_out) as load:
                run_id = self.airflow.trigger(TRAIN, reason="the first model")
                facts = self._follow(run_id, load)
            step.facts |= facts
            self.telling.report.accuracy["imdb_test_first_champion"] = round(facts["accuracy"], 4)
            self.held_out = data.read_part(self.airflow.result(TRAIN, run_id, "snapshot")["test"]["url"])

    def days_pass_quietly(self) -> None:
        for day in range(1, self.scale.quiet_days + 1):
            with self.telling.step(
                f"Day {day}: {self.scale.day_rows} IMDB reviews that no training saw are the traffic"
            ) as step:
                first = (day - 1) * self.scale.day_rows
                answered, decision = self._day(self.held_out[first : first + self.scale.day_rows])
                step.facts |= {"accuracy": accuracy(answered), "domain_auc": decision["domain_auc"]}
                require(
                    decision["verdict"] == "quiet",
                    f"The drift check should be quiet, but says: {decision['why']}",
                )

    def the_traffic_turns(self) -> list[Answered]:
        """Users send Rotten Tomatoes snippets from now on;
        returns the answers whose labels will come back.
        """
        day = self.scale.quiet_days + 1
        with self.telling.step(
            f"Day {day}: the traffic turns to {self.scale.labelled_rows:,} Rotten Tomatoes snippets"
        ) as step:
            rows = self.scale.labelled_rows + self.scale.held_back_rows
            snippets = data.rotten_tomatoes(self.folder, rows=rows)
            self.turned, self.held_back = data.without_shared_texts(snippets, self.scale.labelled_rows)
            answered, decision = self._day(self.turned)
            step.facts |= {"accuracy": accuracy(answered), "domain_auc": decision["domain_auc"]}
            require(
                decision["verdict"] == "wait",
                f"Drift without new labels should lead to `wait`, but the check says {decision['verdict']}: "
                f"{decision['why']}",
            )
        return answered

    def labels_come_back(self, answered: list[Answered]) -> None:
        with self.telling.step(
            "The users tell the true labels: they are collected, land, and are ingested by themselves"
        ) as step:
            accepted = self.users.tell_labels(answered)
            run_id = self.airflow.trigger(COLLECT)
            self._wait(COLLECT, run_id)
            kept_out = sum(entry.evidence["rows"] for entry in entries.history(MODEL, [Action.DOOR]))
            published, _ = wait_for_published(
                self.airflow,
                INGEST,
                rows=self.scale.imdb_rows + accepted - kept_out,
                stalled_seconds=PATIENCE_SECONDS,
                tell=self.telling.at_work,
            )
            step.facts |= {"labels": accepted, "held_at_the_door": kept_out, "published_rows": published}
            if kept_out:
                self.telling.say(f"{kept_out} odd ones wait at the door until a person has looked at them")

    def drift_leads_to_a_new_model(self) -> float:
        """The next day's check asks for a training; returns
        the old champion's accuracy on that day's traffic.
        """
        with self.telling.step(
            f"Day {self.scale.quiet_days + 2}: drift is decided, and leads to a new champion"
        ) as step:
            answered, (start, end) = self._send(self.held_back)
            before = accuracy(answered)
            with self._under_load(self.turned) as load:
                load.wait_for_answers(self.models[0], answers=20, timeout_seconds=30)
                known = [run["dag_run_id"] for run in self.airflow.runs(TRAIN)]
                decision = self._check_drift(start, end)
                require(
                    decision["verdict"] == "retrain",
                    f"The check should say `retrain`, but says: {decision['why']}",
                )
                run_id = wait_for_run(
                    self.airflow, TRAIN, "The drift check", timeout_seconds=60, other_than=known
                )
                require(
                    run_id.startswith("retrain__"),
                    f"A retrain request should have started the training, not {run_id}.",
                )
                step.facts |= self._follow(run_id, load) | {"domain_auc": decision["domain_auc"]}
            by_source = step.facts["accuracy_by_source"]
            self.telling.say(
                ", ".join(f"{source} {value:.3f}" for source, value in by_source.items())
                + " on the test rows"
            )
            self.telling.report.accuracy["imdb_test_second_champion"] = round(by_source["imdb"], 4)
            self.telling.report.accuracy["new_traffic_before"] = round(before, 4)
        return before

    def the_new_model_is_better(self, before: float) -> None:
        with self.telling.step(
            f"The new champion answers the {len(self.held_back):,} snippets that no training saw"
        ) as step:
            answered = self.users.predict(self.held_back)
            after = accuracy(answered)
            self.telling.report.accuracy["new_traffic_after"] = round(after, 4)
            step.facts |= {"accuracy_before": before, "accuracy_after": after}
            change = f"accuracy on the new traffic: {before:.3f} before, {after:.3f} after"
            self.telling.say(change)
            require(
                {one.run_id for one in answered} == {self.models[-1]},
                "The new champion did not answer every request.",
            )
            require(
                after > before,
                f"The retrained model should be better on the new traffic: {after:.3f} against {before:.3f}",
            )

    def a_simple_model_compares(self) -> None:
        with self.telling.step("A TF-IDF + logistic regression is trained on the same rows, to compare with"):
            first, second = (self.airflow.result(TRAIN, run_id, "snapshot") for run_id in self.training_runs)
            scores = data.baseline_accuracies(first, second, self.held_back, self.folder)
            self.telling.report.accuracy |= scores

    def every_decision_has_a_reason(self) -> None:
        with self.telling.step("Every decision is in the ledger with its reason"):
            decisions = entries.history(MODEL)
            self.telling.report.decisions = [
                Decision.model_validate(entry.model_dump()) for entry in decisions
            ]
            for entry in decisions:
                self.telling.say(f"{entry.action}: {entry.why}")
            require(not entries.broken_entries(), "The ledger's hash chain is broken.")
            actions = {entry.action for entry in decisions}
            require(
                len(actions) >= 3,
                f"Gate, deployment and drift decisions were expected in the ledger; it holds {actions}.",
            )

    # --- what several steps need ----------------------------------------------------------------------------

    def _day(self, reviews: list[Review]) -> tuple[list[Answered], dict[str, Any]]:
        answered, (start, end) = self._send(reviews)
        return answered, self._check_drift(start, end)

    def _send(self, reviews: list[Review]) -> tuple[list[Answered], tuple[datetime, datetime]]:
        """A day's traffic and its window by the time of prediction."""
        start = datetime.now(UTC)
        self.telling.at_work(f"{len(reviews)} predictions")
        return self.users.predict(reviews), (start, datetime.now(UTC))

    def _check_drift(self, start: datetime, end: datetime) -> dict[str, Any]:
        run_id = self.airflow.trigger(DRIFT, window_start=start.isoformat(), window_end=end.isoformat())
        self._wait(DRIFT, run_id)
        decision = self.airflow.result(DRIFT, run_id, "drift")
        self.telling.say(f"drift check: {decision['verdict']}: {decision['why']}")
        return decision

    def _note(self, dag_id: str, run_id: str) -> None:
        self.telling.report.runs[f"{dag_id} {run_id}"] = self.airflow.page(dag_id, run_id)

    def _wait(self, dag_id: str, run_id: str) -> None:
        self._note(dag_id, run_id)
        self.airflow.wait(dag_id, run_id, stalled_seconds=PATIENCE_SECONDS, tell=self.telling.at_work)

    def _follow(self, run_id: str, load: ConstantLoad) -> dict[str, Any]:
        self._wait(TRAIN, run_id)
        facts = follow_training(self.airflow, TRAIN, run_id, load)
        self.training_runs.append(run_id)
        self.models.append(facts["mlflow_run_id"])
        self.telling.say(f"gate: {facts['verdict']}: {facts['why']}")
        return facts

    def _under_load(self, reviews: list[Review]) -> AbstractContextManager[ConstantLoad]:
        return under_load(
            ConstantLoad(self.users.gateway, MODEL, reviews, token=self.users.token),
            self.telling,
            self.models,
        )
