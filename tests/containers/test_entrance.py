"""The reverse proxy alone, with its real configuration, before services that tell what reaches them.

Requests are written to the socket as they are: no client makes their paths any better.
"""

import base64
import json
import re
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
import yaml

from tests.conftest import PROJECT
from tests.containers.said import said

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

LOGIN = "Basic " + base64.b64encode(b"admin:a-pass+word/1?").decode()
TOKEN = "Bearer t0ken+Of/the~Test"
CONFIGURATION = str(PROJECT / "containers" / "compose" / "entrance")
ALIASES = ["airflow-apiserver", "mlflow", "gateway"]
CLOSED = ("internal", "metrics", "execution", "edge_worker", "healthz", "models", "mlflow")
ANY_CERTIFICATE = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
ANY_CERTIFICATE.check_hostname, ANY_CERTIFICATE.verify_mode = False, ssl.CERT_NONE
Entrances = Callable[..., "Entrance"]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: str

    @property
    def reached(self) -> dict[str, Any]:
        """What the service was asked; empty where the entrance answered by itself."""
        found: dict[str, Any] = json.loads(self.body) if '"service"' in self.body else {}
        return found


@dataclass(frozen=True)
class Entrance:
    """A running entrance and the port of this machine that leads to it."""

    container: "Container"
    port: int

    def send(self, head: bytes, *, host: str = "localhost", **headers: str) -> Answer:
        """Send a request line as it is, and read the answer to its end."""
        lines = [head, f"Host: {host}".encode(), b"Connection: close"]
        lines += [f"{name}: {value}".encode() for name, value in headers.items()]
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain,
            ANY_CERTIFICATE.wrap_socket(plain) as secured,
        ):
            secured.sendall(b"\r\n".join([*lines, b"", b""]))
            received = b"".join(iter(lambda: secured.recv(65_536), b""))
        return _parsed(received)

    def get(self, target: str | bytes, **headers: str) -> Answer:
        raw = target if isinstance(target, bytes) else target.encode()
        return self.send(b"GET " + raw + b" HTTP/1.1", **headers)

    def burst(self, target: str, count: int = 30, **headers: str) -> list[Answer]:
        return [self.get(target, **headers) for _ in range(count)]


def _parsed(received: bytes) -> Answer:
    head, _, body = received.decode("latin-1").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    if headers.get("Transfer-Encoding") == "chunked":
        body = re.sub(r"(^|\r\n)[0-9a-f]+\r\n", "", body)
    return Answer(int(first.split()[1]), headers, body)


@pytest.fixture(scope="module")
def entrances(engine: "docker.DockerClient") -> Iterator[Entrances]:
    """Starts entrances with the settings that a test wants, before one stand-in for all services."""
    network = engine.networks.create(
        f"perennial-test-{secrets.token_hex(4)}", labels={"perennial.test": "entrance"}
    )
    stand_in = engine.containers.create(
        "python:3.11-slim-bookworm",
        ["python3", "/stand_in.py"],
        volumes={str(Path(__file__).with_name("stand_in.py")): {"bind": "/stand_in.py", "mode": "ro"}},
        labels={"perennial.test": "entrance"},
    )
    started = [stand_in]
    network.connect(stand_in, aliases=ALIASES)
    stand_in.start()
    kept: dict[tuple[tuple[str, str], ...], Entrance] = {}

    def start(**settings: str) -> Entrance:
        key = tuple(sorted(settings.items()))
        if key not in kept:
            container = _start(engine, network.name, settings)
            started.append(container)
            kept[key] = _ready(container)
        return kept[key]

    yield start
    for container in started:
        container.remove(force=True)
    network.remove()


def _start(
    engine: "docker.DockerClient",
    network: str,
    settings: dict[str, str],
    volumes: Mapping[str, dict[str, str]] = MappingProxyType({}),
) -> "Container":
    """Start an entrance as docker-compose.yaml does, its certificate in memory unless a volume is given."""
    compose = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text(encoding="utf-8"))
    service = compose["services"]["entrance"]
    given = {
        "PUBLIC_HOST": "localhost",
        "HTTPS_PORT": "8443",
        "MLFLOW_USER": "admin",
        "MLFLOW_PASSWORD": "a-pass+word/1?",
    }
    return engine.containers.run(
        service["image"],
        service["command"],
        detach=True,
        network=network,
        environment=dict.fromkeys(service["environment"], "") | given | settings,
        volumes={CONFIGURATION: {"bind": "/etc/perennial", "mode": "ro"}, **volumes},
        tmpfs={"/tmp": "mode=1777"} | ({} if volumes else {"/var/tmp": "uid=10001"}),
        ports={"8443/tcp": ("127.0.0.1", None)},
        user="10001:0",
        read_only=True,
        labels={"perennial.test": "entrance"},
    )


