"""A training runs with the code that its run came from, or
not at all, unless the model's specification says otherwise.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.contracts import PreflightRequest, StepContext
from tasks.errors import EXIT_REFUSED, WrongCode
from tasks.runtime import code_version
from tasks.settings import PROJECT, settings
from tasks.spec import PipelineSpec
from tasks.step import execute
from tasks.training.train import train
from tests.unit import trained

RUN, IMAGE = "1" * 40, "2" * 40


@pytest.fixture
def spec(home: Path, monkeypatch: pytest.MonkeyPatch) -> PipelineSpec:
    """A model whose steps run in an image of another commit
    than the run's; nothing else of the platform is there.
    """
    monkeypatch.setenv("PERENNIAL_MODELS", str(home / "models"))
    monkeypatch.setenv("PERENNIAL_MLFLOW_URL", f"sqlite:///{home / 'mlflow.db'}")
    monkeypatch.setenv("PERENNIAL_CODE_COMMIT", IMAGE)
    monkeypatch.setenv("PERENNIAL_IMAGE_DIGEST", "sha256:abc")
    settings.cache_clear()
    return trained.write_model(home / "models")


def preflight(home: Path, spec: PipelineSpec, commit: str | None) -> tuple[int, dict]:
    """Run the step from file to file, as every runner does;
    returns its exit code, and its result or its error.
    """
    context = StepContext(
        actor="test", step_key="train_tiny/1/preflight", work_url=str(home / "work"), code_commit=commit
    )
    request, result = home / "work" / "request.json", home / "work" / "result.json"
    request.parent.mkdir(exist_ok=True)
    request.write_text(PreflightRequest(context=context, spec=spec).model_dump_json())
    code = execute("preflight", str(request), str(result))
    written = result if code == 0 else result.with_name("result.json.error.json")
    return code, json.loads(written.read_text())


def allowing(spec: PipelineSpec) -> PipelineSpec:
    return spec.model_copy(update={"training": spec.training.model_copy(update={"allow_other_commit": True})})


def test_an_image_of_another_commit_is_refused_before_anything_is_spent(
    home: Path, spec: PipelineSpec
) -> None:
    code, error = preflight(home, spec, RUN)

    assert code == EXIT_REFUSED, "Airflow does not try this again"
    for part in (RUN, IMAGE, "sha256:abc", "make images", "allow_other_commit"):
        assert part in error["message"]
    assert error["evidence"] == {"expected": RUN, "found": IMAGE}


def test_the_training_itself_refuses_too_and_leaves_no_run_behind(home: Path, spec: PipelineSpec) -> None:
    request = trained.train_request(spec, home)
    context = request.context.model_copy(update={"code_commit": RUN})
    with pytest.raises(WrongCode, match=RUN):
        train(request.model_copy(update={"context": context}))
    assert not (home / "mlflow.db").exists()


def test_an_image_of_uncommitted_files_is_of_no_commit(
    home: Path, spec: PipelineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERENNIAL_CODE_COMMIT", f"{RUN}+dirty")
    settings.cache_clear()
    code, error = preflight(home, spec, RUN)
    assert code == EXIT_REFUSED
    assert f"{RUN}+dirty" in error["message"]


@pytest.mark.parametrize("commit", [IMAGE, None], ids=["the same commit", "a run of no known commit"])
def test_what_does_not_differ_passes(home: Path, spec: PipelineSpec, commit: str | None) -> None:
    code, report = preflight(home, spec, commit)
    assert (code, report["code_commit"], report["image_digest"]) == (0, IMAGE, "sha256:abc")


def test_a_model_may_allow_the_image_of_another_commit(home: Path, spec: PipelineSpec) -> None:
    code, report = preflight(home, allowing(spec), RUN)
    assert (code, report["code_commit"]) == (0, IMAGE), "what it truly ran with is what is kept"


def test_an_image_knows_its_commit_without_git_and_a_clone_asks_git(
    home: Path, spec: PipelineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(home / "nothing"))
    assert code_version.code_commit(PROJECT) == IMAGE
    monkeypatch.delenv("PERENNIAL_CODE_COMMIT")
    settings.cache_clear()
    assert code_version.code_commit(PROJECT) is None, "no Git, and nothing baked in"


def test_a_clone_with_changed_files_is_dirty(home: Path) -> None:
    git = ["git", "-C", str(home), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    (home / "train.py").write_text("pass\n")
    for command in (["init", "--quiet"], ["add", "train.py"], ["commit", "--quiet", "-m", "One"]):
        subprocess.run([*git, *command], check=True)
    commit = code_version.code_commit(home)
    assert commit is not None
    assert len(commit) == 40
    (home / "train.py").write_text("raise SystemExit\n")
    assert code_version.code_commit(home) == f"{commit}+dirty"
    shutil.rmtree(home / ".git")
    assert code_version.code_commit(home) is None
