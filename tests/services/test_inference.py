"""The inference server itself: what it says to a foreign client, sleep, crashes, deadlines and its limits."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tasks.contracts import Archive
from tasks.serving.oip import oip, parameters_of
from tasks.serving.store import file_name
from tasks.settings import settings
from tests.services.conftest import HANDLER, Model, Platform, build_archive, new_model, until


@pytest.fixture
def model(platform: Platform, settled: Path) -> Iterator[Model]:
    made = new_model(settled, backend="oip")
    yield made
    made.remove()


@pytest.fixture
def archive(model: Model) -> Archive:
    made = build_archive(model.folder, model.name, "one")
    oip().register(made, model.spec.serving)
    return made


def token(kind: str) -> dict[str, str]:
    import json

    key = json.loads(settings().oip_keys.read_text())[kind]["key"]
    return {"Authorization": f"Bearer {key}"}


def get(platform: Platform, path: str, kind: str = "inference") -> requests.Response:
    return requests.get(f"{platform.oip_url}{path}", headers=token(kind), timeout=30)


def post(platform: Platform, path: str, body: Any, kind: str = "inference") -> requests.Response:
    return requests.post(f"{platform.oip_url}{path}", headers=token(kind), json=body, timeout=60)


def texts(*values: str, **more: Any) -> dict[str, Any]:
    tensor = {"name": "text", "shape": [len(values)], "datatype": "BYTES", "data": list(values)}
    return {"inputs": [tensor], **more}


def infer(platform: Platform, archive: Archive, *values: str, **more: Any) -> requests.Response:
    return post(platform, f"/v2/models/{archive.model}/infer", texts(*values, **more))


def output(response: requests.Response, name: str) -> list[Any]:
    found: list[Any] = next(each for each in response.json()["outputs"] if each["name"] == name)["data"]
    return found


def stats(platform: Platform, archive: Archive) -> dict[str, Any]:
    path = f"/v2/models/{archive.model}/versions/{archive.version}/stats"
    found: dict[str, Any] = get(platform, path).json()["model_stats"][0]
    return found


def test_it_says_what_it_is_as_the_protocol_wants_it(platform: Platform, archive: Archive) -> None:
    server = requests.get(f"{platform.oip_url}/v2", timeout=10).json()
    assert {"name", "version", "extensions"} <= set(server)
    for probe in ("live", "ready"):
        assert requests.get(f"{platform.oip_url}/v2/health/{probe}", timeout=10).status_code == 200
    for path in (f"/v2/models/{archive.model}", f"/v2/models/{archive.model}/versions/{archive.version}"):
        assert get(platform, f"{path}/ready").status_code == 200
        metadata = get(platform, path).json()
        assert metadata["versions"] == [archive.version]
        assert metadata["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
        assert metadata["outputs"][0] == {"name": "prediction", "datatype": "INT64", "shape": [-1]}
    index = post(platform, "/v2/repository/index", {"ready": True}, "management").json()
    assert {"name": archive.model, "version": archive.version, "state": "READY", "reason": ""} in index


def test_an_answer_names_the_model_the_version_and_the_request(platform: Platform, archive: Archive) -> None:
    answer = infer(platform, archive, "hello", "refuse", id="a-42").json()

    assert (answer["model_name"], answer["model_version"]) == (archive.model, archive.version)
    assert answer["id"] == "a-42"
    outputs = {each["name"]: each for each in answer["outputs"]}
    assert outputs["score"]["data"] == [0.005, 0.0]
    assert outputs["error"]["data"] == ["", "This text is refused."]
    assert outputs["status"]["data"] == [200, 400]
    assert all(each["shape"] == [2] for each in outputs.values())


def test_only_the_outputs_that_are_named_are_sent(platform: Platform, archive: Archive) -> None:
    answer = infer(platform, archive, "hello", outputs=[{"name": "score"}])

    assert [each["name"] for each in answer.json()["outputs"]] == ["score"]
    assert infer(platform, archive, "hello", outputs=[{"name": "nothing"}]).status_code == 400


def tensor(told: bytes) -> bytes:
    return b'{"inputs": [{"name": "text", "datatype": %s}]}' % told


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"[]", "inputs"),
        (b'{"inputs": []}', "takes ['text']"),
        (tensor(b'"FP32", "shape": [1], "data": [1]'), "BYTES is expected"),
        (tensor(b'"BYTES", "shape": [2], "data": ["a"]'), "not its shape"),
        (tensor(b'"BYTES", "shape": [1], "data": [null]'), "no BYTES"),
        (tensor(b'"BYTES", "shape": [1]'), "binary form"),
    ],
)
def test_a_request_that_is_wrong_is_told_what_is(
    platform: Platform, archive: Archive, body: bytes, said: str
) -> None:
    url = f"{platform.oip_url}/v2/models/{archive.model}/infer"
    refused = requests.post(url, data=body, headers=token("inference"), timeout=10)

    assert refused.status_code == 400
    assert said in refused.json()["error"]


def test_nobody_asks_or_loads_without_the_token_for_it(platform: Platform, archive: Archive) -> None:
    paths = {"GET": [f"/v2/models/{archive.model}"], "POST": [f"/v2/models/{archive.model}/infer"]}
    paths["POST"] += [f"/v2/repository/{what}" for what in ("index", "models/m/load", "models/m/unload")]
    for method, path in ((method, path) for method, listed in paths.items() for path in listed):
        for headers in ({}, {"Authorization": "Bearer no"}):
            url = f"{platform.oip_url}{path}"
            assert requests.request(method, url, json={}, headers=headers, timeout=10).status_code == 401
    assert post(platform, "/v2/repository/index", {}, "inference").status_code == 401
    assert settings().oip_keys.stat().st_mode & 0o777 == 0o600


def test_only_archives_of_the_store_with_their_own_hash_are_loaded(
    platform: Platform, model: Model, archive: Archive
) -> None:
    name = file_name(archive.model, archive.version, archive.sha256)
    given = parameters_of(archive, model.spec.serving, name)

    def load(**changed: Any) -> int:
        path = f"/v2/repository/models/{archive.model}/load"
        return post(platform, path, {"parameters": given | changed}, "management").status_code

    assert load() == 200
    assert load(sha256="0" * 64, version="other") == 409
    assert load(archive="../key_file.json", version="other") == 400
    assert load(archive="nothing.mar", version="other") == 404
    assert load(version="other") == 400
    assert load(workers="many") == 400
    assert load(no_such_parameter=1) == 400
    assert infer(platform, archive, "hello").status_code == 200


@pytest.mark.parametrize(
    "more",
    [{"outputs": 5}, {"outputs": True}, {"outputs": "score"}, {"outputs": [[1]]}, {"outputs": [{"name": 1}]}],
    ids=str,
)
def test_a_wrong_list_of_outputs_is_a_400_and_kills_no_worker(
    platform: Platform, archive: Archive, more: dict[str, Any]
) -> None:
    answer = infer(platform, archive, "hello", **more)
    assert (answer.status_code, "outputs" in answer.json()["error"]) == (400, True)
    assert stats(platform, archive)["counts"].get("deaths", 0) == 0


@pytest.mark.parametrize("datatype", [["INT64"], {"a": 1}, None, 5], ids=str)
def test_a_datatype_that_is_none_is_a_400_and_kills_no_worker(
    platform: Platform, archive: Archive, datatype: Any
) -> None:
    tensor = {"name": "text", "shape": [1], "datatype": datatype, "data": ["a"]}
    path = f"/v2/models/{archive.model}/infer"
    assert post(platform, path, {"inputs": [tensor]}).status_code == 400
    assert stats(platform, archive)["counts"].get("deaths", 0) == 0


def test_an_answer_that_no_json_has_is_a_500_that_says_so_and_kills_no_worker(
    platform: Platform, model: Model
) -> None:
    unheard = HANDLER.replace('{{"prediction"', '{{"extra": {{1}}, "prediction"')
    made = build_archive(model.folder, model.name, "one", handler=unheard)
    oip().register(made, model.spec.serving)
    answer = infer(platform, made, "hello", outputs=[{"name": "answer"}])
    assert answer.status_code == 500
    assert "cannot be told as JSON" in answer.json()["error"]
    assert stats(platform, made)["counts"].get("deaths", 0) == 0


def test_a_request_that_kills_its_worker_fails_alone(platform: Platform, archive: Archive) -> None:
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(infer, platform, archive, "sleep 0.2")]
        time.sleep(0.05)
        asked += [pool.submit(infer, platform, archive, text) for text in ["hello"] * 7 + ["die"]]
        statuses = [each.result().status_code for each in asked]

    assert sorted(statuses) == [200] * 8 + [503]
    assert stats(platform, archive)["counts"]["deaths"] >= 1


def test_a_worker_that_is_killed_from_outside_fails_nothing(platform: Platform, archive: Archive) -> None:
    """What it worked on is asked again, and what comes before its end is known waits for the next one."""
    [process] = stats(platform, archive)["processes"]
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(infer, platform, archive, "sleep 0.5")]
        time.sleep(0.2)
        psutil.Process(process["pid"]).kill()
        asked += [pool.submit(infer, platform, archive, "hello") for _ in range(15)]

        assert {each.result().status_code for each in asked} == {200}
    assert stats(platform, archive)["counts"]["deaths"] == 1


def test_a_worker_that_hangs_is_replaced_after_the_deadline(
    platform: Platform, model: Model, archive: Archive
) -> None:
    path = f"/v2/repository/models/{model.name}/load"
    changed = {"version": archive.version, "timeout_seconds": 0.5}
    assert post(platform, path, {"parameters": changed}, "management").status_code == 200
    began = time.monotonic()

    late = infer(platform, archive, "sleep 30")

    assert late.status_code == 503
    assert "did not answer within 0.5 s" in late.json()["error"]
    assert time.monotonic() - began < 25
    assert infer(platform, archive, "hello").status_code == 200


def test_an_idle_version_sleeps_and_the_first_request_wakes_it_for_all_that_come(
    platform: Platform, settled: Path
) -> None:
    model = new_model(settled, backend="oip", idle_seconds=1)
    model.deploy("one")
    [serving] = oip().describe(model.name)
    until(lambda: oip().describe(model.name)[0].asleep, what="the version to sleep")
    until(lambda: oip().describe(model.name)[0].ready == 0, what="its worker to end")

    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(platform.predict, model.name, "hello") for _ in range(20)]
        assert {each.result().status_code for each in answers} == {200}

    path = f"/v2/models/{model.name}/versions/{serving.version}/stats"
    counted = get(platform, path).json()["model_stats"][0]
    assert counted["counts"]["cold_starts"] == 1
    assert 0 < counted["cold_start_seconds"] < 60
    model.remove()


def test_a_version_that_sleeps_counts_as_ready_and_is_asleep_after_no_restart(
    platform: Platform, settled: Path
) -> None:
    model = new_model(settled, backend="oip", idle_seconds=1)
    archive = model.deploy("one").stable
    until(lambda: oip().describe(model.name)[0].asleep, what="the version to sleep")
    assert oip().ready(model.name, archive.backend_version, archive.archive_sha256)
    platform.inference.kill()
    platform.inference.start()
    assert platform.predict(model.name, "hello").status_code == 200
    model.remove()


def test_killed_hard_it_leaves_no_worker_behind(platform: Platform, archive: Archive) -> None:
    workers = [psutil.Process(each["pid"]) for each in stats(platform, archive)["processes"]]

    platform.inference.kill()

    gone, alive = psutil.wait_procs(workers, timeout=5)
    assert (len(gone), alive) == (1, [])
    platform.inference.start()


def test_a_damaged_record_and_a_changed_archive_do_not_keep_it_from_starting(
    platform: Platform, model: Model, archive: Archive
) -> None:
    oip().keep(archive, model.spec.serving)
    store = settings().oip_folder
    (store / "half-written.mar.json").write_text('{"model": "m"')
    file = store / file_name(model.name, archive.version, archive.sha256)
    file.write_bytes(file.read_bytes() + b"one byte more")

    platform.inference.kill()
    platform.inference.start()

    assert oip().describe(model.name) == []
    said = platform.inference.log.read_text()
    assert "half-written.mar.json cannot be read" in said
    assert "It is not loaded" in said
    (store / "half-written.mar.json").unlink()


def test_a_model_that_is_not_flat_takes_json_texts(platform: Platform, settled: Path) -> None:
    nested = {"type": "object", "properties": {"text": {"type": ["string", "null"]}}}
    model = new_model(settled, backend="oip", input_schema=nested)
    model.deploy("one")

    path = f"/v2/models/{model.name}"
    assert [each["name"] for each in get(platform, path).json()["inputs"]] == ["instance"]
    tensor = {"name": "instance", "shape": [1], "datatype": "BYTES", "data": ['{"text": "hello"}']}
    assert output(post(platform, f"{path}/infer", {"inputs": [tensor]}), "score") == [0.005]
    assert platform.predict(model.name, "hello").status_code == 200
    model.remove()
