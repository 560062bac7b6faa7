"""The contract `ServingBackend` on every backend there is, each a real server: what passes here can serve."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import Archive
from tasks.errors import ArchiveMismatch, ServingError
from tasks.release.rollback import roll_back
from tasks.serving.backend import ServingBackend, serving_backend
from tasks.serving.gateway import Gateway
from tasks.spec import ServingBackendName
from tests.services.conftest import (
    HANDLER,
    Model,
    Platform,
    Service,
    build_archive,
    load_on,
    new_model,
    until,
)

SECONDS = 10.0
IMPORT_ERROR = "import a_module_that_is_nowhere\n" + HANDLER
NO_WEIGHTS = 'raise RuntimeError("no weights here")'
NOT_STARTING = HANDLER.replace("self.version =", f"{NO_WEIGHTS}\n        self.version =")


@pytest.fixture(params=["torchserve", "oip"])
def name(request: pytest.FixtureRequest) -> ServingBackendName:
    chosen: ServingBackendName = request.param
    return chosen


@pytest.fixture
def backend(platform: Platform, settled: Path, name: ServingBackendName) -> ServingBackend:
    return serving_backend(name)


@pytest.fixture
def server(platform: Platform, name: ServingBackendName) -> Service:
    return {"torchserve": platform.torchserve, "oip": platform.inference}[name]


@pytest.fixture
def model(backend: ServingBackend, settled: Path, name: ServingBackendName) -> Iterator[Model]:
    """A model that nobody knows yet; what was loaded of it is removed again."""
    made = new_model(settled, backend=name)
    yield made
    made.remove()


@pytest.fixture
def archive(model: Model, backend: ServingBackend) -> Archive:
    """A version that is registered."""
    made = build_archive(model.folder, model.name, "one")
    backend.register(made, model.spec.serving)
    return made


def ask(backend: ServingBackend, archive: Archive, text: str) -> dict[str, Any]:
    return backend.predict(archive.model, archive.version, {"text": text}, timeout_seconds=SECONDS)


def is_ready(backend: ServingBackend, archive: Archive) -> bool:
    return backend.ready(archive.model, archive.version, archive.sha256)


def versions(backend: ServingBackend, model: Model) -> set[str]:
    return {each.version for each in backend.describe(model.name)}


def test_a_registered_version_answers_as_its_handler_does(backend: ServingBackend, archive: Archive) -> None:
    expected = {"prediction": "one", "score": 0.005, "archive_version": archive.version}
    assert ask(backend, archive, "hello") == expected
    assert ask(backend, archive, "several classes")["scores"] == {"one": 0.75, "two": 0.25}


def test_a_version_is_described_with_its_workers(backend: ServingBackend, archive: Archive) -> None:
    [found] = backend.describe(archive.model)

    assert (found.version, found.workers, found.ready, found.waiting) == (archive.version, 1, 1, 0)
    assert archive.sha256[:16] in found.archive
    assert not found.asleep
    assert is_ready(backend, archive)
    assert not backend.ready(archive.model, archive.version, "0" * 64)
    assert backend.describe("a_model_that_nobody_knows") == []


def test_registering_again_changes_nothing(backend: ServingBackend, archive: Archive, model: Model) -> None:
    backend.register(archive, model.spec.serving)

    assert versions(backend, model) == {archive.version}
    assert ask(backend, archive, "hello")["prediction"] == "one"


@pytest.mark.parametrize(
    ("handler", "said"),
    [(IMPORT_ERROR, "No module named 'a_module_that_is_nowhere'"), (NOT_STARTING, "no weights here")],
)
def test_an_archive_that_does_not_start_is_removed_and_says_why(
    backend: ServingBackend, archive: Archive, model: Model, handler: str, said: str
) -> None:
    broken = build_archive(model.folder, model.name, "broken", handler=handler)

    with pytest.raises(ServingError, match=said):
        backend.register(broken, model.spec.serving)

    assert versions(backend, model) == {archive.version}
    assert ask(backend, archive, "hello")["prediction"] == "one"


def test_other_bytes_than_those_that_were_judged_are_never_loaded(
    backend: ServingBackend, model: Model
) -> None:
    judged = build_archive(model.folder, model.name, "one")
    file = Path(judged.url)
    file.write_bytes(file.read_bytes() + b"one byte more")

    with pytest.raises(ArchiveMismatch, match="is not served"):
        backend.register(judged, model.spec.serving)

    assert versions(backend, model) == set()
    assert not backend.has_archives(model.name)


def test_an_instance_that_is_refused_takes_none_of_its_batch_with_it(
    backend: ServingBackend, archive: Archive
) -> None:
    def answer(text: str) -> str:
        try:
            return str(ask(backend, archive, text)["prediction"])
        except ServingError as error:
            return str(error.evidence["status"])

    texts = ["hello", "refuse", "fail"] * 16
    with ThreadPoolExecutor(24) as pool:
        assert list(pool.map(answer, texts)) == ["one", "400", "500"] * 16


def test_a_worker_that_dies_is_replaced(backend: ServingBackend, archive: Archive) -> None:
    with pytest.raises(ServingError):
        ask(backend, archive, "die")

    until(lambda: is_ready(backend, archive), what="the worker")
    assert ask(backend, archive, "hello")["prediction"] == "one"


def test_a_restart_brings_back_what_was_kept_no_trial_and_nothing_that_was_retired(
    backend: ServingBackend, archive: Archive, model: Model, server: Service
) -> None:
    trial, retired = (build_archive(model.folder, model.name, mark) for mark in ("trial", "retired"))
    for each in (trial, retired):
        backend.register(each, model.spec.serving)
    for each in (archive, retired):
        backend.keep(each, model.spec.serving)
    backend.retire(model.name, {archive.version, trial.version})

    server.kill()
    assert not is_ready(backend, archive)
    server.start()

    until(lambda: is_ready(backend, archive), what="the kept version")
    assert versions(backend, model) == {archive.version}
    assert ask(backend, archive, "hello")["prediction"] == "one"


def test_what_is_retired_answers_no_more(backend: ServingBackend, archive: Archive, model: Model) -> None:
    backend.keep(archive, model.spec.serving)

    assert backend.retire(model.name, set()) == [archive.version]

    assert backend.retire(model.name, set()) == []
    assert (versions(backend, model), backend.has_archives(model.name)) == (set(), False)
    with pytest.raises(ServingError):
        ask(backend, archive, "hello")


def test_a_version_is_scaled_up_down_to_nothing_and_up_again(
    backend: ServingBackend, archive: Archive
) -> None:
    for workers in (2, 1):
        backend.scale(archive.model, archive.version, workers)
        [found] = backend.describe(archive.model)
        assert (found.workers, found.ready) == (workers, workers)
        assert ask(backend, archive, "hello")["prediction"] == "one"

    backend.scale(archive.model, archive.version, 0)
    assert not is_ready(backend, archive)
    with pytest.raises(ServingError):
        ask(backend, archive, "hello")

    backend.scale(archive.model, archive.version, 1)
    assert ask(backend, archive, "hello")["prediction"] == "one"


def test_what_was_adjusted_is_restored_to_what_was_kept(
    backend: ServingBackend, archive: Archive, model: Model
) -> None:
    backend.keep(archive, model.spec.serving)
    backend.adjust(archive, model.spec.serving.model_copy(update={"workers": 2}))
    assert [each.workers for each in backend.describe(model.name)] == [2]

    backend.restore(archive)

    assert [(each.workers, each.ready) for each in backend.describe(model.name)] == [(1, 1)]
    assert ask(backend, archive, "hello")["prediction"] == "one"


def test_what_is_not_loaded_cannot_be_scaled(backend: ServingBackend, model: Model) -> None:
    with pytest.raises(ServingError):
        backend.scale(model.name, "nothing", 1)


def test_a_version_without_workers_lives_again_when_it_is_registered_again(
    backend: ServingBackend, archive: Archive, model: Model
) -> None:
    backend.scale(archive.model, archive.version, 0)

    backend.register(archive, model.spec.serving)

    assert is_ready(backend, archive)


def test_three_deployments_and_a_rollback_fail_no_request(platform: Platform, model: Model) -> None:
    """Under constant load; the first version is retired when the third comes."""
    model.deploy("one")
    with load_on(platform, model.name, per_second=60) as load:
        for mark in ("two", "three"):
            time.sleep(0.5)
            model.deploy(mark)
        time.sleep(0.5)
        roll_back(model.name, "tests", "To see that nobody notices.")
        time.sleep(0.5)

    assert (load.faults, load.refusals) == ([], [])
    answered = [each["predictions"][0]["prediction"] for each in load.answers]
    assert list(dict.fromkeys(answered)) == ["one", "two", "three"]
    assert answered[-1] == "two"


def test_the_last_request_to_a_version_is_answered_before_it_is_retired(
    platform: Platform, model: Model, backend: ServingBackend
) -> None:
    first = model.deploy("one").stable.backend_version
    with ThreadPoolExecutor() as pool:
        last = pool.submit(platform.predict, model.name, "sleep 4")
        time.sleep(0.3)
        model.deploy("two")
        model.deploy("three")
        answer = last.result()

    assert (answer.status_code, answer.json()["predictions"][0]["prediction"]) == (200, "one")
    assert first not in versions(backend, model)


def test_bad_instances_and_a_dying_worker_fail_nobody_else_at_the_gateway(
    platform: Platform, settled: Path, name: ServingBackendName
) -> None:
    """Each death costs a TorchServe worker two seconds, on a busy machine more: the others wait."""
    model = new_model(settled, backend=name, timeout_seconds=60)
    model.deploy("one")

    refused = platform.predict(model.name, "hello", "refuse")
    assert (refused.status_code, refused.json()["instance"]) == (422, 1)
    assert platform.predict(model.name, "fail").status_code == 500
    with ThreadPoolExecutor(9) as pool:
        good = [pool.submit(platform.predict, model.name, "hello", "you") for _ in range(8)]
        deadly = pool.submit(platform.predict, model.name, "die")
        assert deadly.result().status_code in {503, 504}
        statuses = [each.result().status_code for each in good]
    assert statuses == [200] * 8
    model.remove()


def test_a_server_that_is_killed_under_load_is_a_503_until_it_is_back(
    platform: Platform, model: Model, server: Service
) -> None:
    model.deploy("one")
    with load_on(platform, model.name, per_second=40) as load:
        time.sleep(0.5)
        server.kill()
        time.sleep(0.3)
        server.start()
        until(lambda: platform.predict(model.name, "hello").status_code == 200, what="the model")
        time.sleep(0.5)

    assert load.faults == []
    assert {refusal.status for refusal in load.refusals} <= {503, 504}
    assert load.answers[-1]["predictions"][0]["prediction"] == "one"


def test_another_backend_takes_over_at_the_next_deployment_and_fails_no_request(
    platform: Platform, settled: Path, name: ServingBackendName
) -> None:
    """The version that is deployed again is the same: it is loaded in the new backend and leaves the old."""
    other: ServingBackendName = "oip" if name == "torchserve" else "torchserve"
    model = new_model(settled, backend=name)
    version = model.promoted("one")
    from tasks.release.deploy import deploy

    deploy(model.request(version))
    moved = Model(
        model.spec.model_copy(update={"serving": model.spec.serving.model_copy(update={"backend": other})}),
        model.folder,
    )
    try:
        with load_on(platform, model.name, per_second=60) as load:
            time.sleep(0.5)
            deploy(moved.request(version))
            time.sleep(0.5)
        assert (load.faults, load.refusals) == ([], [])
        assert serving_backend(name).describe(model.name) == []
        assert versions(serving_backend(other), model) == {version.archive.version}
        route = Gateway().route(model.name)
        assert route is not None
        assert route.backend == other
    finally:
        model.remove()
