"""Who may say what is true: what each step's user can do in a real MLflow, and above all what it cannot."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from mlflow.exceptions import MlflowException

from plugins.failures import FINAL_FAILURES
from plugins.runners.mlflow_login import PASSWORD, USERNAME
from tasks.contracts import DataSnapshot, GateRequest, Route, StepContext
from tasks.errors import DeletedInMlflow, InvalidRequest, MlflowRefused
from tasks.provenance.card import kept
from tasks.serving.gateway import Gateway
from tasks.serving.torchserve import torchserve
from tasks.settings import settings
from tasks.spec import GateSpec, PipelineSpec
from tasks.step import execute, exit_code
from tasks.stores import files, registry
from tasks.stores.database import engine
from tasks.stores.faults import explain
from tasks.verbs import VERBS
from tests.services.conftest import TOKEN, Platform
from tests.services.mlflow_server import MlflowServer, logged_in
from tests.unit import judged, trained
from tests.unit.judged import part

MODEL, OTHER = "tiny", "other"
OF_MODEL, OF_OTHER = f"perennial-model-{MODEL}", f"perennial-model-{OTHER}"
STEPS_USERS = (OF_MODEL, "perennial-gate", "perennial-release", "perennial-card", "perennial-reader")


class World:
    """What the administrator sees: a model with a champion and an experiment, and another model beside it."""

    def __init__(self, server: MlflowServer) -> None:
        self.server = server
        self.client = MlflowClient(server.url)
        self.experiments = {model: self._experiment(model) for model in (MODEL, OTHER)}
        self.runs = {model: self._run(model) for model in (MODEL, OTHER)}
        self.versions = {model: self._versions(model) for model in (MODEL, OTHER)}

    def _experiment(self, model: str) -> str:
        """As it comes to be on the platform: with the first login of the model's user."""
        with logged_in(self.server.user(f"perennial-model-{model}")):
            found = self.client.get_experiment_by_name(model)
            return str(found.experiment_id)

    def _run(self, model: str) -> str:
        run_id = str(
            self.client.create_run(self.experiments[model], tags={"perennial.verdict": "hold"}).info.run_id
        )
        self.client.log_text(run_id, "as it was", "evaluation/report.json")
        logged = self.client.create_logged_model(self.experiments[model], name="model", source_run_id=run_id)
        self.client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        self.client.finalize_logged_model(logged.model_id, "READY")
        return run_id

    def _versions(self, model: str) -> list[str]:
        run_id, numbers = self.runs[model], []
        self.client.create_registered_model(model)
        for _ in range(2):
            made = self.client.create_model_version(model, f"runs:/{run_id}/model", run_id=run_id)
            numbers.append(str(made.version))
        self.client.set_registered_model_alias(model, registry.ALIAS, numbers[0])
        return numbers

    def state(self) -> str:
        """Everything that nobody but the one whose it is may change."""
        runs = {
            run_id: (self.client.get_run(run_id).to_dictionary(), self._artifact(run_id))
            for model, run_id in self.runs.items()
            if model == OTHER
        }
        experiments = [
            (found.experiment_id, found.name, found.lifecycle_stage, dict(found.tags))
            for found in self.client.search_experiments(view_type=3)
        ]
        models = [
            (found.name, dict(found.aliases), dict(found.tags), found.description)
            for found in self.client.search_registered_models()
        ]
        versions = sorted(
            (version.name, version.version, version.source, sorted(version.tags.items()))
            for version in self.client.search_model_versions()
        )
        counted = len(self.client.search_runs([self.experiments[OTHER]], run_view_type=3))
        return json.dumps([runs, experiments, models, versions, counted], sort_keys=True, default=str)

    def _artifact(self, run_id: str) -> str:
        folder = Path(self.server.artifacts, self.experiments[OTHER], run_id)
        return str([(path.name, path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()])


@pytest.fixture(scope="module")
def made(mlflow_server: MlflowServer) -> World:
    with logged_in(mlflow_server.admin()):
        return World(mlflow_server)


@pytest.fixture
def world(made: World, home: Path, services: Platform, monkeypatch: pytest.MonkeyPatch) -> World:
    """The settings of this process point to everything, and it is the administrator."""
    for name, value in {
        "MLFLOW_URL": made.server.url,
        "MODELS": str(home / "models"),
        "GATEWAY_URL": services.gateway_url,
        "GATEWAY_TOKEN": TOKEN,
        "TORCHSERVE_INFERENCE_URL": services.inference_url,
        "TORCHSERVE_MANAGEMENT_URL": services.management_url,
        "TORCHSERVE_STORE": str(services.store),
        "TORCHSERVE_KEY_FILE": str(services.torchserve_folder / "key_file.json"),
    }.items():
        monkeypatch.setenv(f"PERENNIAL_{name}", value)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    for name, value in made.server.admin().items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    engine.cache_clear()
    return made


# --- what model code cannot do ------------------------------------------------------------------------------


def attempts(mlflow: MlflowClient, world: World) -> dict[str, Callable[[], object]]:
    """What somebody may try who wants another truth."""
    own, other = world.runs[MODEL], world.runs[OTHER]
    experiment, elsewhere = world.experiments[MODEL], world.experiments[OTHER]
    champion, next_one = world.versions[MODEL]
    return {
        "move the alias": lambda: mlflow.set_registered_model_alias(MODEL, "champion", next_one),
        "remove the alias": lambda: mlflow.delete_registered_model_alias(MODEL, "champion"),
        "make a version": lambda: mlflow.create_model_version(MODEL, f"runs:/{own}/model"),
        "change a version": lambda: mlflow.set_model_version_tag(MODEL, champion, registry.ARCHIVE, "x"),
        "delete a version": lambda: mlflow.delete_model_version(MODEL, champion),
        "delete the registered model": lambda: mlflow.delete_registered_model(MODEL),
        "rename the registered model": lambda: mlflow.rename_registered_model(MODEL, "renamed"),
        "register a model": lambda: mlflow.create_registered_model("squatted"),
        "register a prompt": lambda: mlflow.register_prompt("squatted", "Say it."),
        "tag another model's run": lambda: mlflow.set_tag(other, "perennial.verdict", "promote"),
        "untag another model's run": lambda: mlflow.delete_tag(other, "perennial.verdict"),
        "log to another model's run": lambda: mlflow.log_metric(other, "test_accuracy", 1.0),
        "end another model's run": lambda: mlflow.set_terminated(other, "KILLED"),
        "write another run's artifact": lambda: mlflow.log_text(other, "x", "evaluation/report.json"),
        "read another model's run": lambda: mlflow.get_run(other),
        "make a run of another model": lambda: mlflow.create_run(elsewhere),
        "delete another model's run": lambda: mlflow.delete_run(other),
        "delete a run": lambda: mlflow.delete_run(own),
        "delete the experiment": lambda: mlflow.delete_experiment(experiment),
        "rename the experiment": lambda: mlflow.rename_experiment(experiment, "renamed"),
        "tag the experiment": lambda: mlflow.set_experiment_tag(experiment, "a", "b"),
        "make an experiment": lambda: mlflow.create_experiment("squatted"),
        "delete another experiment": lambda: mlflow.delete_experiment(elsewhere),
    }


ON_THE_REGISTRY = (
    "move the alias",
    "remove the alias",
    "make a version",
    "change a version",
    "delete a version",
    "delete the registered model",
    "rename the registered model",
    "register a model",
    "register a prompt",
)
ATTEMPTS = (
    *ON_THE_REGISTRY,
    "tag another model's run",
    "untag another model's run",
    "log to another model's run",
    "end another model's run",
    "write another run's artifact",
    "read another model's run",
    "make a run of another model",
    "delete another model's run",
    "delete a run",
    "delete the experiment",
    "rename the experiment",
    "tag the experiment",
    "make an experiment",
    "delete another experiment",
)


@pytest.mark.parametrize("what", ATTEMPTS)
def test_model_code_cannot(what: str, world: World) -> None:
    before = world.state()

    with logged_in(world.server.user(OF_MODEL)):
        with pytest.raises((MlflowException, requests.HTTPError)) as refused:
            attempts(world.client, world)[what]()
        told = explain(refused.value)

    assert "403" in str(refused.value) or refused.value.error_code == "PERMISSION_DENIED", refused.value
    assert isinstance(told, MlflowRefused)
    assert exit_code(told) == 20
    assert OF_MODEL in str(told)
    assert world.state() == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/2.0/mlflow/users/create", {"username": "mallory", "password": "a-long-password"}),
        (
            "PATCH",
            "/api/2.0/mlflow/users/update-password",
            {"username": "admin", "password": "a-long-password"},
        ),
        ("PATCH", "/api/2.0/mlflow/users/update-admin", {"username": OF_MODEL, "is_admin": True}),
        ("POST", "/api/3.0/mlflow/users/permissions/grant", {"username": OF_MODEL}),
        ("GET", "/api/2.0/mlflow/users/list", None),
        ("POST", "/ajax-api/2.0/mlflow/experiments/create", {"name": "squatted"}),
        ("POST", "/ajax-api/2.0/mlflow/registered-models/create", {"name": "squatted"}),
        ("POST", "/ajax-api/3.0/mlflow/demo/generate", {}),
        ("POST", "/graphql", {"query": "{__typename}"}),
        ("POST", "/api/2.0/mlflow//experiments/create", {"name": "squatted"}),
        ("POST", "/api/2.0/mlflow/runs/../experiments/create", {"name": "squatted"}),
        ("POST", "/api/2.0/mlflow/runs/%2e%2e/experiments/create", {"name": "squatted"}),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/{other}/x", None),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/{own}/../{other}/x", None),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/{own}%2f..%2f{other}/x", None),
        ("GET", "/", None),
    ],
)
def test_model_code_reaches_no_other_path_of_the_server(
    method: str, path: str, body: dict[str, Any] | None, world: World
) -> None:
    before, login = world.state(), world.server.user(OF_MODEL)
    where = path.format(own=world.experiments[MODEL], other=world.experiments[OTHER])
    session = requests.Session()
    asked = session.prepare_request(
        requests.Request(method, world.server.url, json=body, auth=(login[USERNAME], login[PASSWORD]))
    )
    asked.url = world.server.url + where

    answer = session.send(asked, timeout=30)

    assert answer.status_code in {400, 403, 404}, answer.text[:300]
    assert world.state() == before


