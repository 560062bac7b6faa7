"""A model whose code was changed is trained by itself, once for each code."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.contracts import Action, TrainingRun
from tasks.data.changed_code import why_no_new_code
from tasks.errors import NothingToDo
from tasks.evaluation.preparation.kept_code import keep_code
from tasks.evaluation.preparation.read_code import code_of, digest_of
from tasks.gate import gate
from tasks.ledger import entries
from tasks.settings import PROJECT
from tasks.stores import registry
from tests.dags.runs import grant
from tests.unit import judged
from tests.unit.data.test_age import note
from tests.unit.data.test_count import FEW, counted, lake
from tests.unit.trained import use_mlflow

__all__ = ["lake"]

MODEL = "review_sentiment"
SAME = "The model's code is what the champion was trained with."


@pytest.fixture
def folder(home: Path, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a model of this project's copy."""
    shutil.copytree(PROJECT / "models" / MODEL, home / "models" / MODEL)
    shutil.copy(PROJECT / "models" / "perennial_training.py", home / "models")
    monkeypatch.setenv("PERENNIAL_MODELS", str(home / "models"))
    use_mlflow(home, mlflow_store, monkeypatch)
    return home / "models" / MODEL


@pytest.fixture
def champion(folder: Path) -> TrainingRun:
    """What serves: trained with the code as it is now."""
    run_id = str(registry.client().create_run("1").info.run_id)
    run = trained(folder, run_id)
    registry.log_text(run_id, registry.LINEAGE, run.model_dump_json())
    note(Action.DEPLOY, "1", route={"run_id": run_id})
    return run


def trained(folder: Path, run_id: str) -> TrainingRun:
    files = folder.parents[1] / "runs" / run_id
    keep_code(folder.parent, MODEL, str(files))
    return judged.run(run_id=run_id, model_files_url=str(files / "model"))


def change(folder: Path, name: str = "train.py") -> None:
    (folder / name).write_text((folder / name).read_text() + "\n# Another.\n")


def test_where_nothing_serves_no_code_starts_a_training(folder: Path) -> None:
    assert "No version serves" in (why_no_new_code(MODEL) or "")


def test_what_a_training_reads_is_a_reason_and_what_judges_or_explains_is_none(
    folder: Path, champion: TrainingRun
) -> None:
    assert why_no_new_code(MODEL) == SAME
    text = (folder / "pipeline.yaml").read_text()
    armed = text.replace("training:\n", "training:\n  on_code_change: true  # A comment.\n")
    (folder / "pipeline.yaml").write_text(armed)
    change(folder, "behaviour.yaml")
    (folder / "README.md").write_text("About.")
    assert why_no_new_code(MODEL) == SAME
    (folder / "pipeline.yaml").write_text(text.replace("SELECT", "SELECT DISTINCT", 1))
    assert why_no_new_code(MODEL) is None
    (folder / "pipeline.yaml").write_text(text)
    for name in ("train.py", "requirements.txt", "../perennial_training.py"):
        kept = (folder / name).read_text()
        change(folder, name)
        assert why_no_new_code(MODEL) is None, name
        (folder / name).write_text(kept)
    assert why_no_new_code(MODEL) == SAME


@pytest.mark.parametrize("candidate", [0.5, 0.91])
def test_the_same_code_is_not_asked_for_again_once_its_candidate_was_judged(
    folder: Path, champion: TrainingRun, candidate: float
) -> None:
    change(folder)
    run = trained(folder, judged.RUN)
    assert why_no_new_code(MODEL) is None

    asked = judged.request(run=run, evaluation=judged.evaluation(candidate=candidate))
    gate.judge(asked, datetime.now(UTC))

    assert entries.newest_of(MODEL, [Action.GATE], 1)[0].evidence["code"] == digest_of(code_of(run) or {})
    told = why_no_new_code(MODEL) or ""
    assert "(review_sentiment/train.py), but a candidate of exactly this code was judged already." in told
    change(folder)
    assert why_no_new_code(MODEL) is None, "that is other code again"


def test_an_open_training_is_waited_for_and_a_run_without_kept_code_is_said(
    folder: Path, champion: TrainingRun
) -> None:
    change(folder)
    grant("retrain__7")
    assert "retrain__7 has not ended: one at a time." in (why_no_new_code(MODEL) or "")
    shutil.rmtree(Path(champion.model_files_url).parent)
    assert "was not kept, by an earlier Perennial" in (why_no_new_code(MODEL) or "")


def test_the_count_skips_a_look_that_found_neither_and_says_which_it_found(
    home: Path, folder: Path, champion: TrainingRun, lake: object
) -> None:
    with pytest.raises(NothingToDo, match=f"maximum_age_days is 30. {SAME}"):
        counted(home, "one", FEW, maximum_age_days=30.0, on_code_change=True)
    change(folder)
    assert counted(home, "one", FEW, maximum_age_days=30.0, on_code_change=True).look_found == "code"
    assert counted(home, "one", FEW, maximum_age_days=1e-9, on_code_change=True).look_found == "age"
    assert counted(home, "one", FEW).look_found is None
