"""A recalled batch is in no later training, and a training without it is asked for where it serves."""

import pytest

from tasks.contracts import Action, Recall, RecallRequest, RetrainRequest, RetrainTicket, StepContext
from tasks.errors import InvalidRequest, NotFound, RegistryError, ServiceAway
from tasks.ledger import entries
from tasks.monitoring import retrain
from tasks.provenance import recall as recall_module
from tasks.provenance import usage
from tasks.provenance.recall import recall
from tasks.provenance.usage import usage_of_batch
from tasks.provenance.why import why
from tasks.settings import settings
from tests.unit.provenance.conftest import FIRST, LATER, POISON, POISONED, batch
from tests.unit.provenance.world import MODEL, TABLE, World

WHY = "Its labels are inverted."


def recalled(*batch_ids: str, actor: str = "ann") -> Recall:
    context = StepContext(actor=actor, step_key="recall_batch/1/recall", work_url="unused")
    return recall(RecallRequest(context=context, batch_ids=batch_ids or (POISON,), reason=WHY))


def refused(request: RetrainRequest) -> RetrainTicket:
    return RetrainTicket(model=MODEL, granted=False, train_run_id=None, reason=request.reason)


@pytest.mark.parametrize(
    ("name", "url"), [("GATEWAY_URL", "http://127.0.0.1:1"), ("MLFLOW_URL", "http://127.0.0.1:1")]
)
def test_a_service_that_is_away_is_waited_for_with_the_batch_left_out(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv(f"PERENNIAL_{name}", url)
        patched.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        settings.cache_clear()
        with pytest.raises(ServiceAway, match="Recall it again"):
            recalled()
    settings.cache_clear()
    assert world.snapshot("meanwhile").rows == 120


@pytest.mark.parametrize("mark", [f"recalled-{POISON}", "taken-back-1"])
def test_a_mark_is_not_recalled(world: World, mark: str) -> None:
    with pytest.raises(InvalidRequest, match="is a mark"):
        recalled(mark)
    assert not [entry for entry in entries.history(TABLE) if entry.before == mark]


def test_a_training_of_which_nobody_can_say_what_it_saw_may_have_used_any_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(run_id: str) -> None:
        raise RegistryError(f"The MLflow run {run_id} has no artifact.")

    monkeypatch.setattr(usage.registry, "training_run", lost)
    found = usage_of_batch(TABLE, POISON)
    assert [(use.version, use.rows, use.serves) for use in found.uses] == [
        ("2", None, True),
        (None, None, False),
    ]
    assert found.complete
    assert len(found.notes) == 2


def test_what_used_a_batch_is_named_and_a_training_without_it_is_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrain, "_pause", lambda *_: None)  # the last one was granted just now
    written: list[str] = []
    marked = recall_module.leave_out
    monkeypatch.setattr(
        recall_module,
        "leave_out",
        lambda *arguments: (
            written.append(entries.history(TABLE, [Action.RECALL])[-1].entry_hash) or marked(*arguments)
        ),
    )

    done = recalled()

    [poison] = done.batches
    assert written == [poison.ledger_hash], "the ledger comes first"
    assert [(use.version, use.rows, use.answers.rows) for use in poison.usage.uses] == [
        ("2", 40, 1),
        (None, 40, 0),
    ]
    (ticket,) = done.tickets
    assert (ticket.model, ticket.granted) == (MODEL, True)
    assert WHY in ticket.reason
    assert world.snapshot("after").rows == 120, "100 of the first batch, 20 of the last"
    assert world.lake.latest(TABLE) == poison.table_version
    assert recalled() == done, "killed and tried again"
    (entry,) = entries.history(TABLE, [Action.RECALL])
    assert (entry.before, entry.why, entry.entry_hash) == (POISON, WHY, poison.ledger_hash)
    found = why(POISON)
    assert [each.action for each in found.decisions] == ["recall", "done"]
    assert any("It was recalled" in sentence for sentence in found.why)
    assert any("which was recalled since" in sentence for sentence in why(POISONED).why)


@pytest.mark.parametrize("batch_id", ["0" * 32, "x' OR 'a'='a", "poison.csv", batch("nothing")])
def test_a_batch_that_is_nowhere_is_not_recalled(world: World, batch_id: str) -> None:
    before = world.lake.latest(TABLE)
    with pytest.raises(NotFound, match="No batch"):
        recalled(FIRST, batch_id)
    assert world.lake.latest(TABLE) == before


def test_of_several_batches_each_is_recalled_and_a_model_is_trained_again_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrain, "_answer", lambda _, request, __: refused(request))
    done = recalled(LATER, FIRST, LATER)
    assert [each.usage.batches[0].batch_id for each in done.batches] == [LATER, FIRST]
    [ticket] = done.tickets
    assert ticket.reason == f"Without the batch {FIRST} of {TABLE}, which was recalled: {WHY}"
