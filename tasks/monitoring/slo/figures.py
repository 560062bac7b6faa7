"""The newest figures of each model, kept so that a page and `perennial status` need not count anew."""

from collections.abc import Collection

import sqlalchemy as sa
from pydantic import ValidationError

from tasks.contracts import ModelFigures
from tasks.stores.database import engine, model_figures


def keep(figures: ModelFigures) -> None:
    """Keep a model's figures in place of those before; an older look that comes late changes nothing."""
    row = {"model": figures.model, "at": figures.at, "figures": figures.model_dump_json()}
    this = model_figures.c.model == figures.model
    with engine().begin() as connection:
        changed = connection.execute(
            model_figures.update().where(this, model_figures.c.at <= figures.at).values(row)
        )
        known = connection.execute(sa.select(model_figures.c.model).where(this)).first()
        if not changed.rowcount and known is None:
            connection.execute(model_figures.insert().values(row))


def figures_of(model: str) -> ModelFigures | None:
    """A model's newest figures; None where nobody has looked yet."""
    return next(iter(newest([model])), None)


def newest(models: Collection[str] | None = None) -> list[ModelFigures]:
    """The newest figures by model, of all or of some; plain data, read in one statement."""
    query = sa.select(model_figures.c.figures).order_by(model_figures.c.model)
    if models is not None:
        query = query.where(model_figures.c.model.in_(models))
    with engine().connect() as connection:
        kept = [_read(text) for text in connection.execute(query).scalars()]
    return [each for each in kept if each is not None]


def forget_all_but(models: Collection[str]) -> None:
    """Keep nothing of models that there are no more."""
    with engine().begin() as connection:
        connection.execute(model_figures.delete().where(model_figures.c.model.not_in(models)))


def _read(text: str) -> ModelFigures | None:
    """None of what another version of Perennial has kept: the next look keeps it anew."""
    try:
        return ModelFigures.model_validate_json(text)
    except ValidationError:
        return None
