"""What GPUs count of the energy that they draw."""

import pytest

from tasks.training import gpu_energy


def test_where_there_is_no_gpu_nothing_is_told() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("torch sees a GPU here")
    assert gpu_energy.joules() is None


def test_a_gpu_that_works_draws_more_and_one_that_is_hidden_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU here")
    before = gpu_energy.joules()
    work = torch.rand(4096, 4096, device="cuda")
    for _ in range(300):
        work = torch.nn.functional.normalize(work @ work)
    torch.cuda.synchronize()
    after = gpu_energy.joules()
    assert before is not None
    assert after is not None
    assert after > before

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu_energy.joules() is None
