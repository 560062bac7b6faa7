"""docker-compose.yaml and the scripts beside it, without an
engine: secrets, what is exposed, and that nothing drifts apart.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from embedded import airflow, lineage
from embedded.private import Secrets
from embedded.settings import EmbeddedSettings
from tests.conftest import PROJECT

SCRIPTS = PROJECT / "containers" / "compose"
COMPOSE = PROJECT / "docker-compose.yaml"
SAME_ON_BOTH = (
    "scheduler",
    "workers",
    "core__dagbag_import_timeout",
    "dag_processor__parsing",
    "dag_processor__dag_file",
    "api_auth__jwt_issuer",
    "usage_data_collection",
    "logging__worker_log",
    "logging__trigger_log",
    "logging__namespace",
    "openlineage__e",
)
IMAGES = ("AIRFLOW", "TORCHSERVE", "INFERENCE", "MLFLOW", "GATEWAY", "ENGINE", "OBJECTSTORE", "STEP")
PLACES = re.compile(r"_(PATH|SECRET)$")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture
def own(tmp_path: Path) -> dict[str, str]:
    """The environment of a platform of its own, which has no engine."""
    return {
        "PATH": os.environ["PATH"],
        "COMPOSE_PROJECT_NAME": "perennial-unit",
        "ENV_FILE": str(tmp_path / "env"),
        "AIRFLOW_ENV_FILE": str(tmp_path / "env.airflow"),
        "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
    }


def script(name: str, environment: dict[str, str], **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["/bin/sh", str(SCRIPTS / name)],
        env=environment | more,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def read(file: Path) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))  # type: ignore[misc]


# --- secrets ------------------------------------------------------------------------------------------------


def test_the_first_start_makes_every_secret_that_compose_asks_for_readable_by_its_owner_alone(
    own: dict[str, str], tmp_path: Path
) -> None:
    done = script("secrets.sh", own)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "env").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "env.airflow").stat().st_mode & 0o777 == 0o600
    asked = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text(encoding="utf-8")))
    images = {name for name in asked if name.endswith("_IMAGE")}
    assert asked - images <= set(read(tmp_path / "env"))
    assert {name: value for name, value in read(tmp_path / "env").items() if not value} == {}


def test_no_two_secrets_and_no_two_installations_are_alike(own: dict[str, str], tmp_path: Path) -> None:
    script("secrets.sh", own)
    script("secrets.sh", own | {"ENV_FILE": str(tmp_path / "other")})
    one, other = read(tmp_path / "env"), read(tmp_path / "other")
    secrets = [name for name in one if re.search(r"PASSWORD|SECRET|TOKEN|FERNET|(MLFLOW|LEDGER)_KEY", name)]
    assert len({one[name] for name in secrets} | {other[name] for name in secrets}) == 2 * len(secrets) >= 20
    assert all(len(one[name]) >= 20 for name in secrets)


def test_names_of_the_embedded_platform_are_left_alone_and_none_is_added_to_them(
    own: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "env").write_text(
        "PERENNIAL_HOME=/somewhere\nADMIN_PASSWORD=chosen-by-me\nHTTPS_PORT=9443\n", encoding="utf-8"
    )
    script("secrets.sh", own)
    first = read(tmp_path / "env")
    assert first["PERENNIAL_HOME"] == "/somewhere"
    assert first["ADMIN_PASSWORD"] == "chosen-by-me"
    assert first["HTTPS_PORT"] == "9443"
    assert [name for name in first if name.startswith("PERENNIAL_")] == ["PERENNIAL_HOME"]
    script("secrets.sh", own)
    assert read(tmp_path / "env") == first


def test_the_encryption_key_of_connections_is_one_that_airflow_takes(
    own: dict[str, str], tmp_path: Path
) -> None:
    from cryptography.fernet import Fernet

    script("secrets.sh", own)
    secret = read(tmp_path / "env")
    assert Fernet(secret["AIRFLOW_FERNET_KEY"])
    assert len(secret["AIRFLOW_JWT_SECRET"]) >= 64


# --- where lineage goes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://marquez:5000", ""),
        ("https://lineage.example/base/", "a-bearer-token"),
        ("file:///home/perennial/airflow/logs/lineage.jsonl", ""),
    ],
)
def test_airflow_in_containers_sends_lineage_as_airflow_on_one_machine_does(
    own: dict[str, str], tmp_path: Path, url: str, key: str
) -> None:
    asked = f"PERENNIAL_OPENLINEAGE_URL={url}\nPERENNIAL_OPENLINEAGE_KEY={key}\n"
    (tmp_path / "env").write_text(asked, encoding="utf-8")
    done = script("lineage.sh", own)
    assert done.returncode == 0, done.stderr
    wanted = lineage.options(url, key, "unit")["transport"]
    assert json.loads(read(tmp_path / "env")["OPENLINEAGE_TRANSPORT"]) == json.loads(str(wanted))

    (tmp_path / "env").write_text("PERENNIAL_OPENLINEAGE_URL=\nOPENLINEAGE_TRANSPORT={}\n", encoding="utf-8")
    script("lineage.sh", own)
    assert not read(tmp_path / "env")["OPENLINEAGE_TRANSPORT"]


@pytest.mark.parametrize(
    "url",
    [
        "marquez:5000",
        "http://",
        "file://lineage.jsonl",
        "file:///logs/",
        'http://a"b',
        "https://ada:secret@host",
    ],
)
def test_a_place_where_lineage_cannot_go_ends_make_up_with_a_sentence(
    own: dict[str, str], tmp_path: Path, url: str
) -> None:
    (tmp_path / "env").write_text(f"PERENNIAL_OPENLINEAGE_URL={url}\n", encoding="utf-8")
    done = script("lineage.sh", own)
    assert done.returncode == 1
    assert done.stderr.startswith(f"PERENNIAL_OPENLINEAGE_URL in {tmp_path / 'env'} ")
    assert "OPENLINEAGE_TRANSPORT" not in read(tmp_path / "env")


# --- what can go wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["up.sh", "down.sh", "backup.sh", "restore.sh"])
def test_without_an_engine_each_command_says_so_in_a_sentence(name: str, own: dict[str, str]) -> None:
    if shutil.which("docker") is None:
        pytest.skip("there is no docker client here")
    done = script(name, own)
    assert done.returncode == 1
    assert "No Docker engine answers" in done.stderr
    assert "no-engine.sock" in done.stderr


def stub(folder: Path, name: str, text: str) -> dict[str, str]:
    """A program of that name, first on the path."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_without_docker_the_way_without_containers_is_named(own: dict[str, str], tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "dirname", "sed", "tail", "date", "cat", "grep"):
        (tools / tool).symlink_to(shutil.which(tool) or "")
    done = script("up.sh", own | {"PATH": str(tools)})
    assert done.returncode == 1
    assert "Docker is not installed" in done.stderr
    assert "make start" in done.stderr


