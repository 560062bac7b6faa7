"""Where a card lies: with the MLflow run of its version, as JSON, Markdown and HTML."""

from pydantic import ValidationError

from tasks.contracts import ModelCard
from tasks.errors import RegistryError
from tasks.provenance.card.markdown import description_of, markdown_of
from tasks.provenance.card.page import html_of
from tasks.stores import registry

FOLDER = "card"
DOCUMENT, MARKDOWN, PAGE = f"{FOLDER}/card.json", f"{FOLDER}/card.md", f"{FOLDER}/card.html"


def keep(card: ModelCard) -> None:
    """Keep a card with its run, in place of an earlier one, and show it on MLflow's page of the version."""
    registry.log_text(card.run_id, PAGE, html_of(card))
    registry.log_text(card.run_id, MARKDOWN, markdown_of(card))
    registry.log_text(card.run_id, DOCUMENT, card.model_dump_json(indent=2))
    registry.describe_version(card.model, card.version, description_of(card))


def read(run_id: str) -> ModelCard | None:
    """The card that is kept with a run; None where there is none.

    Raises:
        RegistryError: What lies there is no card.
    """
    text = registry.read_text(run_id, DOCUMENT)
    if text is None:
        return None
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        raise RegistryError(
            f"The artifact {DOCUMENT} of the MLflow run {run_id} is no card that this Perennial reads: it "
            "was changed, or another version wrote it. Remove it, and the card is made from the records."
        ) from error
