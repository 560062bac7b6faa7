"""Is it declared what a model without a champion must reach?"""

from tasks.contracts import RuleVerdict
from tasks.spec import GateSpec


def first_model_is_declared(rules: GateSpec) -> RuleVerdict:
    """Without any threshold a first model is held, because nothing says what it must reach."""
    declared = ", ".join(f"{name} {value:g}" for name, value in rules.first_model_minimum.items())
    if declared:
        why = f"No champion serves yet; a first model must reach {declared}."
    else:
        why = (
            "No champion serves yet, and gate.first_model_minimum does not say what a first model must "
            "reach. "
            "Declare it in pipeline.yaml."
        )
    return RuleVerdict(
        rule="first_model",
        value=declared or None,
        threshold="gate.first_model_minimum",
        passed=bool(declared),
        blocks="hold",
        why=why,
    )
