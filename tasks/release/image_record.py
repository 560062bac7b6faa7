"""Accept a serving image by what its container answers, and note where it was pushed: both in the ledger.

An image is named by what Docker calls its id, the SHA-256 of its configuration, until a registry has it;
there it is named by the digest that the registry gave it.
"""

import re

from tasks.contracts import Action, LedgerEntry, ModelVersion, RolloutCheck
from tasks.errors import CheckFailed, InvalidRequest, PerennialError, ServingError
from tasks.gate.replay import require_replay
from tasks.ledger import entries, precedent
from tasks.release.acceptance import Ask, checks_of_answers
from tasks.release.differences import differences
from tasks.release.switch import example_of
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores import registry

ID = re.compile(r"sha256:[0-9a-f]{64}")
PUSHED = re.compile(r"[^\s@]+/[^\s@/]+@sha256:[0-9a-f]{64}")


def accept_image(model: str, number: str, image_id: str, ask: Ask, actor: str) -> LedgerEntry:
    """Hold what an image's container answers to what a release's acceptance asks of a version, and write it
    down, before the image gets a name.

    Args:
        image_id: As Docker names it, `sha256:...`.
        ask: Asks the container.
        actor: Who decides; the ledger names them.

    Raises:
        InvalidRequest: There is no such version, or the id is none.
        GateRefused: The gate did not promote it, or its decision cannot be replayed.
        CheckFailed, ServingError: It does not answer as it was judged, or does not bear the load.
    """
    version = _promoted(model, number, image_id)
    spec = PipelineSpec.load(settings().models / model / "pipeline.yaml")
    try:
        checks = [_example(ask, version, spec)]
        checks += checks_of_answers(ask, version.archive, registry.training_run(version.run_id), spec)
    except (CheckFailed, ServingError) as error:
        _refuse(version, image_id, actor, error)
        raise
    return entries.record(
        model=model,
        actor=actor,
        action=Action.IMAGE,
        before=None,
        after="accepted",
        why=f"The image of version {version.version} passed {len(checks)} checks in its container.",
        evidence={
            **_about(version, image_id),
            "checks": [check.model_dump(mode="json") for check in checks],
            "acceptance": spec.release.acceptance.model_dump(mode="json"),
        },
    )


def note_pushed(model: str, number: str, image_id: str, reference: str, actor: str) -> LedgerEntry:
    """Write down under which digest a registry holds an accepted image.

    Args:
        reference: `registry.example.org/team/model@sha256:...`.

    Raises:
        InvalidRequest: The reference has no digest, or this image was not accepted for this version.
        GateRefused: As `accept_image`.
    """
    version = _promoted(model, number, image_id)
    if not PUSHED.fullmatch(reference):
        raise InvalidRequest(
            f"{reference!r} is no image by its digest, such as registry.example.org/team/{model}@sha256:..."
        )
    accepted = [each for each in _of(version, "accepted") if each.evidence["image_id"] == image_id]
    if not accepted:
        raise InvalidRequest(
            f"The ledger has no acceptance of the image {image_id} for {model} version {number}. Build it: "
            f"make image MODEL={model} VERSION={number}"
        )
    return entries.record(
        model=model,
        actor=actor,
        action=Action.IMAGE,
        before=None,
        after="pushed",
        why=f"The image of version {version.version} is {reference}.",
        evidence={
            **_about(version, image_id),
            "image": reference,
            "accepted": accepted[-1].entry_hash,
        },
    )


def pushed_image(version: ModelVersion, repository: str) -> LedgerEntry | None:
    """The newest entry by which an accepted image of this archive lies in a repository; None for none."""
    found = _of(version, "pushed")
    return next((each for each in found[::-1] if each.evidence["image"].startswith(f"{repository}@")), None)


def _of(version: ModelVersion, after: str) -> list[LedgerEntry]:
    return [
        each
        for each in entries.history(version.model, {Action.IMAGE})
        if each.after == after and each.evidence["archive_sha256"] == version.archive.sha256
    ]


def _promoted(model: str, number: str, image_id: str) -> ModelVersion:
    if not ID.fullmatch(image_id):
        raise InvalidRequest(f"{image_id!r} is no id of an image: Docker names it sha256: and 64 digits.")
    version = registry.named_version(model, number)
    require_replay(precedent.promotion_of_version(version))
    return version


def _example(ask: Ask, version: ModelVersion, spec: PipelineSpec) -> RolloutCheck:
    found = ask(example_of(version, spec))
    wrong = differences(version.archive.example_prediction, found)
    if wrong:
        raise CheckFailed(
            f"In its container, version {version.version} of {version.model} answers its example otherwise "
            f"than when it was judged: {'; '.join(wrong)}.",
            expected=version.archive.example_prediction,
            found=found,
        )
    return RolloutCheck(check="smoke test", passed=True, detail=f"answers {found}")


def _refuse(version: ModelVersion, image_id: str, actor: str, error: PerennialError) -> None:
    entries.record(
        model=version.model,
        actor=actor,
        action=Action.IMAGE,
        before=None,
        after="refused",
        why=f"The image of version {version.version} is not accepted: {error}",
        evidence={**_about(version, image_id), "fault": error.evidence},
    )


def _about(version: ModelVersion, image_id: str) -> dict[str, str]:
    return {
        "image_id": image_id,
        "version": version.version,
        "run_id": version.run_id,
        "archive_sha256": version.archive.sha256,
    }
