"""A contract is built when it is first used; what it names has to be there all the same."""

import pytest

from tasks import contracts, spec
from tasks.contracts.contract import Contract
from tasks.spec.base import Spec

MODELS = [
    model
    for module in (contracts, spec)
    for model in vars(module).values()
    if isinstance(model, type) and issubclass(model, Contract | Spec)
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_it_can_be_built(model: type[Contract | Spec]) -> None:
    assert model.model_rebuild(force=True) is True


def test_one_that_names_what_is_not_there_cannot() -> None:
    class Lost(Contract):
        part: "NowhereToBeFound"  # type: ignore[name-defined] # noqa: F821

    with pytest.raises(NameError, match="NowhereToBeFound"):
        Lost.model_rebuild(force=True)
