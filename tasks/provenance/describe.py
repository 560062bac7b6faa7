"""Write the card of a version, beside its release: whatever becomes of this step, the release goes on."""

from tasks.contracts import Described, DescribeRequest
from tasks.errors import InvalidRequest
from tasks.provenance.card import html_of
from tasks.provenance.card.gather import gather
from tasks.provenance.card.kept import keep
from tasks.stores import files


def describe(request: DescribeRequest) -> Described:
    """Make the card, keep it with the version's MLflow run, and show it on MLflow's page of the version.

    What cannot be found or explained is told in the card, which is written all the same.

    Raises:
        InvalidRequest: The version is another model's.
        LedgerBroken: The ledger cannot be read.
        RegistryError: MLflow does not answer.
    """
    spec, version = request.spec, request.version
    if version.model != spec.name:
        raise InvalidRequest(f"Version {version.version} is of {version.model!r}, not of {spec.name!r}.")
    card = gather(spec, version, request.energy, ask=True)
    url = files.write_text(request.context.work_url, "card.html", text=html_of(card))
    keep(card)
    if card.not_explained:
        print(f"Not explained: {card.not_explained}", flush=True)
    return Described(
        model=card.model,
        version=card.version,
        run_id=card.run_id,
        report_url=url,
        explained=card.explanations is not None,
        notes=card.notes,
    )
