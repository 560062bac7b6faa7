"""The forms of what a person says of a model's watch: the breaker, an approval, a silence, which triggers."""

from pathlib import Path
from typing import get_args

from airflow.sdk import Param

from plugins.forms import model_field, reason_field
from tasks.contracts import AlertReason
from tasks.contracts.alerts import LONGEST_SILENCE_DAYS


def breaker_form(_subject: str, _models: Path) -> dict[str, Param]:
    """The model whose retrains came to nothing, and what was found out about them."""
    return {
        "model": model_field("It is not retrained by itself until this is done."),
        "reason": reason_field(
            "What made its candidates useless, and why the next one is not; the ledger keeps it."
        ),
    }


def answer_form() -> dict[str, Param]:
    """What a person says beside yes or no, where the drift check asks one."""
    return {"why": Param(None, "Why; the ledger keeps it.", type=["string", "null"], title="Reason")}


def silence_form(_subject: str, _models: Path) -> dict[str, Param]:
    """Which alerts of which model are silenced, for how long, and why."""
    return {
        "model": model_field("Whose alerts; the table, for those of its files."),
        "of": Param(
            None,
            "The reason for alerts that is meant. Empty: all of them.",
            type=["string", "null"],
            enum=[None, *get_args(AlertReason)],
            title="Alerts about",
        ),
        "days": Param(
            None,
            "How long; half a day is 0.5. Empty: the silence that holds is ended.",
            type=["number", "null"],
            exclusiveMinimum=0,
            maximum=LONGEST_SILENCE_DAYS,
            title="Days",
        ),
        "reason": reason_field("Why; the ledger keeps it."),
    }


def triggers_form(_subject: str, _models: Path) -> dict[str, Param]:
    """Whose triggers are shown."""
    return {
        "model": Param(
            None,
            "Whose triggers. Empty: every model's.",
            type=["string", "null"],
            pattern=r"^[a-z][a-z0-9_]{0,62}$",
            title="Model",
        )
    }
