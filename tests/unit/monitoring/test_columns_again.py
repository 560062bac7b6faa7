"""A recorded check is looked at again by the reference that judged it, not by the one that came since."""

from pathlib import Path
from typing import Any

from tasks.ledger import entries
from tasks.monitoring.columns_again import columns_again
from tasks.monitoring.profiles.stored import keep_reference, newest_reference
from tasks.stores.lake import Lake
from tests.unit.monitoring.traffic import SPEC, check, predict, texts


def test_a_newer_reference_changes_nothing_of_what_an_old_check_saw(
    home: Path, trained: Any, few_relabellings: None
) -> None:
    predict(texts(400, 3, words=40))
    decision = check(home, trained)
    [entry] = entries.history(SPEC.name)
    lake = Lake()
    reference = newest_reference(lake, SPEC.name, trained.run_id)
    assert reference is not None
    keep_reference(lake, SPEC.name, reference.model_copy(update={"scales": ()}))

    again = columns_again(lake, entry)

    assert again.signals
    assert set(again.signals) <= set(decision.signals)
