"""A stand-in for Google's Cloud Run and Secret Manager, behind Google's own clients and wire format.

There is no Google here. It keeps services as Cloud Run says that it does: a new template makes a revision of
that name, which is ready, or has failed, some looks later; traffic to the latest moves to it then, traffic by
name stays; an `etag` that is out of date is refused. What it cannot show is Google's own timing and limits.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.cloud import run_v2, secretmanager_v1
from google.cloud.run_v2.services.revisions.transports import RevisionsGrpcTransport
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)
from google.longrunning import operations_pb2

LATEST = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
State = run_v2.Condition.State
URI = "https://service.run.app"


class CloudRun(grpc.GenericRpcHandler):
    """One service at most.

    Attributes:
        failing: What is said of the revisions that run an image.
        addresses: Where the revision of a model's version answers.
        looks: How often a change is looked at before it has happened.
        seen: After each change, the percentage of the requests that each revision answers.
        denied: The error that every change is refused with.
    """

    def __init__(self, token: str) -> None:
        self.token = token
        self.service_: Any = None
        self.revisions: dict[str, Any] = {}
        self.failing: dict[str, str] = {}
        self.addresses: dict[str, str] = {}
        self.looks = 1
        self.pending = 0
        self.changes = 0
        self.seen: list[dict[str, int]] = []
        self.denied: grpc.StatusCode | None = None

    def service(self, call: Any) -> Any:
        asked, answer = {
            "GetService": (run_v2.GetServiceRequest, self.get),
            "CreateService": (run_v2.CreateServiceRequest, self.create),
            "UpdateService": (run_v2.UpdateServiceRequest, self.update),
            "GetRevision": (run_v2.GetRevisionRequest, self.get_revision),
            "AccessSecretVersion": (secretmanager_v1.AccessSecretVersionRequest, self.secret),
        }[call.method.rpartition("/")[2]]
        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=asked.deserialize,
            response_serializer=lambda one: (
                one.SerializeToString() if hasattr(one, "SerializeToString") else type(one).serialize(one)
            ),
        )

    def secret(self, request: Any, context: grpc.ServicerContext) -> Any:
        assert request.name == "projects/our-project/secrets/token/versions/latest"
        payload = secretmanager_v1.SecretPayload(data=self.token.encode())
        return secretmanager_v1.AccessSecretVersionResponse(name=request.name, payload=payload)

    def get(self, request: Any, context: grpc.ServicerContext) -> Any:
        if self.service_ is None or self.service_.name != request.name:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Resource {request.name} not found.")
        if self.pending:
            self.pending -= 1
            if not self.pending:
                self._happen()
        self.service_.reconciling = bool(self.pending)
        return self.service_

    def get_revision(self, request: Any, context: grpc.ServicerContext) -> Any:
        name = request.name.rpartition("/")[2]
        if name not in self.revisions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Resource {request.name} not found.")
        return self.revisions[name]

    def create(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._may(context)
        if self.service_ is not None:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, "There is such a service.")
        self.service_ = request.service
        self.service_.name, self.service_.uri = f"{request.parent}/services/{request.service_id}", URI
        if not self.service_.traffic:
            self.service_.traffic = [run_v2.TrafficTarget(type_=LATEST, percent=100)]
        return self._changed()

    def update(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._may(context)
        if request.service.etag != self.service_.etag:
            context.abort(grpc.StatusCode.ABORTED, "Conflict: the service was changed.")
        for field in request.update_mask.paths:
            setattr(self.service_, field, getattr(request.service, field))
        return self._changed()

    def somebody_changes_it(self) -> None:
        self.service_.etag += "x"

    @property
    def serving(self) -> dict[str, int]:
        return self.seen[-1]

    @property
    def tags(self) -> dict[str, str]:
        return {each.tag: each.revision for each in self.service_.traffic_statuses if each.tag}

    def _may(self, context: grpc.ServicerContext) -> None:
        if self.denied:
            context.abort(self.denied, "Permission 'run.services.update' denied.")

    def _changed(self) -> Any:
        self.changes += 1
        self.service_.generation = self.changes
        self.service_.etag = f"etag-{self.changes}"
        self.pending = self.looks
        template = self.service_.template
        if template.revision not in self.revisions:
            name = f"{self.service_.name}/revisions/{template.revision}"
            condition = run_v2.Condition(type_="Ready", state=State.CONDITION_RECONCILING)
            made = run_v2.Revision(name=name, containers=template.containers, labels=template.labels)
            made.conditions = [condition]
            self.revisions[template.revision] = made
            self.service_.latest_created_revision = name
        return operations_pb2.Operation(name="operations/1")

    def _happen(self) -> None:
        """What Cloud Run does by itself after a change."""
        self.service_.observed_generation = self.service_.generation
        created = self.service_.latest_created_revision
        revision = self.revisions[created.rpartition("/")[2]]
        fault = self.failing.get(revision.containers[0].image, "")
        state = State.CONDITION_FAILED if fault else State.CONDITION_SUCCEEDED
        revision.conditions = [run_v2.Condition(type_="Ready", state=state, message=fault)]
        self.service_.terminal_condition = run_v2.Condition(type_="Ready", state=state, message=fault)
        if not fault:
            self.service_.latest_ready_revision = created
        ready = self.service_.latest_ready_revision
        self.service_.traffic_statuses = [self._status(each) for each in self.service_.traffic if ready]
        self.seen.append(self._shares())

    def _status(self, target: Any) -> Any:
        latest = self.service_.latest_created_revision.rpartition("/")[2]
        name = target.revision or latest
        version = self.revisions[name].labels["perennial-version"]
        return run_v2.TrafficTargetStatus(
            type_=target.type_,
            revision=target.revision,
            percent=target.percent,
            tag=target.tag,
            uri=self.addresses[version] if target.tag else "",
        )

    def _shares(self) -> dict[str, int]:
        ready = self.service_.latest_ready_revision.rpartition("/")[2]
        found = ((each.revision or ready, each.percent) for each in self.service_.traffic_statuses)
        return {name: percent for name, percent in found if percent}


@contextmanager
def standing_in(monkeypatch: pytest.MonkeyPatch, token: str) -> Iterator[CloudRun]:
    """The stand-in, which Google's clients are led to."""
    made = CloudRun(token)
    server = grpc.server(ThreadPoolExecutor(4), handlers=[made])
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()

    def led(client: Any, transport: Any) -> Callable[..., Any]:
        return lambda **_: client(transport=transport(channel=grpc.insecure_channel(address)))

    secrets = led(secretmanager_v1.SecretManagerServiceClient, SecretManagerServiceGrpcTransport)
    services = led(run_v2.ServicesClient, ServicesGrpcTransport)
    hooks = "airflow.providers.google.cloud.hooks"
    monkeypatch.setattr(f"{hooks}.secret_manager.SecretManagerServiceClient", secrets)
    monkeypatch.setattr(f"{hooks}.cloud_run.ServicesClient", services)
    monkeypatch.setattr(
        "plugins.cloud_run.service.RevisionsClient", led(run_v2.RevisionsClient, RevisionsGrpcTransport)
    )
    yield made
    server.stop(0)
