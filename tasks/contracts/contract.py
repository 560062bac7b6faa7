"""What every contract is."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """Frozen data with a version; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    contract_version: Literal[1] = 1
