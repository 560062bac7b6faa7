"""What a training took, estimated: measured seconds times what is stated of watts, grams and prices, and the
joules of GPUs that count them.

Of the processor it is no measurement: a core draws more or less with what it computes, and what memory, disks
and network draw is in the watts that are stated of it, or left out.

Source: Lacoste et al., Quantifying the Carbon Emissions of Machine Learning, arXiv:1910.09700 (2019), for
energy as power times time, and emissions as energy times the electricity's intensity.
"""

from collections.abc import Mapping

from tasks.contracts import Energy, EnergyAssumptions, TrainingSeconds
from tasks.spec.training import ResourcesSpec
from tasks.training.mlflow_run import GPU_JOULES, PROCESSOR_SECONDS

JOULES_PER_KWH = 3_600_000
SECONDS_PER_HOUR = 3600
DEVICE = "perennial.device"
"""A tag of a training's MLflow run: where it trained (`cuda:0`, `cpu`)."""


def seconds_of(wall: float, tags: Mapping[str, str], resources: ResourcesSpec) -> TrainingSeconds:
    """What a training took, by the time from its run's beginning to its end in seconds, and by its tags."""
    measured = _number(tags.get(PROCESSOR_SECONDS))
    on_gpu = tags.get(DEVICE, "cpu").startswith("cuda")
    return TrainingSeconds(
        wall=wall,
        processor=wall * resources.cpus if measured is None else measured,
        gpu=wall if on_gpu else 0.0,
        processor_is_measured=measured is not None,
        gpu_joules=_number(tags.get(GPU_JOULES)) if on_gpu else None,
    )


def energy_of(seconds: TrainingSeconds, assumed: EnergyAssumptions) -> Energy:
    """Energy, emissions and price of so many seconds under these assumptions."""
    of_gpus = seconds.gpu * assumed.gpu_watts if seconds.gpu_joules is None else seconds.gpu_joules
    joules = seconds.processor * assumed.processor_watts + of_gpus
    kwh = joules * assumed.overhead / JOULES_PER_KWH
    grams = assumed.carbon_grams_per_kwh
    return Energy(
        seconds=seconds,
        assumptions=assumed,
        kwh=kwh,
        carbon_grams=None if grams is None else kwh * grams,
        price=_price(seconds, assumed),
    )


def _price(seconds: TrainingSeconds, assumed: EnergyAssumptions) -> float | None:
    """None where a price is missing of something that the training used."""
    used = (
        (seconds.processor, assumed.processor_price_per_hour),
        (seconds.gpu, assumed.gpu_price_per_hour),
    )
    total = 0.0
    for taken, price in used:
        if taken and price is None:
            return None
        total += taken / SECONDS_PER_HOUR * (price or 0.0)
    return total


def _number(text: str | None) -> float | None:
    """A tag is text that the model's own program may write to."""
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