@pytest.mark.parametrize(
    ("answers", "old_compose", "sentence"),
    [
        ('case "$1" in compose) exit 1 ;; esac', "exit 1", "This docker-compose is too old"),
        ('case "$1" in compose) exit 1 ;; esac', "echo 1.25.0", "This docker-compose is too old: 1.25.0"),
        ('echo "permission denied while trying to connect" >&2; exit 1', "", "usermod -aG docker"),
    ],
)
def test_a_docker_that_cannot_be_used_is_explained(
    answers: str, old_compose: str, sentence: str, own: dict[str, str], tmp_path: Path
) -> None:
    path = stub(tmp_path / "tools", "docker", answers) | stub(
        tmp_path / "tools", "docker-compose", old_compose
    )
    done = script("up.sh", own | path)
    assert done.returncode == 1
    assert sentence in done.stderr


def test_images_that_are_missing_are_built_and_named_by_their_content(
    own: dict[str, str], tmp_path: Path
) -> None:
    images = tmp_path / "images.env"
    lines = "".join(
        f"PERENNIAL_{name}_IMAGE=sha256:{index:064x}\n" for index, name in enumerate((*IMAGES[:-1], "ML"), 10)
    )
    (tmp_path / "made").write_text(lines, encoding="utf-8")
    tools = tmp_path / "tools"
    stub(tools, "make", f'echo "$1" >> {tmp_path}/asked; cp {tmp_path}/made {images}')
    path = stub(tools, "docker", 'case "$1 $2" in "volume inspect") exit 1 ;; "run --rm") echo 999 ;; esac')
    for _ in range(2):
        done = script("up.sh", own | path, MAKE="make", IMAGES_FILE=str(images))
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "asked").read_text(encoding="utf-8") == "images\n", "the second time they were there"
    settings = read(tmp_path / "env")
    assert settings["AIRFLOW_IMAGE"] == "perennial/airflow:000000000000"
    assert settings["STEP_IMAGE"] == f"sha256:{17:064x}"
    assert settings["DOCKER_GROUP"] == "999"
    assert settings["ADMIN_PASSWORD"] in done.stdout
    assert "https://localhost:8443" in done.stdout


