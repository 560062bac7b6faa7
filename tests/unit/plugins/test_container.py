"""The container of a step, as data: its limits, its labels, and what it is told and what it is not."""

import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from plugins.runners import Resources, Step
from plugins.runners.docker.container import ContainerSpec, container_of
from plugins.runners.environment import ASKS_ARCHIVES, MODEL_CODE
from plugins.runners.volumes import Volume
from tasks.errors import InvalidProject
from tasks.settings import Settings
from tasks.verbs import VERBS
from tests.unit.steps import step_to_run

MIB = 1 << 20
DIGEST = "sha256:" + "a" * 64
SECRETS = {
    "gateway_token": "g-secret",
    "database_url": "postgresql://p:d-secret@db/p",
    "ledger_key": "ab" * 32,
    "torchserve_key_file": "/srv/key_file.json",
}


def place(**changes: Any) -> Settings:
    return Settings(**{"step_image": DIGEST, "store_url": "s3://bucket"} | SECRETS | changes)


def step(**changes: Any) -> Step:
    urls = {"request_url": "s3://bucket/runs/x/request.json", "result_url": "s3://bucket/runs/x/result.json"}
    return step_to_run(Path("x"), **urls | changes)


def spec_of(
    asked: Step | None = None, *, gpus: bool = False, ours: dict[str, str] | None = None, **changes: Any
) -> ContainerSpec:
    return container_of(asked or step(), place(**changes), gpus=gpus, ours=ours or {})


def test_limits_are_what_the_kernel_enforces() -> None:
    wanted = Resources(cpus=1.5, memory_mib=1000, scratch_mib=200)
    host = spec_of(step(resources=wanted)).body()["HostConfig"]
    assert host["NanoCpus"] == 1_500_000_000
    assert host["Memory"] == host["MemorySwap"] == (1000 + 200 + 64) * MIB
    assert f"size={200 * MIB}," in host["Tmpfs"]["/scratch"]
    assert host["ShmSize"] == 500 * MIB


def test_a_container_has_no_more_rights_than_it_needs() -> None:
    body = spec_of(gpus=True).body()
    host = body["HostConfig"]
    assert (host["CapDrop"], host["SecurityOpt"], host["ReadonlyRootfs"]) == (
        ["ALL"],
        ["no-new-privileges"],
        True,
    )
    assert body["User"] == "10001:0"
    assert not {"Privileged", "Binds", "CapAdd", "Devices", "PidMode", "IpcMode", "Entrypoint"} & {
        *body,
        *host,
    }
    json.dumps(body)


def test_gpus_are_asked_for_only_when_they_are_wished_for() -> None:
    assert spec_of(gpus=False).body()["HostConfig"]["DeviceRequests"] == []
    [asked] = spec_of(gpus=True).body()["HostConfig"]["DeviceRequests"]
    assert (asked["Count"], asked["Capabilities"]) == (-1, [["gpu"]])


def test_the_command_names_the_files_and_the_model() -> None:
    assert spec_of(step(model="m")).command == (
        *("python", "-m", "tasks", "train"),
        *("--request", "s3://bucket/runs/x/request.json", "--result", "s3://bucket/runs/x/result.json"),
        *("--model", "m"),
    )
    assert "--model" not in spec_of().command


def test_labels_say_whose_step_it_is() -> None:
    labels = spec_of(installation="mine").labels
    assert set(labels) == {
        f"perennial.{name}"
        for name in (
            *(
                "installation",
                "step",
                "dag",
                "run",
                "task",
                "map",
                "try",
                "verb",
                "model",
                "request_sha256",
                "deadline",
            ),
        )
    }
    assert (labels["perennial.installation"], labels["perennial.map"]) == ("mine", "-1")
    assert all(isinstance(value, str) for value in labels.values())


def test_the_name_is_the_step_s_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    one = step(key="train_m/a/train")
    assert one.name == step(key="train_m/a/train", request_sha256="1" * 64, deadline=1.0).name
    assert one.name != step(key="train_m/b/train").name
    assert len(one.name) == len("perennial-") + 20


# --- environment --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_model_code_gets_no_credentials_of_the_platform(verb: str) -> None:
    given = spec_of(step(verb=verb)).environment
    assert given["PERENNIAL_STORE_URL"] == "s3://bucket"
    told = [secret for secret in SECRETS.values() if secret in given.values()]
    assert bool(told) == (verb not in MODEL_CODE)
    if verb in ASKS_ARCHIVES:
        assert told == [SECRETS["database_url"]], "and neither the ledger's key nor the gateway's token"


