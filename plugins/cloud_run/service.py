"""One Cloud Run service through the Google provider's hook and Google's own client."""

import json
from typing import Any

from airflow.providers.google.cloud.hooks.cloud_run import CloudRunServiceHook
from airflow.providers.google.cloud.hooks.secret_manager import GoogleCloudSecretManagerHook
from airflow.providers.google.common.consts import CLIENT_INFO
from google.api_core.exceptions import NotFound
from google.cloud.run_v2 import (
    Condition,
    GetRevisionRequest,
    GetServiceRequest,
    IngressTraffic,
    Revision,
    RevisionsClient,
    RevisionTemplate,
    Service,
    TrafficTarget,
    TrafficTargetAllocationType,
    UpdateServiceRequest,
)
from google.protobuf.field_mask_pb2 import FieldMask

from plugins.runners.connections import GOOGLE
from tasks.contracts import CloudRunPlan

TAG = "candidate"
"""By it the new revision has an address of its own, before any user meets it."""
CALL_SECONDS = 30.0

BY_NAME = TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
LATEST = TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
FAILED, SUCCEEDED = Condition.State.CONDITION_FAILED, Condition.State.CONDITION_SUCCEEDED

Seen = dict[str, Any]


class CloudRunService:
    """The service of a plan. Each change is made on what was read before: where somebody changed the service
    in between, Google refuses it (`Aborted`), and the task is tried again.
    """

    def __init__(self, plan: CloudRunPlan) -> None:
        self.plan = plan
        _, self._project, _, self._region, _, self._name = plan.service.split("/")
        self.hook = CloudRunServiceHook(gcp_conn_id=GOOGLE)

    def open(self) -> None:
        """Give the service the revision of the plan, which no request goes to; a second call changes nothing.

        A service that is not there is made, and its first revision answers what comes as soon as it is ready:
        there is nothing beside it.
        """
        service, template = self._find(), RevisionTemplate.from_json(json.dumps(self.plan.template))
        template.revision = self.plan.revision
        ingress = getattr(IngressTraffic, self.plan.ingress)
        if service is None:
            made = Service(template=template, ingress=ingress, traffic=_with({}))
            parent = f"projects/{self._project}/locations/{self._region}"
            self._services.create_service(
                parent=parent, service=made, service_id=self._name, timeout=CALL_SECONDS
            )
        elif self._revision() is not None:
            tagged = TrafficTarget(type_=BY_NAME, revision=self.plan.revision, tag=TAG)
            if self._tagged(service) is None:
                self._update(service, traffic=_with(serving(service), tagged))
        elif service.template.revision != self.plan.revision:
            tagged = TrafficTarget(type_=LATEST, tag=TAG)
            traffic = _with(serving(service), tagged)
            self._update(service, template=template, ingress=ingress, traffic=traffic)

    def read(self) -> Service:
        """The service as it is, which a change is made on."""
        request = GetServiceRequest(name=self.plan.service)
        service: Service = self._services.get_service(request, timeout=CALL_SECONDS)
        return service

    def move(self, service: Service, *, to_plan: bool) -> None:
        """Send everything to the revision of the plan, or leave all where it is and take its address away."""
        everything = {self.plan.revision: 100} if to_plan else serving(service)
        if everything:
            self._update(service, traffic=_with(everything))

    def look(self) -> Seen:
        """The state of the plan's revision, `pending` where there is none yet, and what is said of it."""
        service, revision = self._find(), self._revision()
        condition = _ready(revision) if revision is not None else None
        if condition is None and service is not None and _is_settled(service):
            condition = service.terminal_condition
        shares = serving(service) if service else {}
        told = {"said": _said(condition), "serving": shares}
        if condition is not None and condition.state == FAILED:
            return {"state": "failed", **told}
        is_ready = revision is not None and condition is not None and condition.state == SUCCEEDED
        address = self._tagged(service) if service else None
        if is_ready and service and _is_settled(service) and address:
            return {"state": "ready", "url": address, "audience": service.uri, **told}
        return {"state": "pending", **told}

    def look_at_traffic(self) -> Seen:
        """What answers, once the service does what it was told last."""
        service = self.read()
        shares, said = serving(service), _said(service.terminal_condition)
        if not _is_settled(service):
            return {"state": "pending", "said": said, "serving": shares}
        return {"state": "ready", "said": said, "serving": shares}

    def token(self) -> str:
        """What a request has to bear: the secret that the revision reads, too."""
        _, project, _, secret, _, version = self.plan.secret.split("/")
        hook = GoogleCloudSecretManagerHook(gcp_conn_id=GOOGLE)
        found = hook.access_secret(secret_id=secret, secret_version=version, project_id=project)
        token: str = found.payload.data.decode().strip()
        return token

    @property
    def _services(self) -> Any:
        return self.hook.get_conn()

    def _find(self) -> Service | None:
        try:
            return self.read()
        except NotFound:
            return None

    def _revision(self) -> Revision | None:
        options = self.hook.get_client_options()
        client = RevisionsClient(
            credentials=self.hook.get_credentials(), client_info=CLIENT_INFO, client_options=options
        )
        name = f"{self.plan.service}/revisions/{self.plan.revision}"
        try:
            return client.get_revision(GetRevisionRequest(name=name), timeout=CALL_SECONDS)
        except NotFound:
            return None

    def _tagged(self, service: Service) -> str | None:
        """The address of the plan's revision alone; None where the service has none yet."""
        latest = service.latest_created_revision.rpartition("/")[2]
        for each in service.traffic_statuses:
            if each.tag == TAG and (each.revision or latest) == self.plan.revision:
                return str(each.uri) or None
        return None

    def _update(self, service: Service, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(service, name, value)
        request = UpdateServiceRequest(service=service, update_mask=FieldMask(paths=sorted(fields)))
        self._services.update_service(request, timeout=CALL_SECONDS)


def serving(service: Service) -> dict[str, int]:
    """The percentage of the requests that each revision answers, by its name, whatever it is called by."""
    latest, found = service.latest_ready_revision.rpartition("/")[2], dict[str, int]()
    for each in service.traffic_statuses:
        name = each.revision or latest
        if each.percent and name:
            found[name] = found.get(name, 0) + each.percent
    return found


def _is_settled(service: Service) -> bool:
    """Whether what the service tells of itself is of its newest change."""
    return not service.reconciling and service.observed_generation == service.generation


def _with(shares: dict[str, int], *more: TrafficTarget) -> list[TrafficTarget]:
    """The traffic as it is, each revision by its name: a new one gets none by being the latest. Where none
    serves, it does.
    """
    if not shares:
        return [TrafficTarget(type_=LATEST, percent=100, tag=TAG)]
    named = [TrafficTarget(type_=BY_NAME, revision=name, percent=share) for name, share in shares.items()]
    return [*named, *more]


def _ready(revision: Revision) -> Condition | None:
    return next((each for each in revision.conditions if each.type_ == "Ready"), None)


def _said(condition: Condition | None) -> str:
    if condition is None:
        return "Cloud Run says nothing of it yet."
    return str(condition.message) or f"Cloud Run says {condition.state.name}."
