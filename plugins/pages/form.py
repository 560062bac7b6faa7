"""What a button of the pages is: a form whose fields a browser checks, and what it asks of Airflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["text", "number", "choice", "lines"]


@dataclass(frozen=True)
class Field:
    """What a form asks for; `name` is that of the DAG's own form.

    Attributes:
        choices: Values and what is shown for them; of a text, what is offered among others; of lines, what
            can be added to them by choosing.
        pattern: That the whole text has to fit, as browsers read it; empty for any.
        wanted: What to tell of a value that does not fit; a sentence.
        largest: That a number may be.
    """

    name: str
    label: str
    kind: Kind = "text"
    value: str = ""
    required: bool = False
    told: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    pattern: str = ""
    wanted: str = ""
    largest: float | None = None


@dataclass(frozen=True)
class Button:
    """Something that a person can do.

    Attributes:
        told: What happens then.
        url: Of Airflow's REST API, below its prefix.
        fixed: What is sent beside the form's fields.
        refused: Why it cannot be done now; empty where it can.
    """

    key: str
    label: str
    told: str
    method: Literal["POST", "PATCH"]
    url: str
    fields: tuple[Field, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""
    weighty: bool = False


REASON = Field(
    "reason",
    "Why",
    required=True,
    told="The ledger keeps it.",
    pattern=r".*\S.*",
    wanted="A reason, in words: whoever reads the ledger has to understand it.",
)
A_NUMBER: Any = {
    "pattern": "[1-9][0-9]*",
    "wanted": "The number of a version, such as 3: the table of versions has them.",
}
DECISIONS = (("release", "release: train on it"), ("confirm", "confirm: never train on it"))
WHY = Field("reason", "Why", told="It is kept with the run.")