def test_a_step_reaches_the_store_and_mlflow_and_hears_nothing_of_airflow() -> None:
    ours = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_ENDPOINT_URL": "http://objectstore:9000",
        "AWS_PROFILE": "mine",
        "AWS_CONFIG_FILE": "/home/me/.aws/config",
        "MLFLOW_TRACKING_PASSWORD": "m",
        "GOOGLE_APPLICATION_CREDENTIALS": "/srv/key.json",
        "STORAGE_EMULATOR_HOST": "http://gcs:1",
        "AIRFLOW__CORE__FERNET_KEY": "f",
        "AIRFLOW_CONN_DOCKER_DEFAULT": "docker://engine",
        "PATH": "/usr/bin",
        "POSTGRES_PASSWORD": "p",
    }
    given = spec_of(ours=ours).environment
    assert given.keys() & ours.keys() == {
        *("AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "MLFLOW_TRACKING_PASSWORD"),
        *("GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST"),
    }


@pytest.mark.parametrize(
    ("verb", "model", "user"),
    [
        ("preflight", "m", "perennial-model-m"),
        ("check_labels", "m", "perennial-model-m"),
        ("train", "m", "perennial-model-m"),
        ("package", "m", "perennial-model-m"),
        ("evaluate", "m", "perennial-model-m"),
        ("reproduce", "m", "perennial-model-m"),
        ("attest", None, "perennial-reader"),
        ("gate", None, "perennial-gate"),
        ("register", None, "perennial-release"),
        ("deploy", None, "perennial-release"),
        ("describe", None, "perennial-card"),
        ("drift", None, "perennial-reader"),
        ("champion", None, "perennial-reader"),
        ("ingest", None, "perennial-reader"),
    ],
)
def test_a_step_is_a_user_of_mlflow_with_a_password_of_its_own(
    verb: str, model: str | None, user: str
) -> None:
    ours = {
        "PERENNIAL_MLFLOW_KEY": "the-key",
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": "of-the-admin",
        "MLFLOW_TRACKING_TOKEN": "of-somebody",
    }
    given = spec_of(step(verb=verb, model=model), ours=ours, mlflow_key="the-key").environment
    assert given["MLFLOW_TRACKING_USERNAME"] == user
    assert given["MLFLOW_TRACKING_PASSWORD"] == hmac.new(b"the-key", user.encode(), "sha256").hexdigest()
    assert not {"the-key", "of-the-admin", "of-somebody"} & set(given.values())


def test_where_mlflow_has_no_users_for_steps_each_logs_in_as_the_workers_do() -> None:
    ours = {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "m"}
    assert spec_of(step(model="m"), ours=ours).environment.items() >= ours.items()


def test_a_step_knows_its_image_its_limits_and_its_scratch_folder() -> None:
    given = spec_of(step(resources=Resources(cpus=2.5, memory_mib=1000, scratch_mib=200))).environment
    assert given["PERENNIAL_IMAGE_DIGEST"] == DIGEST
    assert (given["PERENNIAL_MEMORY_MIB"], given["PERENNIAL_SCRATCH_MIB"]) == ("1000", "200")
    assert given["PERENNIAL_HOME"] == given["HOME"] == given["TMPDIR"] == "/scratch"
    assert given["OMP_NUM_THREADS"] == "3"


# --- settings that are wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image", ["", "ml", "ml:latest", "ml@sha256:abc", "sha256:" + "A" * 64, f"{DIGEST}\n", f"a b@{DIGEST}"]
)
def test_an_image_without_a_digest_is_refused(image: str) -> None:
    with pytest.raises(InvalidProject, match="PERENNIAL_STEP_IMAGE"):
        spec_of(step_image=image)


@pytest.mark.parametrize(
    "image", [DIGEST, f"perennial/ml@{DIGEST}", f"registry.example:5000/team/ml@{DIGEST}"]
)
def test_an_image_by_digest_is_what_runs_and_what_the_lineage_names(image: str) -> None:
    spec = spec_of(step_image=image)
    assert spec.image == spec.body()["Image"] == spec.environment["PERENNIAL_IMAGE_DIGEST"] == image


@pytest.mark.parametrize(
    "mounts", ["/etc:/etc", "../x:/x", "volume", "volume:relative", "volume:/x:rw,z", ":/x", "v:/x:ro:ro"]
)
def test_a_folder_of_the_machine_is_never_mounted(mounts: str) -> None:
    with pytest.raises(InvalidProject, match="PERENNIAL_STEP_MOUNTS"):
        spec_of(step_mounts=mounts)


def test_named_volumes_are_mounted_as_they_are_given() -> None:
    assert spec_of(step(verb="deploy"), step_mounts="models:/srv/models, keys:/srv/keys:ro,").volumes == (
        Volume("models", "/srv/models", read_only=False),
        Volume("keys", "/srv/keys", read_only=True),
    )


@pytest.mark.parametrize("verb", sorted(MODEL_CODE | ASKS_ARCHIVES.keys()))
def test_model_code_never_sees_the_folder_that_is_served_from(verb: str) -> None:
    mounts = "models:/srv/models,store:/srv/store"
    assert spec_of(step(verb=verb), step_mounts=mounts).volumes == ()
    local = spec_of(step(verb=verb), step_mounts=mounts, store_url="/srv/store/perennial")
    assert [volume.name for volume in local.volumes] == ["store"]


def test_a_store_on_this_machine_is_refused_unless_a_volume_shows_it() -> None:
    local = step(request_url="/srv/store/runs/request.json", result_url="/srv/store/runs/result.json")
    for mounts in ("", "vol:/srv/store:ro", "vol:/srv/sto"):
        with pytest.raises(InvalidProject, match="PERENNIAL_STORE_URL"):
            spec_of(local, step_mounts=mounts)
    assert spec_of(local, step_mounts="vol:/srv/store").volumes
