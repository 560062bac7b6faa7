"""What a training took, in the unit of its model."""

from tasks.monitoring.cost import Cost, cost_of
from tasks.spec.training import ResourcesSpec

WALL = {"train": 100.0, "evaluate": 20.0, "snapshot": 5.0}


def test_processor_seconds_are_wall_seconds_of_the_training_times_its_cpus() -> None:
    assert cost_of("success", WALL, ResourcesSpec(cpus=4)) == Cost("success", 425.0, "processor")


def test_gpu_seconds_are_those_that_the_gpu_was_held_for() -> None:
    for gpus in ("required", "preferred"):
        assert cost_of("failed", WALL, ResourcesSpec(cpus=4, gpus=gpus)) == Cost("failed", 100.0, "GPU")


def test_on_a_machine_without_a_gpu_a_model_that_only_prefers_one_took_processor_seconds() -> None:
    prefers = ResourcesSpec(cpus=4, gpus="preferred")
    assert cost_of("success", WALL, prefers, "cpu") == Cost("success", 425.0, "processor")
    assert cost_of("success", WALL, prefers, "cuda") == Cost("success", 100.0, "GPU")


def test_a_run_that_never_trained_took_what_came_before() -> None:
    assert cost_of("failed", {"count": 2.0}, ResourcesSpec()).seconds == 2.0
    assert cost_of("failed", {}, ResourcesSpec()).seconds == 0.0


def test_a_card_that_is_written_beside_the_release_is_no_cost_of_the_training() -> None:
    assert cost_of("success", {**WALL, "describe": 300.0}, ResourcesSpec(cpus=4)).seconds == 425.0
