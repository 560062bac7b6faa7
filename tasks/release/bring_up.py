"""Load a version beside the one that serves, and let it answer its example before any user sees it."""

from contextlib import ExitStack
from typing import Any

from tasks.contracts import Archive, RolloutCheck
from tasks.errors import ServingError
from tasks.release.differences import differences
from tasks.serving.backend import ServingBackend, loading
from tasks.serving.replica_count import require_servers
from tasks.spec import PipelineSpec

SMOKE_SECONDS = 30.0


def bring_up(
    backend: ServingBackend, archive: Archive, spec: PipelineSpec, example: dict[str, Any]
) -> list[RolloutCheck]:
    """Load an archive and let it answer the example before any user sees it; one that is loaded gets the
    settings of the specification.

    Raises:
        InvalidRequest: It wants more replicas than the platform has servers.
        ServingError: It does not load, or answers otherwise than when it was judged; one that was loaded has
            the settings of before.
    """
    require_servers(spec.serving)
    with ExitStack() as put_back:
        if not _is_ready(backend, archive) or not backend.fits(archive, spec.serving):
            _load(backend, archive, spec, put_back)
        check = smoke_test(backend, archive, example)
        put_back.pop_all()
    backend.keep(archive, spec.serving)
    return [RolloutCheck(check="ready", passed=True, detail=f"{archive.version} is loaded"), check]


def _is_ready(backend: ServingBackend, archive: Archive) -> bool:
    return backend.ready(archive.model, archive.version, archive.sha256)


def _load(backend: ServingBackend, archive: Archive, spec: PipelineSpec, put_back: ExitStack) -> None:
    with loading(archive.model):
        if not _is_ready(backend, archive):
            backend.register(archive, spec.serving)
        else:
            put_back.callback(backend.restore, archive)
            backend.adjust(archive, spec.serving)


def smoke_test(backend: ServingBackend, archive: Archive, example: dict[str, Any]) -> RolloutCheck:
    """Let a loaded version answer the example, as it was judged. Raises as `bring_up`."""
    found = backend.predict(archive.model, archive.version, example, timeout_seconds=SMOKE_SECONDS)
    wrong = differences(archive.example_prediction, found)
    if wrong:
        raise ServingError(
            f"{archive.model} {archive.version} answers its example otherwise than when it was judged: "
            f"{'; '.join(wrong)}. It is not served. Compare the serving environment with the one that "
            "judged it.",
            expected=archive.example_prediction,
            found=found,
        )
    return RolloutCheck(check="smoke test", passed=True, detail=f"answers {found}")