def _ready(container: "Container") -> Entrance:
    until = time.monotonic() + 30
    while container.exec_run(["sh", "/etc/perennial/healthy.sh"]).exit_code != 0:
        assert time.monotonic() < until, container.logs().decode()
        time.sleep(0.1)
    container.reload()
    return Entrance(container, int(container.ports["8443/tcp"][0]["HostPort"]))


@pytest.fixture(scope="module")
def entrance(entrances: Entrances) -> Entrance:
    """The entrance as `make up` starts it."""
    return entrances()


# --- what leads where ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "service"),
    [
        ("/", "airflow"),
        (
            "/dags/train_m/runs/manual__2026-11-20T12%3A00%3A00%2B00%3A00/tasks/train?try=1&a=%2e%2e/",
            "airflow",
        ),
        ("/api/v2/dags/~/dagRuns", "airflow"),
        ("/static/assets/index-1.2..js", "airflow"),
        ("/v1/models/m/predict", "gateway"),
    ],
)
def test_an_honest_path_reaches_its_service_as_it_was_sent(
    entrance: Entrance, target: str, service: str
) -> None:
    assert entrance.get(target).reached.items() >= {"service": service, "target": target}.items()


def test_mlflow_is_told_who_asks_and_nothing_of_airflow_s_session(entrance: Entrance) -> None:
    asked = entrance.get(
        "/mlflow/api/2.0/mlflow/runs/get?run_id=a%2Fb", Authorization=LOGIN, Cookie="session=s"
    ).reached
    assert (asked["service"], asked["target"]) == ("mlflow", "/api/2.0/mlflow/runs/get?run_id=a%2Fb")
    assert asked["headers"]["Authorization"] == LOGIN
    assert "Cookie" not in asked["headers"]


# --- what stays closed --------------------------------------------------------------------------------------


def odd(path: str) -> Iterator[str]:
    """One closed path, written in every way that some server has once read as it."""
    first, rest = path.split("/", 1)
    encoded = "".join(f"%{ord(letter):02x}" for letter in first)
    yield from (
        f"/{path}",
        f"/{first}",
        f"//{path}",
        f"///{path}",
        f"/{encoded}/{rest}",
        f"/%{ord(first[0]):02X}{path[1:]}",
    )
    yield from (
        f"/%25{ord(first[0]):02x}{path[1:]}",
        f"/{first}%2f{rest}",
        f"/{first}%5c{rest}",
        f"/{first}\\{rest}",
        f"\\{path}",
    )
    yield from (
        f"/{path.upper()}",
        f"/{path.title()}",
        f"/{first};x/{rest}",
        f"/{first};/{rest}",
        f"/{first}/;x/{rest}",
        f"/;x/{path}",
    )
    yield from (
        f"/{first}%00/{rest}",
        f"/{first}%20/{rest}",
        f"/{first}./{rest}",
        f"/{first}%09/{rest}",
        f"/%20{path}",
        f"/{path}#x",
    )
    for up in ("..", "%2e%2e", ".%2e", "%2E.", "%252e%252e", "..;", "..;x", "%2e%2e%3b"):
        for slash in ("/", "%2f", "\\", "%5c", "%252f", "//"):
            yield from (
                f"/v1{slash}{up}{slash}{path}",
                f"/v1/models{slash}{up}{slash}{up}{slash}{path}",
                f"/static{slash}{up}/{path}",
            )
            yield from (f"/{up}{slash}{path}", f"/mlflow{slash}{up}{slash}{path}", f"/auth/{up}{slash}{path}")
    yield from (
        f"/./{path}",
        f"/.//{path}",
        f"/%2e/{path}",
        f"/v1/./.././{path}",
        f"/{path}/..",
        f"/{first}/x/../{rest}",
    )
    yield from (
        f"http://localhost/{path}",
        f"https://localhost:8443/{path}",
        f"HTTP://gateway:8000/{path}",
        f"http:///{path}",
    )
    yield from (
        f"//gateway:8000/{path}",
        f"/http://gateway:8000/{path}",
        f"?/../{path}",
        f"/?/../../{path}",
        f"*/{path}",
    )


def meant(target: str) -> str:
    """The path as the most obliging of servers would read it: decoded to the end, slashes of all kinds, no
    parameters, dots followed, lower case.
    """
    path = target.partition("?")[0].partition("#")[0]
    while (decoded := unquote(path)) != path:
        path = decoded
    parts: list[str] = []
    for part in path.replace("\\", "/").lower().split("/"):
        name = part.partition(";")[0].strip("\0 \t")
        if name == "..":
            del parts[-1:]
        elif name.strip("."):
            parts.append(name)
    return "/".join(parts)


