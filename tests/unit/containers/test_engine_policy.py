"""Which requests the proxy in front of the Docker socket lets
through, held against what a hostile or clumsy caller would send.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perennial_engine.policy import is_ours, our_filters, read_request
from perennial_engine.rules import Refused, Rules
from perennial_engine.settings import EngineSettings
from pydantic import ValidationError

from tests.unit.containers.engine_requests import IMAGE, NAME, RULES


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [
        ("GET", "/_ping", "ping"),
        ("HEAD", "/_ping", "ping"),
        ("GET", "/version", "version"),
        ("GET", "/v1.41/version", "version"),
        ("GET", f"/v1.41/images/{IMAGE}/json", "image"),
        ("GET", f"/v1.43/images/registry.example/perennial/ml%40sha256:{'b' * 64}/json", "image"),
        ("POST", f"/v1.41/containers/create?name={NAME}", "create"),
        ("POST", f"/v1.41/containers/{NAME}/start", "start"),
        ("GET", f"/containers/{NAME}/json", "inspect"),
        (
            "GET",
            "/v1.41/containers/abc/logs?stderr=1&stdout=1&timestamps=1&follow=0&tail=all"
            "&since=1732104000.123",
            "logs",
        ),
        ("POST", "/v1.41/containers/abc/wait?condition=not-running", "wait"),
        ("POST", "/v1.41/containers/abc/kill?signal=SIGKILL", "kill"),
        ("POST", "/v1.41/containers/abc/stop?t=10", "stop"),
        ("DELETE", "/v1.41/containers/abc?v=True&link=False&force=True", "remove"),
        ("GET", "/v1.41/containers/json?all=1&limit=-1&size=0", "list"),
    ],
)
def test_what_the_runner_asks_is_understood(method: str, target: str, name: str) -> None:
    assert read_request(method, target, RULES).route.name == name


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/v1.41/containers/abc/exec"),
        ("POST", "/v1.41/exec/abc/start"),
        ("POST", "/v1.41/containers/abc/attach?stream=1"),
        ("GET", "/v1.41/containers/abc/attach/ws"),
        ("POST", "/v1.41/containers/abc/update"),
        ("POST", "/v1.41/containers/abc/rename?name=postgres"),
        ("POST", "/v1.41/containers/prune"),
        ("PUT", "/v1.41/containers/abc/archive?path=/"),
        ("GET", "/v1.41/containers/abc/archive?path=/etc"),
        ("GET", "/v1.41/containers/abc/export"),
        ("GET", "/v1.41/containers/abc/top"),
        ("GET", "/v1.41/containers/abc/changes"),
        ("POST", "/v1.41/commit?container=abc"),
        ("POST", "/v1.41/build"),
        ("POST", "/v1.41/images/create?fromImage=alpine&tag=latest"),
        ("POST", f"/v1.41/images/create?fromImage=registry.example/perennial/ml&tag=sha256:{'b' * 64}"),
        ("POST", "/v1.41/images/create?fromSrc=-"),
        ("POST", "/v1.41/images/load"),
        ("POST", f"/v1.41/images/{IMAGE}/tag?repo=x"),
        ("POST", f"/v1.41/images/{IMAGE}/push"),
        ("DELETE", f"/v1.41/images/{IMAGE}"),
        ("GET", f"/v1.41/images/{IMAGE}/get"),
        ("GET", "/v1.41/images/json"),
        ("GET", "/v1.41/images/alpine/json"),
        ("GET", f"/v1.41/images/{IMAGE}/../../info"),
        ("POST", "/v1.41/volumes/create"),
        ("GET", "/v1.41/volumes"),
        ("POST", "/v1.41/networks/create"),
        ("POST", "/v1.41/networks/perennial_control/connect"),
        ("POST", "/v1.41/swarm/init"),
        ("POST", "/v1.41/services/create"),
        ("POST", "/v1.41/plugins/pull"),
        ("POST", "/v1.41/secrets/create"),
        ("GET", "/v1.41/configs"),
        ("POST", "/v1.41/auth"),
        ("POST", "/v1.41/session"),
        ("POST", "/grpc"),
        ("GET", "/v1.41/info"),
        ("GET", "/v1.41/events"),
        ("GET", "/v1.41/system/df"),
        ("GET", "/debug/pprof/"),
        ("OPTIONS", "/v1.41/containers/json"),
        ("PATCH", "/v1.41/containers/abc"),
        ("post", f"/v1.41/containers/create?name={NAME}"),
        ("GET", f"/v1.41/containers/create?name={NAME}"),
        ("CONNECT", "engine:2375"),
        ("GET", "http://engine/_ping"),
        ("GET", "*"),
        ("GET", ""),
    ],
)
def test_every_other_request_is_refused(method: str, target: str) -> None:
    with pytest.raises(Refused):
        read_request(method, target, RULES)


@pytest.mark.parametrize(
    "target",
    [
        "//containers/abc/json",
        "/v1.41//containers/abc/json",
        "/v1.41/../containers/abc/json",
        "/v1.41/containers/./abc/json",
        "/v1.41/containers/../abc/json",
        "/v1.41/containers/%61bc/json",
        "/v1.41/containers/%2e%2e/json",
        "/v1.41/containers/a%2fb/json",
        "/v1.41/containers/a b/json",
        "/v1.41/containers/../json",
        "/v1.41/containers//json",
        "/v1.41/containers/abc/json/",
        "/v1.41/containers/abc/json;x",
        "/v1.41/containers/abc/json#x",
        "/v1.41/containers/abc/json%00",
        "/v1.41/containers/abc/json\n",
        "/v1.41/containers/abc\\json",
        "/v1.41/Containers/abc/json",
        "/v1.41/v1.41/containers/abc/json",
        "/v1.24/containers/abc/json",
        "/v1.5/containers/abc/json",
        "/v1.411/containers/abc/json",
        "/v2.0/containers/abc/json",
        "/v1.\u0664\u0661/containers/abc/json",
        "/v1.41/containers/\u00e9/json",
        "/v1.41/containers/" + "a" * 129 + "/json",
    ],
)
def test_a_path_that_is_not_written_plainly_is_refused(target: str) -> None:
    with pytest.raises(Refused):
        read_request("GET", target, RULES)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/containers/create"),
        ("POST", "/containers/create?name=postgres"),
        ("POST", "/containers/create?name=perennial-postgres-1"),
        ("POST", f"/containers/create?name={NAME}&name=postgres"),
        ("POST", f"/containers/create?name={NAME}&platform=linux/arm64"),
        ("POST", f"/containers/create?name={NAME}%0a"),
        ("POST", f"/containers/create?name={NAME};x=y"),
        ("POST", "/containers/abc/start?detachKeys=x"),
        ("POST", "/containers/abc/kill?signal=SIGSTOP"),
        ("POST", "/containers/abc/kill?signal=9&signal=19"),
        ("POST", "/containers/abc/kill?signal=9&signal=15"),
        ("POST", "/containers/abc/stop?t=-1"),
        ("DELETE", "/containers/abc?link=1"),
        ("DELETE", "/containers/abc?force=maybe"),
        ("GET", "/containers/abc/logs?follow"),
        ("GET", "/containers/abc/logs?tail=-5"),
        ("GET", "/containers/abc/logs?" + "&".join(f"a{number}=1" for number in range(50))),
        ("GET", "/containers/abc/json?x=%ff"),
    ],
)
def test_a_parameter_that_is_unknown_doubled_or_odd_is_refused(method: str, target: str) -> None:
    with pytest.raises(Refused):
        read_request(method, target, RULES)


@given(method=st.sampled_from(["GET", "POST", "DELETE"]), rest=st.text(max_size=60))
def test_no_text_at_all_makes_the_policy_fail_otherwise_than_by_refusing(method: str, rest: str) -> None:
    for target in (rest, f"/v1.41/containers/{rest}", f"/containers/abc/logs?{rest}", f"/images/{rest}/json"):
        try:
            found = read_request(method, target, RULES)
        except Refused:
            continue
        assert "/" not in found.subject or found.route.name == "image"


def test_an_image_is_pulled_only_by_its_allowed_digest_where_pulling_is_allowed() -> None:
    rules = Rules(installation="here", images=RULES.images, network="n", pull=True)
    digest = f"tag=sha256:{'b' * 64}"
    assert (
        read_request(
            "POST", f"/images/create?fromImage=registry.example/perennial/ml&{digest}", rules
        ).route.name
        == "pull"
    )
    for query in (
        f"fromImage=alpine&{digest}",
        "fromImage=registry.example/perennial/ml&tag=latest",
        "fromSrc=-",
        "",
    ):
        with pytest.raises(Refused):
            read_request("POST", f"/images/create?{query}", rules)


def test_only_steps_of_this_installation_are_ours() -> None:
    ours = {"perennial.installation": "here", "perennial.step": "x"}
    assert is_ours(ours, RULES)
    assert not is_ours(ours | {"perennial.installation": "there"}, RULES)
    assert not is_ours({"perennial.installation": "here"}, RULES)
    assert not is_ours({}, RULES)
    assert not is_ours(None, RULES)


def test_a_list_is_always_narrowed_to_ours() -> None:
    ours = ["perennial.installation=here", "perennial.step"]
    assert json.loads(our_filters("", RULES)) == {"label": ours}
    assert json.loads(our_filters('{"label": ["a=b"], "status": {"running": true}}', RULES)) == {
        "label": ["a=b", *ours],
        "status": ["running"],
    }
    for text in (
        "[]",
        "x",
        '{"volume": ["x"]}',
        '{"label": [1]}',
        '{"label": "x"}',
        '{"label": [], "Label": []}',
    ):
        with pytest.raises(Refused):
            our_filters(text, RULES)


# --- settings -----------------------------------------------------------------------------------------------


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("PERENNIAL_INSTALLATION", "here")
    monkeypatch.setenv("PERENNIAL_STEP_NETWORK", "perennial_steps")
    monkeypatch.setenv("PERENNIAL_ENGINE_IMAGES", f"{IMAGE}, registry.example/perennial/ml@sha256:{'b' * 64}")
    return monkeypatch


def test_the_settings_become_the_rules(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PERENNIAL_STEP_MOUNTS", "perennial_models:/srv/models, data:/data:ro")
    environment.setenv("PERENNIAL_ENGINE_MEMORY_MIB", "8192")
    environment.setenv("PERENNIAL_ENGINE_CPUS", "4")
    assert EngineSettings().rules() == RULES


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PERENNIAL_ENGINE_IMAGES", "perennial/ml:latest"),
        ("PERENNIAL_ENGINE_IMAGES", ""),
        ("PERENNIAL_STEP_MOUNTS", "/:/host"),
        ("PERENNIAL_STEP_MOUNTS", "../x:/host"),
        ("PERENNIAL_STEP_MOUNTS", "models:relative"),
        ("PERENNIAL_STEP_MOUNTS", "models:/x:rshared"),
        ("PERENNIAL_STEP_NETWORK", "host"),
        ("PERENNIAL_STEP_NETWORK", ""),
        ("PERENNIAL_INSTALLATION", ""),
        ("PERENNIAL_INSTALLATION", "a=b"),
    ],
)
def test_settings_that_would_open_the_door_stop_the_service(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(ValidationError):
        EngineSettings()
