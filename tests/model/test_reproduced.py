"""The models that their own tests train without the steps: tiny, by the steps, and once more from the records.

The others are trained again in their own tests.
"""

import pytest

from tasks.spec import table_of
from tests.model.conftest import Loop, example_data


@pytest.mark.parametrize(("model", "rows"), [("review_sentiment", 800), ("flight_delay", 2000)])
def test_a_version_trained_again_is_the_same_bit_for_bit(loop_of: Loop, model: str, rows: int) -> None:
    loop = loop_of(model)
    example_data(model, loop.home / "landing" / table_of(loop.spec).table, "--rows", str(rows))
    loop.ingest()

    found = loop.reproduce(loop.train())

    assert (found.verdict, found.conditions) == ("identical", ()), found.why
    assert found.tensors > 2
    assert not found.rows_made_again