@pytest.mark.parametrize(
    "path",
    [
        "internal/routes/m",
        "metrics/x",
        "execution/task-instances/x/run",
        "edge_worker/v1/worker/w",
        "healthz/x",
        "models/m",
    ],
)
def test_what_services_tell_each_other_is_reached_by_no_way_of_writing_it(
    entrance: Entrance, path: str
) -> None:
    """Airflow alone may be asked for `/healthz` or `/models`, which are the gateway's and TorchServe's."""
    closed = CLOSED if path.partition("/")[0] not in {"healthz", "models"} else ()
    for target in odd(path):
        answer = entrance.get(target.encode())
        if not answer.reached:
            assert answer.status in {400, 404, 401}, target
            continue
        service, read = answer.reached["service"], meant(answer.reached["target"])
        assert service != "mlflow", target
        assert service != "gateway" or read.split("/")[0] == "v1", f"{target} reached the gateway as {read}"
        assert read.split("/")[0] not in closed, f"{target} reached {service} as {read}"


def test_odd_bytes_and_methods_reach_nobody(entrance: Entrance) -> None:
    for head in (
        b"GET /internal\x00/routes HTTP/1.1",
        b"GET /v1/\x00../internal HTTP/1.1",
        b"CONNECT torchserve:8086 HTTP/1.1",
        b"GET torchserve:8086/models HTTP/1.1",
        b"GET gopher://gateway:8000/internal HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"TRACE /execution HTTP/1.1",
        b"GET  /execution HTTP/1.1",
        b"GET /v1/ HTTP/1.1 /internal HTTP/1.1",
        b"GET /\xff\xfe/internal HTTP/1.1",
    ):
        answer = entrance.send(head)
        assert not answer.reached, head
        assert 400 <= answer.status < 500, head


def test_another_host_s_name_leads_nowhere_else(entrance: Entrance) -> None:
    for host in ("gateway:8000", "mlflow:5000", "torchserve:8086", "127.0.0.1"):
        assert entrance.send(b"GET /models HTTP/1.1", host=host).reached["service"] == "airflow"
        absolute = entrance.send(f"GET http://{host}/models HTTP/1.1".encode(), host="localhost")
        assert absolute.reached.get("service") in {None, "airflow"}


@pytest.mark.parametrize(
    "target",
    [
        "/mlflow/",
        "/mlflow/health",
        "/mlflow/static-files/index.html",
        "/mlflow/get-artifact?path=x&run_uuid=y",
        "/mlflow/api/2.0/mlflow-artifacts/artifacts",
        "/mlflow/ajax-api/2.0/mlflow/users/list",
        "//mlflow/health",
        "/mlflow//health",
        "/mlflow/./health",
    ],
)
def test_nothing_of_mlflow_is_reached_without_the_password(entrance: Entrance, target: str) -> None:
    wrong = "Basic " + base64.b64encode(b"admin:guess").decode()
    for headers in ({}, {"Authorization": wrong}, {"Authorization": LOGIN.swapcase()}):
        answer = entrance.get(target, **headers)
        assert (answer.status in {400, 401, 429}, answer.reached) == (True, {})


# --- who guesses is slowed down -----------------------------------------------------------------------------


