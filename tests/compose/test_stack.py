"""The platform in containers as it is after `make up`: healthy,
closed but for one address, and restorable from a backup.
"""

import json
import re
import subprocess
import time
from pathlib import Path

import docker
import pytest
import requests
from docker.models.containers import Container

from tests.compose.conftest import PROJECT_NAME, left_of, stack_of
from tests.compose.stack import PROJECT_LABEL, SERVICE_LABEL, Stack
from tests.conftest import PROJECT
from tests.containers.said import said

OF_AIRFLOW = {
    f"airflow-{part}" for part in ("init", "apiserver", "scheduler", "dag-processor", "triggerer")
} | {"loop-watch", "worker-default", "worker-gpu"}
OURS = OF_AIRFLOW | {"objectstore", "engine", "mlflow", "torchserve", "inference", "gateway", "entrance"}
SERVICES = OURS | {"postgres", "redis"}
FOUR = {"airflow": "AIRFLOW", "mlflow": "MLFLOW", "perennial": "PLATFORM", "gateway": "GATEWAY"}


# --- it is there --------------------------------------------------------------------------------------------


def test_every_service_is_healthy_and_status_says_where_it_is_and_how_to_log_in(stack: Stack) -> None:
    assert set(stack.health()) == SERVICES
    stack.wait_healthy(timeout_seconds=60)
    status = stack.make("status")
    assert status.returncode == 0, status.stdout
    assert stack.address in status.stdout
    assert stack.setting("ADMIN_PASSWORD") in status.stdout
    assert all(service in status.stdout for service in SERVICES)


def test_up_again_changes_nothing_and_removes_what_a_profile_left_that_is_off(stack: Stack) -> None:
    before = {container.id for container in stack.containers() if container.name.find("airflow-init") < 0}
    left = left_by_monitoring(stack)
    (mount,) = left.attrs["Mounts"]
    again = stack.make("up")
    assert again.returncode == 0, again.stdout
    now = {container.id for container in stack.containers()}
    assert before <= now
    assert left.id not in now
    listed = subprocess.run(["docker", "volume", "ls", "--quiet"], check=True, capture_output=True, text=True)
    assert mount["Name"] not in listed.stdout.split(), "a volume without a name goes with its container"


def left_by_monitoring(stack: Stack) -> Container:
    """A container of the profile `monitoring`, with the volume that its image declares."""
    labels = {
        PROJECT_LABEL: stack.project,
        SERVICE_LABEL: "alertmanager",
        "perennial.clone": stack.setting("CLONE_ID"),
    }
    image = stack.setting("GATEWAY_IMAGE")
    made: Container = stack.engine.containers.create(image, labels=labels, volumes=["/alertmanager"])
    made.reload()
    return made


def test_dags_of_every_model_are_there_and_none_is_broken(stack: Stack) -> None:
    airflow = stack.airflow
    airflow.wait_for_dags(
        ["ingest_reviews", "train_review_sentiment", "train_flight_delay", "tidy_docker"], timeout_seconds=60
    )
    assert airflow.call("GET", "/importErrors")["import_errors"] == []
    assert {pool["name"] for pool in airflow.call("GET", "/pools")["pools"]} >= {"default_pool", "gpu"}


def test_a_service_that_crashes_is_started_again(stack: Stack) -> None:
    container = stack.container("gateway")
    began = container.attrs["State"]["StartedAt"]
    container.exec_run(["sh", "-c", "kill -9 $(cat /proc/1/task/1/children)"])
    until = time.monotonic() + 60
    while stack.container("gateway").attrs["State"]["StartedAt"] == began:
        assert time.monotonic() < until, "the gateway was not started again"
        time.sleep(0.2)
    stack.wait_healthy("gateway")


# --- it is closed -------------------------------------------------------------------------------------------


