"""Which user of MLflow a step is. What that user may do there, containers/ml/mlflow_access.py says.

A step in its model's own environment may run what the model's team wrote or required, so it may write to that
model's experiment and to nothing else. Of all others, only those that release touch the registry.
"""

import hmac

from plugins.runners.step import Step
from tasks.settings import Settings

KEY = "PERENNIAL_MLFLOW_KEY"
USERNAME, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
LOGIN = frozenset({USERNAME, PASSWORD, "MLFLOW_TRACKING_TOKEN"})
USERS = {
    "gate": "perennial-gate",
    "register": "perennial-release",
    "deploy": "perennial-release",
    "enter": "perennial-release",
    "promote": "perennial-release",
    "rollback": "perennial-release",
    "withdraw": "perennial-release",
    "reconcile": "perennial-release",
    "describe": "perennial-card",
}
READER = "perennial-reader"


def user_of(step: Step) -> str:
    """The name of a step's user."""
    return f"perennial-model-{step.model}" if step.model else USERS.get(step.verb, READER)


def password_of(user: str, key: str) -> str:
    """The password of a step's user: the HMAC-SHA256 of its name, in hexadecimal digits."""
    return hmac.new(key.encode(), user.encode(), "sha256").hexdigest()


def reader(place: Settings) -> tuple[str, str] | None:
    """Name and password of who reads alone; None where this installation's MLflow has no users for steps."""
    key = place.mlflow_key.get_secret_value()
    return (READER, password_of(READER, key)) if key else None


def login_of(step: Step, place: Settings) -> dict[str, str]:
    """What MLflow's client logs in with; empty where this installation's MLflow has no users for steps."""
    key = place.mlflow_key.get_secret_value()
    if not key:
        return {}
    user = user_of(step)
    return {USERNAME: user, PASSWORD: password_of(user, key)}
