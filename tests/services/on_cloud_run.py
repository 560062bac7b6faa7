"""What the tests of Cloud Run share: versions whose images answer here, and each task of the group."""

# ruff: noqa: F811 - fixtures are imported by their names

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from plugins.cloud_run import ask
from plugins.cloud_run.ask import Revision
from plugins.cloud_run.operators import MoveTraffic, OpenRevision
from tasks.contracts import (
    Action,
    CloseCloudRunRequest,
    CloudRunDecision,
    CloudRunPlan,
    CloudRunSeen,
    JudgeCloudRunRequest,
    OnCloudRun,
    PlanCloudRunRequest,
    StepContext,
)
from tasks.ledger import entries
from tasks.release.cloud_run.close_cloud_run import close_cloud_run
from tasks.release.cloud_run.judge_cloud_run import judge_cloud_run
from tasks.release.cloud_run.plan_cloud_run import plan_cloud_run
from tasks.release.image_record import accept_image, note_pushed
from tasks.stores import registry
from tests.services.cloud_run import CloudRun, standing_in
from tests.services.conftest import Model, Platform, Service, new_model
from tests.services.guarded import OWNER, Key, connect, guarded, key, private_key  # noqa: F401 - fixtures
from tests.services.serving_images import TOKEN, server_of, trained, unpacked  # noqa: F401 - a fixture

REGISTRY = "registry.example.org/team"
SERVICE = {
    "project": "our-project",
    "region": "europe-west1",
    "service": "reviews",
    "registry": REGISTRY,
    "token_secret": "token",
}
RELEASE = {"cloud_run": SERVICE, "acceptance": {"rows": 0, "requests": 4}}


@pytest.fixture
def cloud(key: Key, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudRun]:
    connect(monkeypatch, keyfile_dict=key)
    monkeypatch.setattr(ask, "GIVE_UP_SECONDS", 0.5)
    with standing_in(monkeypatch, TOKEN) as made:
        yield made


@pytest.fixture
def reviews(platform: Platform, settled: Path, trained: None) -> Iterator[Model]:
    made = new_model(settled, release=RELEASE, backend="oip")
    yield made
    made.remove()


Serve = Callable[..., str]


def image_of(model: Model, number: str) -> str:
    return f"{REGISTRY}/{model.name}@sha256:{number.zfill(64)}"


@pytest.fixture
def serve(reviews: Model, cloud: CloudRun, tmp_path: Path) -> Iterator[Serve]:
    """Let a new version serve in production, with a pushed image that answers on this machine; its number."""
    running: list[Service] = []

    def made(mark: str, *, pushed: bool = True) -> str:
        number = reviews.deploy(mark).stable.model_version
        version = registry.get_version(reviews.name, number)
        server = server_of(unpacked(version, tmp_path / number))
        server.start()
        running.append(server)
        cloud.addresses[number] = f"http://127.0.0.1:{server.environment['PORT']}"
        if pushed:
            image_id = f"sha256:{number.zfill(64)}"
            server_api = Revision(cloud.addresses[number], TOKEN, None)

            def answer(instance: dict[str, Any]) -> dict[str, Any]:
                return server_api.predict(reviews.name, version.archive.version, instance, 5)

            accept_image(reviews.name, number, image_id, answer, "tests")
            note_pushed(reviews.name, number, image_id, image_of(reviews, number), "tests")
        return number

    yield made
    for server in running:
        server.stop()


def context(run: str, step: str) -> StepContext:
    return StepContext(actor=f"tests/{run}", step_key=f"cloud_run/{run}/{step}", work_url="unused")


def planned(model: Model, run: str, to: str = "production") -> CloudRunPlan:
    asked = {"spec": model.spec, "to": to, "context": context(run, "plan")}
    return plan_cloud_run(PlanCloudRunRequest.model_validate(asked))


def carried_out(operator: Any) -> Any:
    """What a task gives after the triggerer has waited for it, as Airflow would run both."""
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute({})

    async def fired() -> Any:
        return await anext(deferred.value.trigger.run())

    kind, arguments = deferred.value.trigger.serialize()
    assert kind.endswith(type(deferred.value.trigger).__name__)
    assert set(arguments) == {"plan", "what", "until", "poll_seconds"}
    return getattr(operator, deferred.value.method_name)({}, asyncio.run(fired()).payload)


def opened(plan: CloudRunPlan) -> CloudRunSeen:
    operator = OpenRevision(task_id="open_revision", plan=plan.model_dump(mode="json"), poll_seconds=0.01)
    return CloudRunSeen.model_validate(carried_out(operator))


def judged(plan: CloudRunPlan, seen: CloudRunSeen, run: str = "run") -> CloudRunDecision:
    return judge_cloud_run(JudgeCloudRunRequest(plan=plan, seen=seen, context=context(run, "judge")))


def moved(decision: CloudRunDecision) -> dict[str, int]:
    asked = decision.model_dump(mode="json")
    shares: dict[str, int] = carried_out(
        MoveTraffic(task_id="move_traffic", decision=asked, poll_seconds=0.01)
    )
    return shares


def closed(decision: CloudRunDecision, shares: dict[str, int]) -> OnCloudRun:
    asked = CloseCloudRunRequest(decision=decision, serving=shares, context=context("run", "close"))
    return close_cloud_run(asked)


def brought(model: Model, run: str, to: str = "production") -> OnCloudRun:
    """All five tasks of the group."""
    plan = planned(model, run, to)
    decision = judged(plan, opened(plan), run)
    return closed(decision, moved(decision))


def told(model: Model) -> list[str | None]:
    return [each.after for each in entries.history(model.name, {Action.CLOUD_RUN})]
