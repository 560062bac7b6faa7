"""The folder and the files of a step between Airflow's tries of it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins import attempts
from plugins.attempts import Files, context_of, folder_name
from tasks.contracts import CollectRequest, StepContext
from tasks.settings import settings
from tasks.spec import PipelineSpec

RESULT = '{"model": "m", "prediction_rows": 1, "feedback_rows": 0, "labelled_rows": 0, "landed_file": null}'


def task(run_id: str, map_index: int = -1) -> SimpleNamespace:
    return SimpleNamespace(dag_id="train_m", run_id=run_id, task_id="train", map_index=map_index)


@pytest.fixture
def request_() -> CollectRequest:
    spec = PipelineSpec.load(settings().models / "review_sentiment" / "pipeline.yaml")
    return CollectRequest(context=StepContext(actor="a", step_key="k", work_url="/w"), spec=spec)


@given(
    name=st.text(min_size=1)
    | st.sampled_from(["..", ".", "../../x", "a/../../b", "/etc", "~", "x" * 500, "a\x00b", "a\nb"])
)
def test_every_run_id_is_the_name_of_one_plain_folder(name: str) -> None:
    folder = folder_name(name)
    assert Path("/runs", folder).resolve().parent == Path("/runs")
    assert folder not in {"", ".", ".."}
    assert len(folder) < 120
    assert set(folder) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


@given(one=st.text(min_size=1, max_size=5), other=st.text(min_size=1, max_size=5))
def test_two_run_ids_never_share_a_folder(one: str, other: str) -> None:
    assert (folder_name(one) == folder_name(other)) == (one == other)


def test_usual_run_ids_stay_readable() -> None:
    assert folder_name("retrain__0a1b") == "retrain__0a1b"
    assert folder_name("manual__2026-11-20T08:46:00+00:00").startswith("manual__2026-11-20T08-46-00-00-00-")


def test_the_context_names_the_task_the_same_for_each_try(home: Path) -> None:
    context = context_of(task("../../x", map_index=3))
    assert context.actor == "airflow:train_m/../../x/train/3"
    assert context_of(task("a"), "ann").actor == f"{context_of(task('a')).actor}, asked for by ann"
    assert context.step_key == "train_m/../../x/train/3"
    assert Path(context.work_url).resolve().is_relative_to(home / "runs" / "train_m")
    assert context.work_url.endswith("/train/3")
    assert context_of(task("a")) == context_of(task("a"))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files.of(str(tmp_path / "step"))


def test_a_result_counts_until_it_was_heard_of_and_only_for_the_same_request(
    request_: CollectRequest, files: Files
) -> None:
    assert attempts.unheard("collect", request_, files) is None
    attempts.begin(request_, files)
    assert attempts.unheard("collect", request_, files) is None
    files.result.write_text(RESULT)
    assert attempts.unheard("collect", request_, files)["prediction_rows"] == 1

    context = request_.context.model_copy(update={"step_key": "another"})
    assert attempts.unheard("collect", request_.model_copy(update={"context": context}), files) is None
    attempts.mark_heard(files)
    assert attempts.unheard("collect", request_, files) is None


@pytest.mark.parametrize("text", ["", "{", '{"model": "m"}', "[]"])
def test_a_result_that_breaks_its_contract_is_not_taken(
    request_: CollectRequest, files: Files, text: str
) -> None:
    attempts.begin(request_, files)
    files.result.write_text(text)
    assert attempts.unheard("collect", request_, files) is None


def test_a_new_try_leaves_nothing_of_the_last_that_could_pass_for_its_own(
    request_: CollectRequest, files: Files
) -> None:
    attempts.begin(request_, files)
    for file in (files.result, files.error, files.heard):
        file.write_text(RESULT)
    attempts.begin(request_, files)
    assert not any(file.exists() for file in (files.result, files.error, files.heard))


def test_a_step_is_held_by_the_last_who_took_it(files: Files) -> None:
    assert attempts.holder_of(files) is None
    attempts.hold(files, "first")
    attempts.hold(files, "second")
    assert attempts.holder_of(files) == "second"


def test_what_a_step_left_says_how_it_ended_when_nobody_looked(
    request_: CollectRequest, files: Files
) -> None:
    attempts.begin(request_, files)
    assert attempts.exit_code_of(files) == 1
    for text, code in [("{", 1), ('{"exit_code": "x"}', 1), ('{"exit_code": 10}', 10)]:
        files.error.write_text(text)
        assert attempts.exit_code_of(files) == code
    files.result.write_text(RESULT)
    assert attempts.exit_code_of(files) == 0


def test_a_run_of_a_versioned_bundle_names_its_commit(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert context_of(task("a")).code_commit is None
    monkeypatch.setenv("PERENNIAL_CODE_COMMIT", "of-the-image")
    settings.cache_clear()
    assert context_of(task("a")).code_commit == "of-the-image"
    pinned = task("a")
    pinned.bundle_instance = SimpleNamespace(version="of-the-run")
    assert context_of(pinned).code_commit == "of-the-run"


def test_a_failure_is_a_sentence_whatever_the_step_left(files: Files) -> None:
    files.request.parent.mkdir(parents=True)
    assert attempts.why("train", -9, files).startswith("'train' was killed (signal 9, Killed).")
    assert "ended with exit code 3" in attempts.why("train", 3, files)
    assert attempts.why("train", -9, files, "It was out of memory.") == "It was out of memory."
    for text, evidence in [("{", {}), ("[]", {}), ('{"evidence": 3}', {})]:
        files.error.write_text(text)
        assert attempts.evidence(files) == evidence
        assert "exit code 3" in attempts.why("train", 3, files)
    files.error.write_text('{"message": "No room.", "evidence": {"rows": 3}}')
    assert attempts.why("train", 1, files, "It was out of memory.") == "No room."
    assert attempts.evidence(files) == {"rows": 3}
