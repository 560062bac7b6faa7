"""What `make check` says beside faults: whether the steps of a model's releases can decide anything."""

from collections.abc import Iterator
from math import ceil, log, log1p

from tasks.percent import percent
from tasks.release.needed import Needed, needed
from tasks.spec import PipelineSpec
from tasks.spec.release import step_name

FEW = 0.5
"""Of the requests that a step needs: a step that asks for fewer misjudges how long it takes."""


def notes_of_release(spec: PipelineSpec) -> Iterator[str]:
    """Why releases of a model would hardly be decided, and the numbers by which they would be."""
    found = [each for each in needed(spec) if each.share]
    yield from _of_requests(spec, found)
    if spec.release.sticky_by == "sender" and spec.release.steps[0] < 1:
        yield from _of_senders(spec)


def _of_requests(spec: PipelineSpec, found: list[Needed]) -> Iterator[str]:
    rules = spec.release
    for each in found:
        if each.requests is None:
            checks = " and ".join(each.checks)
            yield (
                f"{spec.name}: no number of requests is enough for {checks} in {each.stage} of its releases: "
                "widen their margins (release.checks)."
            )
            return
    enough = [each.requests for each in found if each.requests is not None]
    if not enough or rules.step.requests >= FEW * min(enough):
        return
    first = found[0]
    asked = f", which are {ceil(enough[0] / first.share):,} of the model" if first.share < 1 else ""
    yield (
        f"{spec.name}: release.step.requests is {rules.step.requests}, but {first.stage} cannot say that a "
        f"candidate is good before {enough[0]:,} requests of it{asked}, however good it is "
        f"({', '.join(first.checks)}); the steps need up to {max(enough):,}. They wait for these at most "
        f"release.step.longest_seconds ({rules.step.longest_seconds:g} s); then release.step.undecided "
        f"({rules.step.undecided}) counts. Where fewer requests come, take larger steps, a longer time, or "
        "wider margins (release.checks)."
    )


def _of_senders(spec: PipelineSpec) -> Iterator[str]:
    share, missed = spec.release.steps[0], spec.release.error_rates.missed
    few = ceil(log(missed) / log1p(-share))
    if few < 2:  # whoever asks at all is as good as surely drawn
        return
    yield (
        f"{spec.name}: release.sticky_by is sender, so that {step_name(share)} draws tokens, not requests: "
        f"of fewer than {few} tokens that ask it draws none more often than once in {1 / missed:.0f} "
        f"releases (release.error_rates.missed), although {percent(share)} are wanted, and the candidate is "
        "asked nothing then. Take header:NAME with a user's id that your service sends along, larger steps, "
        "or leave sticky_by out."
    )
