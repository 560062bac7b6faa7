"""The pod of a step: valid for Kubernetes' own schema, confined, and without a secret in it."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from airflow.policies import hookimpl
from airflow.settings import get_policy_plugin_manager
from kubernetes.client import ApiClient

from plugins.runners import Resources
from plugins.runners.environment import is_secret
from plugins.runners.kubernetes.pod import PodSpec, pod_of
from plugins.runners.kubernetes.runner import manifest_of
from plugins.runners.mlflow_login import PASSWORD, READER, USERS, password_of
from tasks.errors import InvalidProject
from tasks.settings import PROJECT, Settings
from tests.unit.steps import step_to_run

IMAGE = "registry.example/perennial/ml@sha256:" + "a" * 64
MANIFESTS = PROJECT / "containers" / "kubernetes"
STORE = Path("s3:/perennial/runs/step")
OURS = {
    "AWS_ACCESS_KEY_ID": "key-id-of-the-test",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
    "AWS_ENDPOINT_URL": "http://objectstore:9000",
    "MLFLOW_TRACKING_PASSWORD": "password-of-the-test",
    "AIRFLOW__CORE__FERNET_KEY": "fernet-of-the-test",
    "PERENNIAL_UNKNOWN": "x",
}
PLACE: dict[str, Any] = {
    "step_image": IMAGE,
    "store_url": "s3://perennial",
    "mlflow_url": "http://mlflow:5000",
    "database_url": "postgresql+psycopg://perennial:db-of-the-test@postgres/perennial",
    "gateway_token": "token-of-the-test",
    "kubernetes_secret": "perennial-steps",
}
SUPPORTED = ("1.30", "1.32", "1.35", kubernetes_validate.latest_version())


@pytest.fixture(autouse=True)
def time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pods of one step have the same seconds left, however busy the machine is."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)


def place(**changes: Any) -> Settings:
    return Settings(**PLACE | changes)


def step(**changes: Any) -> Any:
    urls = {
        "request_url": "s3://perennial/runs/request.json",
        "result_url": "s3://perennial/runs/result.json",
    }
    return step_to_run(STORE, **urls | changes)


def spec(changes: dict[str, Any] | None = None, gpus: int = 0, **of_step: Any) -> PodSpec:
    return pod_of(step(**of_step), place(**changes or {}), gpus=gpus, ours=OURS)


def pod(changes: dict[str, Any] | None = None, gpus: int = 0, **of_step: Any) -> dict[str, Any]:
    return spec(changes, gpus, **of_step).body()


def container(body: dict[str, Any]) -> dict[str, Any]:
    return body["spec"]["containers"][0]


def variables(body: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container(body)["env"]}


WHOLE = {
    "kubernetes_service_account": "steps",
    "kubernetes_node_selector": "pool=training, zone=a",
    "step_mounts": "models:/srv/models,data:/data:ro",
}


@pytest.mark.parametrize("version", SUPPORTED)
@pytest.mark.parametrize("changes", [{}, WHOLE], ids=["least", "whole"])
@pytest.mark.parametrize("gpus", [0, 1])
def test_the_pod_is_valid_for_kubernetes(version: str, changes: dict[str, Any], gpus: int) -> None:
    kubernetes_validate.validate(pod(changes, gpus), version, strict=True)


def test_what_the_client_sends_of_it_says_the_same() -> None:
    assert ApiClient().sanitize_for_serialization(manifest_of(spec(WHOLE, 1))) == pod(WHOLE, 1)


class Installation:
    """What a team writes into its airflow_local_settings.py."""

    @hookimpl
    def pod_mutation_hook(self, pod: Any) -> None:
        pod.spec.priority_class_name = "trainings"


def test_the_installation_s_mutation_hook_changes_it() -> None:
    policies, local = get_policy_plugin_manager(), Installation()
    policies.register(local)
    try:
        made = ApiClient().sanitize_for_serialization(manifest_of(spec()))
    finally:
        policies.unregister(local)
    assert made["spec"].pop("priorityClassName") == "trainings"
    assert made == pod()


def test_a_mistake_in_a_pod_would_be_noticed() -> None:
    body = pod()
    body["spec"]["securityContext"]["runAsNonRot"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="runAsNonRot"):
        kubernetes_validate.validate(body, SUPPORTED[-1], strict=True)


def test_it_is_confined() -> None:
    body = pod(WHOLE, 1, verb="deploy")
    spec, one = body["spec"], container(body)
    assert (
        spec["securityContext"] | {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        == spec["securityContext"]
    )
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert {kind for volume in spec["volumes"] for kind in volume if kind != "name"} == {
        "emptyDir",
        "persistentVolumeClaim",
    }


def test_requests_equal_limits_and_a_gpu_is_asked_for_only_where_one_is_wanted() -> None:
    wanted = Resources(cpus=1.5, memory_mib=3000, scratch_mib=500, gpus="required")
    with_gpu = container(pod(gpus=1, resources=wanted))["resources"]
    assert with_gpu["limits"] == with_gpu["requests"]
    assert with_gpu["limits"] == {
        "cpu": "1500m",
        "memory": "3000Mi",
        "ephemeral-storage": "820Mi",
        "nvidia.com/gpu": "1",
    }
    assert "nvidia.com/gpu" not in container(pod(resources=wanted))["resources"]["limits"]
    assert "tolerations" not in pod()["spec"]
    sizes = {
        volume["name"]: volume["emptyDir"]["sizeLimit"] for volume in pod(resources=wanted)["spec"]["volumes"]
    }
    assert sizes == {"scratch": "500Mi", "tmp": "64Mi", "shared": "1500Mi"}


def test_no_secret_stands_in_the_pod() -> None:
    body = pod(verb="deploy")
    assert "of-the-test" not in json.dumps(body)
    secret = {name for name, value in variables(body).items() if isinstance(value, dict)}
    assert secret == {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "MLFLOW_TRACKING_PASSWORD",
        "PERENNIAL_DATABASE_URL",
        "PERENNIAL_GATEWAY_TOKEN",
    }
    reference = {"secretKeyRef": {"name": "perennial-steps", "key": "AWS_SECRET_ACCESS_KEY"}}
    assert variables(body)["AWS_SECRET_ACCESS_KEY"] == reference
    assert variables(body)["AWS_ENDPOINT_URL"] == "http://objectstore:9000"


def test_the_password_of_a_step_s_user_of_mlflow_is_a_key_of_the_secret_by_itself() -> None:
    with_key = {"mlflow_key": "key-of-the-test"}
    for verb, model, user in (("train", "m", "perennial-model-m"), ("deploy", None, "perennial-release")):
        body = pod(with_key, verb=verb, model=model)
        given = variables(body)
        assert given["MLFLOW_TRACKING_USERNAME"] == user
        key = f"MLFLOW_TRACKING_PASSWORD.{user}"
        assert given["MLFLOW_TRACKING_PASSWORD"] == {"secretKeyRef": {"name": "perennial-steps", "key": key}}
        assert "key-of-the-test" not in json.dumps(body)


def test_the_secret_s_passwords_are_those_that_mlflow_asks_for() -> None:
    done = subprocess.run(
        ["sh", str(MANIFESTS / "mlflow-passwords.sh"), "m", "flight_delay"],
        env={"PATH": os.environ["PATH"], "PERENNIAL_MLFLOW_KEY": "key-of-the-test"},
        capture_output=True,
        text=True,
        check=True,
    )
    made = dict(line.split("=") for line in done.stdout.splitlines())
    users = {*USERS.values(), READER, "perennial-model-m", "perennial-model-flight_delay"}
    assert made == {f"{PASSWORD}.{user}": password_of(user, "key-of-the-test") for user in users}


def test_the_training_hears_nothing_of_the_platform_s_credentials_not_even_their_names() -> None:
    assert not {"PERENNIAL_DATABASE_URL", "PERENNIAL_GATEWAY_TOKEN"} & set(variables(pod(verb="train")))
    assert "AIRFLOW__CORE__FERNET_KEY" not in variables(pod(verb="deploy"))


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("AWS_SESSION_TOKEN", "x", True),
        ("GOOGLE_SERVICE_ACCOUNT_KEY", "{}", True),
        ("PERENNIAL_MLFLOW_URL", "http://user:pass@mlflow:5000", True),
        ("PERENNIAL_MLFLOW_URL", "http://mlflow:5000", False),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/var/run/key.json", False),
        ("PERENNIAL_TORCHSERVE_KEY_FILE", "/srv/models/key_file.json", False),
        ("PERENNIAL_STORE_URL", "s3://perennial", False),
    ],
)
def test_a_variable_is_secret_by_its_name_or_by_a_password_in_its_url(
    name: str, value: str, *, secret: bool
) -> None:
    assert is_secret(name, value) is secret


def test_labels_are_short_enough_for_kubernetes_and_the_annotations_say_all() -> None:
    long = "manual__2026-11-20T12:00:00+00:00 über " + "x" * 300
    body = pod(
        key=f"train_m/{long}/train", owner=step_to_run(STORE).owner.__class__("train_m", long, "train")
    )
    kubernetes_validate.validate(body, SUPPORTED[-1], strict=True)
    assert all(len(value) <= 63 for value in body["metadata"]["labels"].values())
    assert body["metadata"]["annotations"]["perennial.run"] == long
    assert len(body["metadata"]["annotations"]["perennial.request_sha256"]) == 64


def test_the_cluster_ends_it_at_its_deadline_and_at_the_latest_in_a_second() -> None:
    assert 590 < pod(deadline=time.time() + 600)["spec"]["activeDeadlineSeconds"] <= 600
    assert pod(deadline=time.time() - 600)["spec"]["activeDeadlineSeconds"] == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"step_image": "sha256:" + "a" * 64}, "cannot fetch"),
        ({"step_image": "registry.example/perennial/ml:latest"}, "cannot fetch"),
        ({"kubernetes_secret": ""}, r"PERENNIAL_KUBERNETES_SECRET\.$"),
        ({"kubernetes_node_selector": "gpu"}, "PERENNIAL_KUBERNETES_NODE_SELECTOR is 'gpu'"),
        ({"step_mounts": "/:/host"}, "PERENNIAL_STEP_MOUNTS"),
    ],
)
def test_a_setting_that_is_wrong_is_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidProject, match=says):
        pod(changes)


def test_a_store_in_a_folder_of_the_worker_is_refused() -> None:
    with pytest.raises(InvalidProject, match="PERENNIAL_STORE_URL"):
        pod(request_url="/srv/runs/request.json")


def test_the_manifests_for_users_are_valid() -> None:
    text = (MANIFESTS / "rbac.yaml").read_text(encoding="utf-8")
    documents = list(yaml.safe_load_all(text))
    for document in documents:
        kubernetes_validate.validate(document, SUPPORTED[-1], strict=True)
    allowed = {
        (resource, verb)
        for rule in documents[2]["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert {verb for resource, verb in allowed if resource == "pods/log"} == {"get"}
    assert {verb for resource, verb in allowed if resource == "pods"} == {
        "create",
        "get",
        "list",
        "patch",
        "delete",
    }


def test_the_chart_s_values_set_settings_that_exist_and_make_a_pod() -> None:
    values = yaml.safe_load((MANIFESTS / "values.yaml").read_text(encoding="utf-8"))
    given = {one["name"]: one["value"] for one in values["env"]}
    ours = {
        name.removeprefix("PERENNIAL_").lower(): value
        for name, value in given.items()
        if name.startswith("PERENNIAL_")
    }
    assert set(ours) <= set(Settings.model_fields)
    body = pod_of(step(), Settings(**ours), gpus=1, ours=OURS | given).body()
    kubernetes_validate.validate(body, SUPPORTED[-1], strict=True)
    account = body["spec"]["serviceAccountName"], body["metadata"]["namespace"]
    documents = yaml.safe_load_all((MANIFESTS / "rbac.yaml").read_text(encoding="utf-8"))
    names = [one["metadata"] for one in documents if one["kind"] == "ServiceAccount"]
    assert (names[0]["name"], names[0]["namespace"]) == account