@pytest.mark.parametrize(
    "login",
    [
        {},
        {USERNAME: OF_MODEL, PASSWORD: ""},
        {USERNAME: OF_MODEL, PASSWORD: "guess"},
        {USERNAME: "perennial-nobody", PASSWORD: "guess"},
        {USERNAME: "admin", PASSWORD: "guess"},
    ],
)
def test_nobody_gets_in_without_a_password(login: dict[str, str], mlflow_server: MlflowServer) -> None:
    given = (login[USERNAME], login[PASSWORD]) if login else None
    for path in ("/", "/api/2.0/mlflow/experiments/search?max_results=1", "/version", "/signup"):
        assert requests.get(f"{mlflow_server.url}{path}", auth=given, timeout=30).status_code == 401


def test_a_user_s_password_opens_nothing_for_another(world: World) -> None:
    stolen = world.server.user(OF_OTHER)[PASSWORD]
    for user in (*STEPS_USERS, "admin"):
        answer = requests.get(f"{world.server.url}/version", auth=(user, stolen), timeout=30)
        assert answer.status_code == 401
    nobody = world.server.user("perennial-nobody")
    answer = requests.get(
        f"{world.server.url}/version", auth=(nobody[USERNAME], nobody[PASSWORD]), timeout=30
    )
    assert (answer.status_code, answer.text) == (403, "There is no user perennial-nobody.")


