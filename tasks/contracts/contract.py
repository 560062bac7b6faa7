"""What every contract is."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """Frozen data with a version; an unknown field is an error."""

    # Built when it is first used: each task and step is a process of its own, and uses few of them.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings", defer_build=True)

    contract_version: Literal[1] = 1
