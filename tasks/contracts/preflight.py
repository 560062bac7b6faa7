"""What is said of the place where a training will run, before anything is spent."""

from typing import Literal

from tasks.contracts.contract import Contract


class PreflightReport(Contract):
    """Where the training will run, and that it can.

    Attributes:
        device: What the model will train on.
        gpu: The GPU's name and memory, as its driver says; None without one.
        why: Why that device, as a sentence; where no GPU is visible, the reason.
        code_commit, image_digest: Of the environment that the steps run in; None where there is none.
        memory_mib: The limit of memory of the step; None where there is none.
    """

    model: str
    device: Literal["cuda", "cpu"]
    gpu: str | None
    why: str
    code_commit: str | None
    image_digest: str | None
    memory_mib: int | None