@pytest.mark.parametrize("user", ["perennial-gate", "perennial-card", "perennial-reader"])
def test_who_only_judges_describes_or_reads_cannot_change_the_registry(user: str, world: World) -> None:
    for what in ON_THE_REGISTRY:
        with logged_in(world.server.user(user)), pytest.raises(MlflowException) as refused:
            attempts(world.client, world)[what]()
        assert refused.value.error_code == "PERMISSION_DENIED"


def test_who_describes_versions_writes_cards_and_descriptions_and_nothing_else(world: World) -> None:
    run_id, version = world.runs[OTHER], world.versions[OTHER][0]
    try:
        with logged_in(world.server.user("perennial-card")):
            world.client.log_text(run_id, "It is for reviews.", "card/card.md")
            registry.describe_version(OTHER, version, "It is for reviews.")
            before = world.state()
            for what in ATTEMPTS:
                if what != "read another model's run":
                    with pytest.raises((MlflowException, requests.HTTPError)) as refused:
                        attempts(world.client, world)[what]()
                    assert "403" in str(refused.value) or refused.value.error_code == "PERMISSION_DENIED"
            with pytest.raises((MlflowException, requests.HTTPError), match="403"):
                world.client.log_text(run_id, "x", "card/other.md")
        assert world.client.get_model_version(OTHER, version).description == "It is for reviews."
        assert world.state() == before
    finally:
        registry.describe_version(OTHER, version, "")


