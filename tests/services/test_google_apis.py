"""Google's services beside the object store, asked by Airflow's own backend, trigger and log handler.

There is no Google here: Secret Manager and Pub/Sub are stand-ins of a few lines behind Google's own clients
and wire format, over a channel without TLS; the bucket of the logs is the emulator (`gcs.py`).
"""

# ruff: noqa: F811 - fixtures are imported by their names

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.cloud import secretmanager_v1
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)
from google.protobuf import empty_pb2
from google.pubsub_v1 import SubscriberAsyncClient, types
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport

from plugins.schedules import landing_asset
from plugins.triggers.landing import LandingTrigger
from tasks.errors import InvalidProject
from tasks.settings import PROJECT, settings
from tasks.spec import TableSpec, read_specs, table_of
from tests.services.guarded import Key, connect, guarded, key, place, private_key  # noqa: F401 - fixtures


class Google(grpc.GenericRpcHandler):
    """Secrets by their names, and messages that wait in subscriptions until they are acknowledged."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.messages: dict[str, dict[str, bytes]] = {}

    def service(self, call: Any) -> Any:
        method = call.method.rpartition("/")[2]
        asked, answer = {
            "AccessSecretVersion": (secretmanager_v1.AccessSecretVersionRequest, self.secret),
            "Pull": (types.PullRequest, self.pull),
            "Acknowledge": (types.AcknowledgeRequest, self.acknowledge),
        }[method]
        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=asked.deserialize,
            response_serializer=lambda one: (
                one.SerializeToString() if isinstance(one, empty_pb2.Empty) else type(one).serialize(one)
            ),
        )

    def secret(self, request: Any, context: grpc.ServicerContext) -> Any:
        name = request.name.split("/")[3]
        if name not in self.secrets:
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no such secret")
        payload = secretmanager_v1.SecretPayload(data=self.secrets[name].encode())
        return secretmanager_v1.AccessSecretVersionResponse(name=request.name, payload=payload)

    def pull(self, request: Any, context: grpc.ServicerContext) -> Any:
        waiting = self.messages.get(request.subscription, {})
        received = [
            types.ReceivedMessage(ack_id=name, message=types.PubsubMessage(data=data, message_id=name))
            for name, data in waiting.items()
        ]
        return types.PullResponse(received_messages=received)

    def acknowledge(self, request: Any, context: grpc.ServicerContext) -> Any:
        for name in request.ack_ids:
            del self.messages[request.subscription][name]
        return empty_pb2.Empty()


@pytest.fixture
def at_google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """The stand-in, which Google's clients are led to."""
    stand_in = Google()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[stand_in])
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()

    def secrets(**_: Any) -> Any:
        transport = SecretManagerServiceGrpcTransport(channel=grpc.insecure_channel(address))
        return secretmanager_v1.SecretManagerServiceClient(transport=transport)

    def subscriber(**_: Any) -> Any:
        transport = SubscriberGrpcAsyncIOTransport(channel=grpc.aio.insecure_channel(address))
        return SubscriberAsyncClient(transport=transport)

    internal = "airflow.providers.google.cloud._internal_client.secret_manager_client"
    monkeypatch.setattr(f"{internal}.SecretManagerServiceClient", secrets)
    monkeypatch.setattr("airflow.providers.google.cloud.hooks.pubsub.SubscriberAsyncClient", subscriber)
    yield stand_in
    server.stop(0)


SECRETS = ("AIRFLOW__SECRETS__BACKEND", "AIRFLOW__SECRETS__BACKEND_KWARGS")


def documented(*names: str) -> dict[str, str]:
    """What docs/storage.md tells to set these settings to."""
    text = (PROJECT / "docs" / "storage.md").read_text(encoding="utf-8")
    return {name: re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)[0] for name in names}


# --- Secret Manager -----------------------------------------------------------------------------------------