def test_a_restore_without_a_backup_says_what_it_needs(own: dict[str, str], tmp_path: Path) -> None:
    path = stub(tmp_path / "tools", "docker", "exit 0")
    assert "make restore FROM=" in script("restore.sh", own | path).stderr
    assert "is not a backup" in script("restore.sh", own | path, FROM=str(tmp_path)).stderr
    broken = tmp_path / "backup"
    broken.mkdir()
    (broken / "airflow.dump").write_text("cut", encoding="utf-8")
    (broken / "SHA256SUMS").write_text(f"{'0' * 64}  ./airflow.dump\n", encoding="utf-8")
    assert "is damaged" in script("restore.sh", own | path, FROM=str(broken)).stderr


# --- the compose file ---------------------------------------------------------------------------------------


def test_nothing_but_the_entrance_can_be_reached_from_outside(compose: dict[str, Any]) -> None:
    published = {
        name: service["ports"] for name, service in compose["services"].items() if service.get("ports")
    }
    assert set(published) == {"entrance"}
    assert all(port.startswith("${BIND_ADDRESS:-127.0.0.1}:") for port in published["entrance"])


def test_only_the_proxy_holds_the_engines_socket_and_only_workers_reach_the_proxy(
    compose: dict[str, Any],
) -> None:
    services = compose["services"]
    holders = {name for name, service in services.items() if "docker.sock" in str(service.get("volumes"))}
    assert holders == {"engine"}
    assert compose["networks"]["engine"]["internal"]
    neighbours = {name for name, service in services.items() if "engine" in service["networks"]}
    assert neighbours == {"engine", "worker-default", "worker-gpu"}
    assert services["engine"]["networks"] == ["engine"]