@pytest.mark.parametrize(
    ("model", "said"),
    [(OTHER, "There are 1, 2"), ("never_trained", "None is registered: train it first")],
)
def test_a_version_that_is_not_there_is_named_and_not_called_forbidden(
    model: str, said: str, world: World
) -> None:
    with logged_in(world.server.user("perennial-reader")), pytest.raises(InvalidRequest, match=said) as told:
        registry.named_version(model, "99")
    assert f"There is no version 99 of {model!r}" in str(told.value)


def test_a_registered_model_carries_who_moved_its_champion_last(world: World) -> None:
    numbers, told = world.versions[OTHER], "perennial.champion_moved_by"
    with logged_in(world.server.user("perennial-release")):
        world.client.set_registered_model_alias(OTHER, registry.ALIAS, numbers[1])
    moved = json.loads(world.client.get_registered_model(OTHER).tags[told])
    world.client.set_registered_model_alias(OTHER, registry.ALIAS, numbers[0])
    moved_again = json.loads(world.client.get_registered_model(OTHER).tags[told])

    assert (moved["user"], moved["version"]) == ("perennial-release", numbers[1])
    assert (moved_again["user"], moved_again["version"]) == ("admin", numbers[0])


def test_who_only_releases_or_reads_cannot_change_a_run(world: World) -> None:
    for user in ("perennial-release", "perennial-reader"):
        with logged_in(world.server.user(user)):
            assert world.client.get_run(world.runs[OTHER]).info.run_id == world.runs[OTHER]
            with pytest.raises(MlflowException, match="Permission denied"):
                world.client.set_tag(world.runs[OTHER], "perennial.verdict", "promote")


def test_the_administrator_s_password_is_that_of_the_settings_and_no_earlier_one(
    mlflow_server: MlflowServer,
) -> None:
    statuses = [
        requests.get(f"{mlflow_server.url}/version", auth=("admin", password), timeout=30).status_code
        for password in (mlflow_server.admin()[PASSWORD], "was-the-password")
    ]
    assert statuses == [200, 401]


# --- what each step can do ----------------------------------------------------------------------------------

TRAIN = """
import json, os, pathlib, sys
import mlflow
from mlflow import MlflowClient

class Same(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[str]) -> list[str]:
        return model_input

data, output, seed, mode = sys.argv[1:]
(tried := {})["user"] = os.environ["MLFLOW_TRACKING_USERNAME"]
tried["told"] = sorted(name for name in os.environ if name.startswith("PERENNIAL_"))
with mlflow.start_run():
    mlflow.log_metric("loss", 0.5)
    mlflow.log_text("it went well", "notes.txt")
    with mlflow.start_run(nested=True):
        mlflow.log_param("fold", 1)
    mlflow.pyfunc.log_model(name="model", python_model=Same(), pip_requirements=["mlflow"])
for name, act in {
    "alias": lambda: MlflowClient().set_registered_model_alias("other", "champion", "2"),
    "other": lambda: MlflowClient().set_tag(os.environ["OTHER_RUN"], "perennial.verdict", "promote"),
}.items():
    try:
        act()
        tried[name] = "done"
    except mlflow.MlflowException as error:
        tried[name] = error.error_code
pathlib.Path(output, "model.json").write_text(json.dumps({"answer": 1, "tried": tried}))
"""


