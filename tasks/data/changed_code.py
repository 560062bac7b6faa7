"""Read the champion's code and the model's; whether they are a reason to train, `tasks.data.code` decides."""

import sqlalchemy as sa

from tasks.data.code import why_not_now
from tasks.evaluation.preparation.read_code import code_here, code_of, digest_of
from tasks.ledger.champions import champion_run, judged_code
from tasks.settings import settings
from tasks.stores import registry
from tasks.stores.database import engine, retrain_requests


def why_no_new_code(model: str) -> str | None:
    """Why the model's code is no reason to train; None where it is.

    Raises:
        RegistryError: Nobody can say what the champion was trained with.
    """
    run_id = champion_run(model)
    if run_id is None:
        return "No version serves, so none has other code: training.on_code_change starts no first training."
    here = code_here(settings().models, model)
    return why_not_now(
        code_of(registry.training_run(run_id)),
        here,
        is_judged=digest_of(here) in judged_code(model),
        open_training=_open_training(model),
    )


def _open_training(model: str) -> str | None:
    open_here = sa.select(retrain_requests.c.train_run_id).where(retrain_requests.c.open_model == model)
    with engine().connect() as connection:
        found: str | None = connection.scalar(open_here)
    return found
