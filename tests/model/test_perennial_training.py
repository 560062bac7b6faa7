"""What every training program shares: options written down once, the best epoch kept, the same weights."""

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path

import perennial_training
import pytest
import torch

from tests.conftest import PROJECT
from tests.model.conftest import SHIPPED, run_training

# What a forward pass makes must lie where the model does; `meta` is such a place that needs no GPU.
FORWARD = {
    "review_sentiment": """
from network import BagClassifier
model = BagClassifier(buckets=64, dimension=2, ngrams=2).to("meta")
answers = model([model.buckets_of("A good film."), model.buckets_of("Dull.")])
""",
    "flight_delay": """
from network import DelayClassifier
model = DelayClassifier(buckets=64, dimension=2, hidden=4, dropout=0.1).to("meta")
answers = model(torch.zeros(2, 7, dtype=torch.int64, device="meta"), torch.zeros(2, 3, device="meta"))
""",
    "flight_minutes": """
from features import CATEGORIES
from network import MinutesRegressor
vocabulary = {name: ["a"] for name in CATEGORIES}
model = MinutesRegressor(vocabulary, dimension=2, hidden=4, dropout=0.1).to("meta")
answers = model(torch.zeros(2, 7, dtype=torch.int64, device="meta"), torch.zeros(2, 8, device="meta"))
""",
    "handwritten_digit": """
from network import DigitClassifier
model = DigitClassifier(channels=2, dropout=0.1).to("meta")
answers = model(torch.zeros(2, 1, 8, 8, device="meta"))
""",
}


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
    """What is logged to MLflow, in its order."""
    metrics: list[dict[str, float]] = []
    monkeypatch.setattr(
        perennial_training.mlflow, "log_metrics", lambda found, step=None: metrics.append(found)
    )
    return metrics


def fit(losses: list[float], *, patience: int) -> float:
    """Fit a model of one weight, which each epoch's one step raises by 1; returns the one that was kept."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    left = iter(losses)
    perennial_training.fit(
        model,
        [torch.optim.SGD(model.parameters(), lr=1)],
        argparse.Namespace(epochs=len(losses), patience=patience, batch_size=4),
        rows=4,
        loss_of=lambda rows: -model.weight.sum() * len(rows) / 4,
        evaluate=lambda: {"loss": (loss := next(left)), "accuracy": 1 - loss},
    )
    return model.weight.item()


def test_the_best_epochs_weights_are_kept_and_training_stops_after_its_patience(
    logged: list[dict[str, float]],
) -> None:
    assert fit([0.9, 0.4, 0.6, 0.7, 0.1], patience=2) == 2

    assert [found.get("validation_loss") for found in logged] == [0.9, 0.4, 0.6, 0.7, None]
    kept = {"best_validation_loss": 0.4, "best_validation_accuracy": 0.6}
    assert logged[-1] == {"best_epoch": 2, **kept}


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_training_that_diverges_fails_and_serves_nobody(loss: float) -> None:
    with pytest.raises(FloatingPointError, match=r"epoch 2 is (nan|inf): the training has diverged. Lower"):
        fit([0.9, loss, 0.2], patience=5)


def test_options_have_the_types_and_defaults_of_mlproject(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "--learning-rate", "0.5", "--seed", "3"])

    chosen = perennial_training.options(PROJECT / "models" / "flight_delay")

    assert (chosen.learning_rate, chosen.seed, chosen.data, chosen.epochs) == (0.5, 3, "", 12)


def test_every_model_is_whole_on_whatever_device_it_is_moved_to() -> None:
    """In one process, for what stands in for a device costs seconds of imports."""
    asked = (
        f"sys.path[0] = {str(PROJECT / 'models' / model)!r}\n{FORWARD[model]}"
        "assert answers.device.type == 'meta', (sys.path[0], answers.device)\n"
        "for name in ('network', 'features'): sys.modules.pop(name, None)\n"
        for model in SHIPPED
    )
    program = f"import sys, torch\n{''.join(asked)}"

    subprocess.run([sys.executable, "-c", program], cwd=PROJECT / "models", check=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
@pytest.mark.parametrize("model", SHIPPED)
def test_on_a_gpu_the_same_seed_gives_the_same_weights(model: str, tracking: Path, tmp_path: Path) -> None:
    calls = [["--epochs", "1", "--output", str(tmp_path / name)] for name in ("first", "again")]

    run_training(model, calls, tracking)

    first, again = (
        hashlib.sha256((tmp_path / name / "weights.safetensors").read_bytes()).hexdigest()
        for name in ("first", "again")
    )
    assert first == again