@pytest.fixture
def tiny(world: World, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PipelineSpec]:
    """A model whose training logs a model of MLflow's, and tries what it may not."""
    spec = trained.write_model(home / "models")
    (home / "models" / MODEL / "train.py").write_text(TRAIN)
    monkeypatch.setenv("OTHER_RUN", world.runs[OTHER])
    yield spec.model_copy(update={"gate": GateSpec(first_model_minimum={"accuracy": 0.5})})
    Gateway().withdraw(MODEL)
    torchserve().retire(MODEL, set())


@dataclass
class Steps:
    """Runs verbs, each as the user that the runners make it."""

    spec: PipelineSpec
    server: MlflowServer
    folder: Path

    def __call__(self, verb: str, **asked: Any) -> Any:
        context = StepContext(actor=f"test/{verb}", step_key=f"tiny/{verb}", work_url=str(self.folder / verb))
        request = VERBS[verb].request(context=context, spec=self.spec, **asked)
        with logged_in(self.server.step(verb, MODEL)):
            return VERBS[verb].function()(request)


def frozen(folder: Path) -> DataSnapshot:
    """The model says 1 of everything, which is right in the test rows; the baseline says 0."""
    labels = {"train": 0, "validation": 0, "test": 1}
    parts = {
        name: part(
            folder / "parts",
            name,
            pa.table({"id": ids, "number": range(400), "label": [label] * 399 + [1 - label]}),
        )
        for name, label in labels.items()
        for ids in [[f"{name}{number}" for number in range(400)]]
    }
    return trained.snapshot(folder).model_copy(update=parts)


def test_every_step_does_its_work_as_its_own_user_and_the_training_program_no_more(
    tiny: PipelineSpec, world: World, home: Path
) -> None:
    world.client.delete_registered_model(MODEL)
    step, asked = Steps(tiny, world.server, home / "work"), trained.train_request(tiny, home)
    before = world.state()

    step("preflight")
    run = step("train", snapshot=frozen(home), validation=asked.validation)
    tried = json.loads(files.at(run.model_files_url, "model.json").read_text())["tried"]
    assert (tried["user"], tried["alias"], tried["other"]) == (
        OF_MODEL,
        "PERMISSION_DENIED",
        "PERMISSION_DENIED",
    )
    assert (
        len(world.client.search_runs([run.experiment_id], f"tags.mlflow.parentRunId = '{run.run_id}'")) == 1
    )
    archive = step("package", run=run)
    against = step("champion")
    evaluation = step("evaluate", run=run, archive=archive, champion=against)
    decision = step("gate", run=run, archive=archive, evaluation=evaluation)
    assert (against.version, decision.verdict) == (None, "promote"), decision.why
    assert world.state() == before
    version = step("register", run=run, archive=archive, decision=decision)
    described = step("describe", version=version, energy=settings().energy)
    card = kept.read(run.run_id)
    assert card is not None
    assert (card.version, card.parent, card.energy is not None) == (version.version, None, True)
    assert described.explained is False, "a number is no text of several words"
    page = world.client.get_model_version(MODEL, version.version)
    assert page.description.startswith(f"# Model card: {MODEL}, version {version.version}")
    assert step("deploy", version=version).verdict == "deployed"
    assert step("champion").version == version
    found = step("reproduce", champion=step("champion"), code="here")
    assert (found.verdict, found.version) == ("identical", version.version), found.why
    assert registry.version_numbers(MODEL) == [version.version]
    assert world.client.get_model_version_by_alias(MODEL, registry.ALIAS).run_id == run.run_id
    step("preflight")

    # Somebody deletes the registered model, and what serves with it.
    world.client.delete_registered_model(MODEL)
    for verb in ("preflight", "champion"):
        with pytest.raises(
            DeletedInMlflow, match=f"Clear the task `register`.*its MLflow run is {run.run_id}"
        ):
            step(verb)
    again = step("register", run=run, archive=archive, decision=decision)
    assert step("deploy", version=again).stable.model_version == again.version
    assert step("champion").warning is None
    step("preflight")


