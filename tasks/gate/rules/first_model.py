"""Is it declared what a model without a champion must reach?"""

from tasks.contracts import RuleVerdict
from tasks.spec import GateSpec


def first_model_is_declared(rules: GateSpec) -> RuleVerdict:
    """Without any threshold a first model is held, because nothing says what it must reach."""
    declared = ", ".join(
        f"{name} of {value:g}" for field, name, value in rules.thresholds() if field.startswith("first_model")
    )
    if declared:
        why = f"No champion serves yet; a first model must reach {declared}."
    else:
        why = (
            "No champion serves yet, and neither gate.first_model_minimum nor gate.first_model_maximum says "
            "what a first model must reach. Declare it in pipeline.yaml."
        )
    return RuleVerdict(
        rule="first_model",
        value=declared or None,
        threshold="gate.first_model_minimum",
        passed=bool(declared),
        blocks="hold",
        why=why,
    )