def test_every_service_has_limits_and_no_rights_that_it_does_not_need(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert not service.get("privileged"), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["cpus"], name
        assert service["read_only"] or name in {"demo", "gpu-exporter"}, name
        ends = name in {"airflow-init", "monitoring-init", "demo", "command"}
        assert service["restart"] == ("no" if ends else "unless-stopped"), name


def test_steps_may_be_what_the_workers_ask_for_and_the_proxy_lets_pass(compose: dict[str, Any]) -> None:
    worker, proxy = (compose["services"][name]["environment"] for name in ("worker-default", "engine"))
    shared = {name for name in worker if name.startswith(("PERENNIAL_STEP_", "PERENNIAL_INSTALLATION"))}
    assert {name: worker[name] for name in shared} == {name: proxy[name] for name in shared}
    assert proxy["PERENNIAL_ENGINE_IMAGES"] == worker["PERENNIAL_STEP_IMAGE"]
    assert "STEP_IMAGE" in worker["PERENNIAL_STEP_IMAGE"]


def test_airflow_in_containers_and_airflow_on_one_machine_wait_for_the_same_times(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    with_lineage = EmbeddedSettings(home=tmp_path, openlineage_url="http://collector")
    embedded = airflow.variables(with_lineage, PROJECT, 8080, Secrets())
    here = compose["services"]["airflow-scheduler"]["environment"]
    same = tuple(f"AIRFLOW__{section.upper()}" for section in SAME_ON_BOTH)
    wanted = {
        name: value for name, value in embedded.items() if name.startswith(same) and not PLACES.search(name)
    }
    assert {name: here.get(name) for name in wanted} == wanted


def test_what_was_well_is_asked_again_only_after_a_while_and_what_starts_or_is_ill_at_once(
    compose: dict[str, Any],
) -> None:
    waits, keeps = "[ -e /tmp/well ] && sleep 25; rm -f /tmp/well; ", " && touch /tmp/well"
    asked = {
        name: service
        for name, service in compose["services"].items()
        if "healthcheck" in service and not {"monitoring", "gpu-monitoring"} & {*service.get("profiles", ())}
    }
    assert {"postgres", "airflow-apiserver", "worker-gpu", "gateway-dev", "entrance"} <= set(asked)
    for name in set(asked) - {"loop-watch"}:
        _, command = asked[name]["healthcheck"]["test"]
        assert command.startswith(waits), name
        assert command.endswith(keeps), name
        assert asked[name]["healthcheck"]["timeout"] == "40s", f"{name}: the pause and time to answer"
        assert any(mount.startswith("/tmp:") for mount in asked[name]["tmpfs"]), f"{name} forgets at its end"


def test_the_gateways_token_is_known_to_those_who_move_routes_and_to_nobody_else(
    compose: dict[str, Any],
) -> None:
    knows = {
        name
        for name, service in compose["services"].items()
        if "PERENNIAL_GATEWAY_TOKEN" in service.get("environment", {})
    }
    gateways = {"gateway", "gateway-dev", "gateway-staging"}
    assert knows == {*gateways, "worker-default", "worker-gpu", "command"}


def test_each_environment_has_a_gateway_that_differs_from_production_s_in_its_records_alone(
    compose: dict[str, Any],
) -> None:
    production = compose["services"]["gateway"]
    for environment in ("dev", "staging"):
        gateway = compose["services"][f"gateway-{environment}"]
        assert gateway["profiles"] == ["environments"], "`make up` starts it where that is asked for"
        assert gateway["networks"] == ["steps"]
        own = gateway["environment"] | {"PERENNIAL_GATEWAY_ENVIRONMENT": None}
        assert own == production["environment"] | {"PERENNIAL_GATEWAY_ENVIRONMENT": None}
        assert gateway["environment"]["PERENNIAL_GATEWAY_ENVIRONMENT"] == environment


def test_the_command_is_there_for_one_word_alone_and_opens_no_port(compose: dict[str, Any]) -> None:
    command, step = compose["services"]["command"], compose["services"]["worker-default"]["environment"]
    assert command["profiles"] == ["command"], "`make up` does not start it"
    assert not {"ports", "healthcheck"} & set(command)
    assert "edge" not in command["networks"]
    told = command["environment"]
    assert {name: told[name] for name in set(told) & set(step)} == {
        name: step[name] for name in set(told) & set(step)
    }


def test_the_key_of_the_steps_mlflow_passwords_is_known_to_mlflow_and_airflow_alone(
    compose: dict[str, Any],
) -> None:
    environments = {name: service.get("environment", {}) for name, service in compose["services"].items()}
    knows = {name for name, variables in environments.items() if "PERENNIAL_MLFLOW_KEY" in variables}
    assert knows == {"mlflow", "airflow-triggerer", "worker-default", "worker-gpu"}
    signs = {name for name, variables in environments.items() if "LEDGER_KEY" in str(variables)}
    assert signs == {"worker-default", "worker-gpu", "command"}
    admin = {name for name, variables in environments.items() if "MLFLOW_PASSWORD" in str(variables)}
    assert admin == {"mlflow", "entrance", "command"}
    logged_in = {name for name, variables in environments.items() if "MLFLOW_TRACKING_PASSWORD" in variables}
    assert logged_in == {"command"}, "a person's, for one word"


def test_the_entrance_has_no_way_to_what_it_does_not_lead_to(compose: dict[str, Any]) -> None:
    def networks(name: str) -> set[str]:
        return set(compose["services"][name]["networks"])

    reached = {name for name in compose["services"] if networks(name) & networks("entrance")}
    assert reached == {"entrance", "airflow-apiserver", "mlflow", "gateway", "grafana", "demo"}


def test_everything_of_a_platform_says_whose_it_is(compose: dict[str, Any]) -> None:
    parts = [*compose["services"].values(), *compose["networks"].values(), *compose["volumes"].values()]
    assert {part["labels"]["perennial.clone"].partition(":?")[0] for part in parts} == {"${CLONE_ID"}


def test_the_file_holds_no_secret_of_its_own(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN|FERNET|(ACCESS|MLFLOW|LEDGER)_KEY|REDISCLI_AUTH", variable):
                own = value.removeprefix("default=").removesuffix(",${PREDICTION_TOKENS:-}")
                assert re.fullmatch(r"\$\{\w+:\?[^}]*\}", own), f"{name}: {variable}"


def test_the_gateway_and_the_reverse_proxy_know_the_same_tokens_of_users(compose: dict[str, Any]) -> None:
    gateway, entrance, demo = (
        compose["services"][name]["environment"] for name in ("gateway", "entrance", "demo")
    )
    assert gateway["PERENNIAL_PREDICTION_TOKENS"] == entrance["PREDICTION_TOKENS"]
    assert demo["DEMO_PREDICTION_TOKEN"] in gateway["PERENNIAL_PREDICTION_TOKENS"]


def test_airflow_sends_its_numbers_where_the_profile_that_hears_them_is_on(
    own: dict[str, str], tmp_path: Path
) -> None:
    script("secrets.sh", own)
    assert read(tmp_path / "env")["STATSD_ON"] == "False"
    with (tmp_path / "env").open("a", encoding="utf-8") as file:
        file.write("COMPOSE_PROFILES=environments,monitoring\n")
    script("secrets.sh", own)
    assert read(tmp_path / "env")["STATSD_ON"] == "True"


@pytest.mark.parametrize("profiles", ["", "monitoring,gpu-monitoring"], ids=["as it is", "monitoring"])
@pytest.mark.parametrize("command", [["docker", "compose"], ["docker-compose"]], ids=["v2", "1.29"])
def test_compose_reads_the_file(
    command: list[str], profiles: str, own: dict[str, str], tmp_path: Path
) -> None:
    own = own | {name: os.environ[name] for name in ("HOME", "DOCKER_CONFIG") if name in os.environ}
    if (
        shutil.which(command[0]) is None
        or subprocess.run([*command, "version"], check=False, env=own, capture_output=True).returncode
    ):
        pytest.skip(f"{' '.join(command)} is not installed here")
    script("secrets.sh", own)
    with (tmp_path / "env").open("a", encoding="utf-8") as file:
        file.writelines(f"{name}_IMAGE=example\n" for name in IMAGES)
    done = subprocess.run(
        [*command, "--env-file", own["ENV_FILE"], "config"],
        cwd=PROJECT,
        env=own | {"COMPOSE_PROFILES": profiles},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) >= {"entrance", "worker-gpu", "objectstore"}
    assert "variable is not set" not in done.stderr


def test_what_watches_the_loop_is_a_service_of_its_own_that_sends_by_airflow_s_channels(
    compose: dict[str, Any],
) -> None:
    watch, scheduler = (compose["services"][name] for name in ("loop-watch", "airflow-scheduler"))
    assert watch["command"][:3] == ["python", "-m", "plugins.loop_watch"]
    assert watch["command"][3] in watch["healthcheck"]["test"][1], "the file that it touches at each look"
    assert (watch["restart"], watch["env_file"]) == ("unless-stopped", scheduler["env_file"])
    assert set(watch["depends_on"]) == {"airflow-init"}, "it runs whatever else of Airflow's does not"
    told = watch["environment"]
    assert told == scheduler["environment"]
    for name in ("ALERTS", "ALERTS_REMIND_HOURS", "LOOP_SILENT_MINUTES", "HEARTBEAT_URL", "HEARTBEAT_METHOD"):
        assert told[f"PERENNIAL_{name}"].startswith(f"${{PERENNIAL_{name}:-")
