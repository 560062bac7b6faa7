"""What a team says of its model in the model's card, which no program can find out."""

from typing import Annotated

from pydantic import Field, field_validator

from tasks.spec.base import Spec

LONGEST_TEXT, LONGEST_LINE, MOST_SAMPLES = 4000, 200, 10
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Line = Annotated[str, Field(max_length=LONGEST_LINE)]


class CardSpec(Spec):
    """Text for the model's card, each part optional; what is left out, the card says is not said.

    Attributes:
        purpose: What the model is for, and whom it serves; without it, `description` stands there.
        intended_use: Who may use its answers, and for what.
        out_of_scope: What it must not be used for.
        limits: Where it is known to be wrong, beside what is measured.
        fairness: Whom its mistakes meet, which groups were thought of, and what was done for them.
        contact: Who answers questions; without it, `owner` stands there.
        licence: Under which the model may be used.
        samples: So many of the test rows are explained one by one, with their values, for whoever may see the
            card; 0 for none.
    """

    purpose: Text | None = None
    intended_use: Text | None = None
    out_of_scope: Text | None = None
    limits: Text | None = None
    fairness: Text | None = None
    contact: Line | None = None
    licence: Line | None = None
    samples: int = Field(default=3, ge=0, le=MOST_SAMPLES)

    @field_validator("purpose", "intended_use", "out_of_scope", "limits", "fairness", "contact", "licence")
    @classmethod
    def _says_something(cls, text: str | None) -> str | None:
        if text is not None and not text.strip():
            raise ValueError("is blank; write what is to stand in the card, or leave the field out")
        return text