def test_one_port_of_loopback_is_open_and_another_leads_to_it(stack: Stack) -> None:
    published = {
        (container.labels["com.docker.compose.service"], binding["HostIp"], binding["HostPort"])
        for container in stack.containers()
        for bindings in container.attrs["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    }
    ports = (stack.setting("HTTPS_PORT"), stack.setting("HTTP_PORT"))
    assert published == {("entrance", "127.0.0.1", port) for port in ports}
    answer = requests.get(f"http://localhost:{ports[1]}/dags?a=b", allow_redirects=False, timeout=10)
    assert (answer.status_code, answer.headers["Location"]) == (308, f"{stack.address}/dags?a=b")


@pytest.mark.parametrize(
    "path",
    [
        "/internal/routes/review_sentiment",
        "/metrics",
        "/execution/health",
        "/edge_worker/v1/health",
        "//internal/routes/x",
        "/%69nternal/routes/x",
        "/v1/../internal/routes/x",
        "/v1/%2e%2e/internal/routes/x",
        "/v1/..%2finternal/routes/x",
        "/internal/../v1/models",
        "/execution/xcoms/a/b/c/../../../../../",
        "/./execution/health",
    ],
)
def test_what_services_tell_each_other_is_not_told_outside(path: str, stack: Stack) -> None:
    session = requests.Session()
    request = session.prepare_request(
        requests.Request("GET", stack.address, headers={"Authorization": "Bearer x"})
    )
    request.url = stack.address + path
    answer = session.send(request, verify=str(stack.certificate), timeout=30)
    assert answer.status_code in {400, 404}
    assert answer.headers["Server"] == "nginx"
    assert "application/json" not in answer.headers["Content-Type"]


def test_nobody_gets_in_without_a_password(stack: Stack) -> None:
    assert stack.ask("GET", "/api/v2/dags").status_code == 401
    assert stack.ask("GET", "/perennial/runs/").status_code == 401
    wrong = {"username": stack.setting("ADMIN_USER"), "password": "wrong"}
    assert stack.ask("POST", "/auth/token", json=wrong).status_code == 401
    assert stack.ask("GET", "/mlflow/").status_code == 401
    assert stack.ask("GET", "/mlflow/get-artifact?path=x&run_uuid=y").status_code == 401
    assert stack.ask("GET", "/mlflow/api/2.0/mlflow-artifacts/artifacts").status_code == 401
    assert stack.ask("GET", "/mlflow/", auth=(wrong["username"], wrong["password"])).status_code == 401
    assert stack.ask("GET", "/v1/models").status_code == 401
    assert stack.ask("GET", "/v1/models", headers=stack.bearer).ok


def test_where_training_code_runs_the_gateway_asks_for_a_token_too(stack: Stack) -> None:
    url = "http://gateway:8000/v1/models/m/feedback"
    program = f"import requests; print(requests.post({url!r}, json={{}}, timeout=30).status_code)"
    assert stack.exec("mlflow", "python", "-c", program).strip() == b"401"


def test_mlflow_answers_its_pages_and_its_clients_below_its_path(stack: Stack) -> None:
    login = (stack.setting("ADMIN_USER"), stack.setting("MLFLOW_PASSWORD"))
    assert stack.ask("GET", "/mlflow").headers["Location"].endswith("/mlflow/")
    page = stack.ask("GET", "/mlflow/", auth=login)
    assert page.ok
    script = re.search(r'src="(static-files/[^"]+\.js)"', page.text)
    assert script
    assert stack.ask("GET", f"/mlflow/{script[1]}", auth=login).ok
    experiments = stack.ask(
        "POST", "/mlflow/api/2.0/mlflow/experiments/search", auth=login, json={"max_results": 1}
    )
    assert experiments.json()["experiments"]
    elsewhere = {"Origin": "https://elsewhere.example"}
    path = "/mlflow/ajax-api/2.0/mlflow/experiments/create"
    assert stack.ask("POST", path, auth=login, json={"name": "x"}, headers=elsewhere).status_code == 403


def test_answers_carry_what_protects_a_browser(stack: Stack) -> None:
    page = stack.ask("GET", "/auth/login/")
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in page.headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in page.headers, (
        "a certificate that nobody signed would lock users out"
    )
    cookies = page.raw.headers.getlist("Set-Cookie")
    assert cookies
    assert all("secure" in cookie.lower() and "httponly" in cookie.lower() for cookie in cookies)
    login = (stack.setting("ADMIN_USER"), stack.setting("MLFLOW_PASSWORD"))
    artifact = stack.ask("GET", "/mlflow/get-artifact?path=a&run_uuid=b", auth=login)
    assert "sandbox" in artifact.headers["Content-Security-Policy"]


def test_a_body_that_is_too_large_is_refused_in_words(stack: Stack) -> None:
    path, body = "/v1/models/review_sentiment/predict", b"x" * 3_000_000
    answer = stack.ask("POST", path, data=body, headers=stack.bearer)
    assert answer.status_code == 413
    assert "larger than" in answer.json()["error"]


def test_containers_run_without_rights_and_within_limits(stack: Stack) -> None:
    for container in stack.containers():
        service, host = container.labels["com.docker.compose.service"], container.attrs["HostConfig"]
        assert (host["CapDrop"], host["CapAdd"] or [], host["Privileged"]) == (["ALL"], [], False), service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        assert host["ReadonlyRootfs"], service
        assert min(host["Memory"], host["NanoCpus"]) > 0, service
        if container.status == "running":
            assert said(container, "id", "-u")[1].strip() not in {b"0", b""}, service
            code, _ = container.exec_run(["touch", "/usr/written"])
            assert code != 0, f"{service} can write to its root file system"


def test_only_the_proxy_sees_the_engines_socket_and_it_refuses_a_privileged_container(stack: Stack) -> None:
    holders = {
        container.labels["com.docker.compose.service"]
        for container in stack.containers()
        for mount in container.attrs["Mounts"]
        if mount["Destination"].endswith("docker.sock")
    }
    assert holders == {"engine"}
    program = (
        "import docker\n"
        "client = docker.DockerClient('tcp://engine:2375')\n"
        "try: client.containers.create('{image}', 'true', name='perennial-00000000000000000000', "
        "privileged=True)\n"
        "except docker.errors.APIError as error: print(error.status_code, error.explanation)\n"
    ).format(image=stack.setting("STEP_IMAGE"))
    assert stack.python(program).startswith("403")
    look = "import socket\ntry: print(socket.gethostbyname('engine'))\nexcept OSError: print('unknown')"
    assert stack.python(look, service="mlflow").strip() == "unknown"
    assert stack.python(look, service="torchserve").strip() == "unknown"


def test_each_database_opens_for_its_own_user_alone(stack: Stack) -> None:
    for user, name in FOUR.items():
        url = f"postgresql://{user}:{stack.setting(f'{name}_DATABASE_PASSWORD')}@127.0.0.1/"
        for database in FOUR:
            code, output = said(stack.container("postgres"), "psql", f"{url}{database}", "-tAc", "select 1")
            assert (code == 0) == (database == user), f"{user} on {database}: {output.decode()}"


def test_secrets_are_in_env_alone(stack: Stack) -> None:
    file = stack.folder / "env"
    assert file.stat().st_mode & 0o777 == 0o600
    for container in stack.containers(
        "airflow-apiserver", "mlflow", "gateway", "torchserve", "engine", "objectstore"
    ):
        history = json.dumps([container.image.attrs["Config"], container.image.history()])
        for name in (
            "ADMIN_PASSWORD",
            "POSTGRES_PASSWORD",
            "OBJECTSTORE_SECRET_KEY",
            "GATEWAY_TOKEN",
            "MLFLOW_KEY",
            "LEDGER_KEY",
            "AIRFLOW_JWT_SECRET",
        ):
            assert stack.setting(name) not in history
    assert stack.container("worker-default").exec_run(["test", "-e", "/opt/perennial/.env"]).exit_code == 1
    commands = b"\n".join(
        stack.exec(service, "sh", "-c", "cat /proc/[0-9]*/cmdline") for service in ("redis", "mlflow")
    )
    assert stack.setting("REDIS_PASSWORD").encode() not in commands
    assert stack.setting("MLFLOW_DATABASE_PASSWORD").encode() not in commands


# --- what goes wrong at the start ---------------------------------------------------------------------------


@pytest.fixture
def another(engine: docker.DockerClient, tmp_path: Path) -> Stack:
    return stack_of(engine, f"{PROJECT_NAME}-other", tmp_path)


def test_a_port_that_is_taken_is_named_before_anything_is_started(stack: Stack, another: Stack) -> None:
    another.set(HTTPS_PORT=stack.setting("HTTPS_PORT"))
    up = another.make("up")
    assert up.returncode != 0
    assert f"Port {stack.setting('HTTPS_PORT')}" in up.stdout
    assert "is taken" in up.stdout
    assert f"of the platform of the clone {PROJECT}. Stop that, or set another port: HTTPS_PORT" in up.stdout
    assert not left_of(another.engine, another.project)


def test_an_address_that_this_machine_does_not_have_is_named(another: Stack) -> None:
    another.set(BIND_ADDRESS="192.0.2.1")
    up = another.make("up")
    assert up.returncode != 0
    assert "no address 192.0.2.1" in up.stdout
    assert not left_of(another.engine, another.project)


def test_databases_whose_passwords_are_lost_are_not_given_new_ones(another: Stack) -> None:
    volume = another.engine.volumes.create(
        f"{another.project}_postgres", labels={PROJECT_LABEL: another.project}
    )
    try:
        up = another.make("up")
        assert up.returncode != 0
        assert "their passwords is gone" in up.stdout
        restore = another.make("restore", FROM=str(another.folder))
        assert restore.returncode != 0
    finally:
        volume.remove()