def test_a_connection_is_read_from_secret_manager_as_documented(
    at_google: Google,
    key: Key,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.sdk.configuration import ensure_secrets_loaded

    from plugins.runners.connections import engine

    file = home / "key.json"
    file.write_text(json.dumps(key))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    for name, value in documented(*SECRETS).items():
        monkeypatch.setenv(name, value)
    at_google.secrets["perennial-connections-docker_default"] = "docker://engine-of-the-secret:2375"
    backends = ensure_secrets_loaded()
    monkeypatch.setattr(
        "airflow.sdk.execution_time.supervisor.ensure_secrets_backend_loaded", lambda: backends
    )

    assert engine().url == "tcp://engine-of-the-secret:2375"
    assert engine("another").url != engine().url


# --- Pub/Sub ------------------------------------------------------------------------------------------------


@pytest.fixture
def table() -> TableSpec:
    specs, _ = read_specs(PROJECT / "models")
    return table_of(next(spec for spec in specs if spec.name == "review_sentiment"))


SUBSCRIPTION = "projects/our-project/subscriptions/landed-{table}"


def test_what_a_bucket_announces_wakes_the_table_s_ingest(
    at_google: Google,
    key: Key,
    table: TableSpec,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(monkeypatch, keyfile_dict=key)
    monkeypatch.setenv("PERENNIAL_LANDING_SUBSCRIPTION", SUBSCRIPTION)
    monkeypatch.setenv("PERENNIAL_LANDING_POLL_SECONDS", "0.1")
    settings.cache_clear()
    ours = SUBSCRIPTION.format(table=table.table)
    at_google.messages = {ours: {}, SUBSCRIPTION.format(table="others"): {"other": b"{}"}}
    [watcher] = landing_asset(table).watchers

    async def scenario() -> Any:
        told = asyncio.ensure_future(anext(watcher.trigger.run()))
        await asyncio.sleep(0.5)
        assert not told.done()
        at_google.messages[ours]["1"] = b'{"name": "landing/reviews/a.csv"}'
        return await asyncio.wait_for(told, 20)

    event = asyncio.run(scenario())

    assert [one["message"]["message_id"] for one in event.payload["message"]] == ["1"]
    assert at_google.messages == {ours: {}, SUBSCRIPTION.format(table="others"): {"other": b"{}"}}


def test_without_a_subscription_the_folder_is_looked_into(table: TableSpec, home: Path) -> None:
    [watcher] = landing_asset(table).watchers
    assert isinstance(watcher.trigger, LandingTrigger)


@pytest.mark.parametrize("wrong", ["landed-{table}", "projects/our-project/subscriptions/one-for-all"])
def test_a_subscription_that_is_wrongly_named_is_told_in_a_sentence(
    table: TableSpec, home: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv("PERENNIAL_LANDING_SUBSCRIPTION", wrong)
    settings.cache_clear()
    with pytest.raises(InvalidProject, match=r"PERENNIAL_LANDING_SUBSCRIPTION is .*with \{table\}"):
        landing_asset(table)


# --- logs ---------------------------------------------------------------------------------------------------

LOGS = """
import sys
from airflow.sdk.log import load_remote_log_handler
handler = load_remote_log_handler()
for line in ("first", "second"):
    open(sys.argv[1] + "/dag_id=x/attempt=1.log", "w").write(line)
    handler.upload("dag_id=x/attempt=1.log")
print(handler.read("dag_id=x/attempt=1.log", None))
"""


def test_the_logs_of_tasks_are_kept_in_a_bucket_by_the_settings_of_the_compose_file(
    place: str,
    key: Key,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(monkeypatch, keyfile_dict=key)
    compose = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text(encoding="utf-8"))
    remote = {
        name: value
        for name, value in compose["x-airflow-environment"].items()
        if name.startswith("AIRFLOW__LOGGING__REMOTE")
    }
    asked = {"REMOTE_LOGGING": "True", "LOGS_URL": f"{place}/logs"}
    logging = {
        name: re.sub(r"\$\{(\w+):-[^}]*\}", lambda found: asked[found[1]], value)
        for name, value in remote.items()
    }
    logs = home / "logs"
    (logs / "dag_id=x").mkdir(parents=True)
    environment = {
        **os.environ,
        **logging,
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(logs),
    }

    done = subprocess.run(
        [sys.executable, "-c", LOGS, str(logs)], env=environment, capture_output=True, text=True, check=False
    )

    assert len(logging) == 3
    assert "'first\\nsecond'" in done.stdout, done.stdout + done.stderr
