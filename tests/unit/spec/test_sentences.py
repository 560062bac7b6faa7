"""What a wrong pipeline.yaml is answered with: a sentence that names the field and what to write."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.errors import InvalidProject
from tasks.spec import PipelineSpec
from tests.conftest import PROJECT

SHIPPED = PROJECT / "models" / "review_sentiment" / "pipeline.yaml"


def refusal(folder: Path, text: str) -> str:
    path = folder / "review_sentiment" / "pipeline.yaml"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(InvalidProject) as refused:
        PipelineSpec.load(path)
    return str(refused.value)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("serving.batch_size", True, "serving.batch_size: true is no number"),
        ("serving.workers", "2", "serving.workers: '2' is a text and no number"),
        ("training.on_code_change", "no", "training.on_code_change: 'no' is neither true nor false"),
        ("release.shadow", {"share": True}, "release.shadow.share: true is no number"),
        ("release.step", {"requests": "1e6"}, "write 1e6 as 1000000"),
        ("release.steps", [0.5, True], "release.steps: true is no number"),
        ("gate.minimum", {"accuracy": "0.8"}, "gate.minimum: '0.8' is a text and no number"),
        (
            "release.checks",
            {"latency": {"ratio": float("nan")}},
            "ratio: a number is expected here, and .nan",
        ),
        ("release.checks", {"slices": {}}, "release.checks.labels.slice_margin?"),
        ("release.longest_seconds", 60, "do you mean release.step.longest_seconds?"),
        ("release.undecided", "hold", "do you mean release.step.undecided?"),
        ("release.false_rollback", 0.1, "do you mean release.error_rates.false_rollback?"),
        ("release.acceptance", {"p95": 0.1}, "do you mean p95_seconds?"),
        ("serving.idle", 60, "do you mean idle_seconds?"),
        ("serving.handler", 3, "serving.handler: 3 is no text; put it in quotes"),
        ("serving.code", "features.py", "a list is expected here, in brackets, not 'features.py'"),
        ("release.step", 5, "fields with their values are expected here: requests, seconds"),
    ],
)
def test_a_wrong_value_is_told_in_a_sentence(tmp_path: Path, field: str, value: Any, said: str) -> None:
    document: dict[str, Any] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    part, name = field.split(".")
    document.setdefault(part, {})[name] = value

    assert said in refusal(tmp_path, yaml.safe_dump(document))


def test_what_is_no_yaml_is_told_in_one_line_with_its_place(tmp_path: Path) -> None:
    told = refusal(tmp_path, "version: 1\nname: [review\nowner: us\n")

    assert "\n" not in told
    assert "cannot be read: line 3, column" in told