# --- what was deleted in MLflow -----------------------------------------------------------------------------


def test_a_deleted_experiment_is_told_at_preflight_and_by_the_training_and_can_be_restored(
    tiny: PipelineSpec, world: World, home: Path
) -> None:
    step, asked = Steps(tiny, world.server, home / "work"), trained.train_request(tiny, home)
    experiment_id = world.experiments[MODEL]
    world.client.delete_experiment(experiment_id)
    try:
        for verb, more in {
            "preflight": {},
            "train": {"snapshot": asked.snapshot, "validation": asked.validation},
        }.items():
            with pytest.raises(DeletedInMlflow, match=f"restore --experiment-id {experiment_id}") as told:
                step(verb, **more)
            assert exit_code(told.value) in FINAL_FAILURES
    finally:
        world.client.restore_experiment(experiment_id)
    assert step("preflight").model == MODEL


def test_the_deleted_run_of_what_serves_is_told_at_preflight_and_can_be_restored(
    tiny: PipelineSpec, world: World, home: Path
) -> None:
    step, run_id = Steps(tiny, world.server, home / "work"), world.runs[MODEL]
    with contextlib.suppress(MlflowException):
        world.client.create_registered_model(MODEL)
    version = world.client.create_model_version(MODEL, f"runs:/{run_id}/model", run_id=run_id)
    Gateway().put(
        Route(
            model=MODEL,
            model_version=str(version.version),
            run_id=run_id,
            backend_version=run_id,
            archive_sha256="1" * 64,
            input_schema={},
            label_schema={},
            timeout_seconds=5,
        ),
        "deploy",
    )
    step("preflight")
    world.client.delete_run(run_id)
    try:
        with pytest.raises(DeletedInMlflow, match=f"runs restore --run-id {run_id}"):
            step("preflight")
    finally:
        world.client.restore_run(run_id)
    step("preflight")


def test_a_step_that_meets_something_deleted_says_so_in_a_sentence_and_is_not_tried_again(
    tiny: PipelineSpec, world: World, home: Path
) -> None:
    """What no look before could see, because it was deleted in between."""
    run = judged.run(model=MODEL, run_id=world.runs[MODEL])
    request = GateRequest(
        context=trained.context(home, "gate"),
        spec=tiny,
        run=run,
        archive=judged.archive(model=MODEL, run_id=run.run_id, version=run.run_id),
        evaluation=judged.evaluation(
            model=MODEL, champion=None, scored=judged.score("candidate", 0.9, run_id=run.run_id)
        ),
    )
    (home / "request.json").write_text(request.model_dump_json())
    world.client.delete_run(run.run_id)
    try:
        with logged_in(world.server.step("gate", MODEL)):
            code = execute("gate", str(home / "request.json"), str(home / "result.json"))
    finally:
        world.client.restore_run(run.run_id)

    told = json.loads((home / "result.json.error.json").read_text())
    assert (code, told["error"]) == (20, "MlflowRefused")
    assert "somebody deleted what it needs" in told["message"]
    assert "must be in the 'active' state" in told["message"]


def test_an_mlflow_that_does_not_know_the_step_is_told_with_what_to_set(
    tiny: PipelineSpec, world: World, home: Path
) -> None:
    request = VERBS["preflight"].request(context=trained.context(home, "preflight"), spec=tiny)
    stranger = {USERNAME: OF_MODEL, PASSWORD: "of another installation"}
    with (
        logged_in(stranger),
        pytest.raises(MlflowRefused, match=rf"refuses the user {OF_MODEL}.*PERENNIAL_MLFLOW_KEY"),
    ):
        VERBS["preflight"].function()(request)
