"""The trigger that watches MLflow's aliases, run as the triggerer runs it, on a real MLflow with users."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from airflow.triggers.base import TriggerEvent
from mlflow import MlflowClient

from embedded.ports import free_port
from plugins.triggers.aliases import Aliases, AliasTrigger, moved
from tasks.settings import settings
from tests.services.mlflow_server import MlflowServer, logged_in

POLL = 0.05


@pytest.fixture
def client(mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowClient]:
    """The administrator's, of two models with a version each; this process is the triggerer."""
    monkeypatch.setenv("PERENNIAL_MLFLOW_URL", mlflow_server.url)
    monkeypatch.setenv("PERENNIAL_MLFLOW_KEY", mlflow_server.key)
    settings.cache_clear()
    with logged_in(mlflow_server.admin()):
        client = MlflowClient(mlflow_server.url)
        for model in ("watched", "unwatched"):
            client.create_registered_model(model)
            client.create_model_version(model, "s3://nowhere/model")
        yield client
        for model in ("watched", "unwatched"):
            client.delete_registered_model(model)
    settings.cache_clear()


class Counting(AliasTrigger):
    """Knows how often it has looked."""

    looks = 0

    def look(self, last: Aliases | None) -> Aliases | None:
        found = super().look(last)
        self.looks += 1
        return found


async def _next(events: AsyncIterator[TriggerEvent]) -> list[str]:
    event = await asyncio.wait_for(anext(events), timeout=60)
    models: list[str] = event.payload["models"]
    return models


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(POLL)


async def _looked(trigger: Counting) -> None:
    """Return after two more looks, of which the second began after this was asked."""
    wanted = trigger.looks + 2
    await _until(lambda: trigger.looks >= wanted)


def test_a_moved_a_new_and_a_removed_alias_are_told_of_once(client: MlflowClient) -> None:
    async def scenario() -> None:
        trigger = Counting(POLL)
        events = trigger.run()
        first = asyncio.ensure_future(_next(events))
        await _looked(trigger)
        assert not first.done(), "what was there before is the look of each minute's"
        await asyncio.to_thread(client.set_registered_model_alias, "watched", "champion", "1")
        assert await first == ["watched"]
        await asyncio.to_thread(client.delete_registered_model_alias, "watched", "champion")
        assert await _next(events) == ["watched"]
        third = asyncio.ensure_future(_next(events))
        await _looked(trigger)
        assert not third.done()
        third.cancel()

    asyncio.run(scenario())


def test_a_move_while_mlflow_is_away_is_told_of_when_it_is_back(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = settings().mlflow_url

    def point_to(url: str) -> None:
        monkeypatch.setenv("PERENNIAL_MLFLOW_URL", url)
        settings.cache_clear()

    async def scenario() -> None:
        trigger = Counting(POLL)
        told = asyncio.ensure_future(_next(trigger.run()))
        await _looked(trigger)
        point_to(f"http://127.0.0.1:{free_port()}")
        await _until(lambda: trigger.away)
        await asyncio.to_thread(client.set_registered_model_alias, "watched", "champion", "1")
        point_to(there)
        assert await told == ["watched"]
        assert not trigger.away

    asyncio.run(scenario())


@pytest.mark.usefixtures("client")
def test_without_the_key_it_is_the_look_of_each_minute_that_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    trigger = AliasTrigger(POLL)
    with monkeypatch.context() as nobody:
        for name in ("PERENNIAL_MLFLOW_KEY", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
            nobody.delenv(name, raising=False)
        settings.cache_clear()
        assert trigger.look(None) is None
        assert trigger.away
    settings.cache_clear()
    assert "watched" in (trigger.look(None) or {})
    assert not trigger.away


def test_models_whose_aliases_moved() -> None:
    before = {"a": {"champion": "1"}, "b": {"champion": "1"}, "gone": {"champion": "2"}, "bare": {}}
    now = {"a": {"champion": "1"}, "b": {"champion": "2"}, "new": {"staging": "1"}, "empty": {}}
    assert moved(before, now) == ["b", "gone", "new"]
    assert moved(now, now) == []