def too_many(answers: list[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.status == 429]


@pytest.mark.parametrize(
    "target", ["/auth/token", "/auth/login/", "/auth/token/cli", "//auth//token", "/%61uth/token"]
)
def test_guessing_a_password_of_airflow_is_slowed_down(entrances: Entrances, target: str) -> None:
    entrance = entrances(PUBLIC_HOST="airflow.example")
    answers = [answer for answer in entrance.burst(target) if answer.status != 400]
    refused = too_many(answers)
    assert len(refused) >= min(5, len(answers))
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    assert all("Try again" in json.loads(answer.body)["error"] for answer in refused)
    assert not too_many(entrance.burst("/dags")), "the pages are not slowed down"


def test_guessing_the_password_of_mlflow_is_slowed_down_and_knowing_it_never(entrances: Entrances) -> None:
    entrance = entrances(PUBLIC_HOST="mlflow.example")
    wrong = "Basic " + base64.b64encode(b"admin:guess").decode()

    refused = too_many(entrance.burst("/mlflow/", Authorization=wrong))

    assert len(refused) >= 5
    assert "Retry-After" in refused[0].headers
    assert {answer.status for answer in entrance.burst("/mlflow/", Authorization=LOGIN)} == {200}


def test_guessing_a_token_of_the_gateway_is_slowed_down_and_knowing_it_never(entrances: Entrances) -> None:
    entrance = entrances(PREDICTION_TOKENS=f"default={TOKEN.removeprefix('Bearer ')},shop=an.other=1,")

    guesses = (
        "Bearer guess",
        TOKEN.swapcase(),
        TOKEN + "x",
        "Bearer an-other=1",
        f"Basic {TOKEN.split()[1]}",
    )
    for guess in guesses:
        answer = entrance.get("/v1/models", Authorization=guess)
        assert (answer.status, answer.reached) == (401, {})
        assert "PREDICTION_TOKEN" in json.loads(answer.body)["error"]
    refused = too_many(entrance.burst("/v1/models"))

    assert len(refused) >= 5
    assert "Retry-After" in refused[0].headers
    for known in (TOKEN, "Bearer an.other=1"):
        assert {answer.status for answer in entrance.burst("/v1/models", Authorization=known)} == {200}


# --- settings -----------------------------------------------------------------------------------------------


def test_workers_on_other_machines_reach_airflow_and_mlflow_asks_their_steps_itself(
    entrances: Entrances,
) -> None:
    entrance = entrances(EDGE_WORKERS="yes")
    step = "Basic " + base64.b64encode(b"perennial-model-m:derived").decode()
    assert entrance.get("/execution/health").reached["service"] == "airflow"
    assert entrance.get("/edge_worker/v1/worker/w").reached["service"] == "airflow"
    assert entrance.get("/internal/routes/m").status == 404
    answers = entrance.burst("/mlflow/api/2.0/mlflow/runs/get", Authorization=step)
    assert {answer.reached["headers"]["Authorization"] for answer in answers} == {step}
    assert too_many(entrance.burst("/mlflow/api/2.0/mlflow/runs/get")), "who brings nothing is slowed down"


def test_no_secret_stands_in_a_command_line_or_an_open_file(entrances: Entrances) -> None:
    container = entrances(PREDICTION_TOKENS=f"default={TOKEN.removeprefix('Bearer ')}").container
    _, commands = said(container, "sh", "-c", "cat /proc/[0-9]*/cmdline")
    assert b"t0ken" not in commands
    assert b"a-pass" not in commands
    assert b"nginx" in commands
    _, modes = said(container, "stat", "-c", "%a", "/tmp/nginx.conf", "/tmp/fill.sed", "/tmp/mlflow.users")
    assert modes.split() == [b"600"] * 3


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ('a"b', "The token of shop may hold letters"),
        ("*", "The token of shop"),
        ("sha256:0", "the token itself"),
    ],
)
def test_a_token_that_cannot_be_compared_is_refused_at_the_start(
    engine: "docker.DockerClient", token: str, sentence: str
) -> None:
    container = _start(engine, "bridge", {"PREDICTION_TOKENS": f"default=fine,shop={token}"})
    try:
        assert container.wait(timeout=30)["StatusCode"] == 1
        assert sentence in container.logs().decode()
    finally:
        container.remove(force=True)


def test_a_certificate_of_ones_own_is_taken_as_it_is_and_half_of_one_is_refused(
    engine: "docker.DockerClient", tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    folder = {str(tmp_path): {"bind": "/var/tmp", "mode": "rw"}}
    (tmp_path / "tls.key").write_text("mine", encoding="utf-8")
    refused = _start(engine, "bridge", {}, volumes=folder)
    try:
        assert refused.wait(timeout=30)["StatusCode"] == 1
        assert b"has tls.key but no tls.crt" in refused.logs()
    finally:
        refused.remove(force=True)

    (tmp_path / "tls.key").unlink()
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -subj /O=Somebody"
    command = f"{made} -keyout /var/tmp/tls.key -out /var/tmp/tls.crt".split()
    engine.containers.run("nginx:1.28-bookworm", command, remove=True, user="10001:0", volumes=folder)
    certificate = (tmp_path / "tls.crt").read_bytes()
    container = _start(
        engine, "bridge", {"PUBLIC_HOST": "models.example", "HTTPS_PORT": "443"}, volumes=folder
    )
    try:
        entrance = _ready(container)
        assert "max-age" in entrance.get("/healthy").headers["Strict-Transport-Security"]
        _, configuration = said(container, "cat", "/tmp/nginx.conf")
        assert b"return 308 https://models.example$request_uri" in configuration
        assert (tmp_path / "tls.crt").read_bytes() == certificate
    finally:
        container.remove(force=True)
