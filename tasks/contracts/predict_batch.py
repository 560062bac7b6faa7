"""What is asked and said of the predictions of a table."""

import re
from typing import Annotated

from pydantic import AwareDatetime, StringConstraints, model_validator

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.spec import PipelineSpec

A_TABLE = r"[a-z][a-z0-9_]{0,127}"
INTO = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
"""Of a table that predictions may be written to. What Perennial itself keeps in the lake is named
`<model>__<what>`: two underscores are not taken.
"""


class PredictBatchRequest(Request):
    """Let the version that serves answer every row of a table or a query of the lake.

    Attributes:
        source: The name of a table, or one SELECT over tables of the lake. It returns the model's features;
            what else it returns stands beside the predictions.
        into: The table of the lake that the predictions are appended to; made where it is missing.
        as_of: The tables are read as they were then, so that each try reads the same rows.
    """

    spec: PipelineSpec
    source: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
    into: Annotated[str, StringConstraints(pattern=INTO, max_length=100)]
    as_of: AwareDatetime

    @property
    def query(self) -> str:
        """The source as SQL."""
        return f'SELECT * FROM "{self.source}"' if re.fullmatch(A_TABLE, self.source) else self.source  # noqa: S608

    @model_validator(mode="after")
    def _is_not_its_own_source(self) -> "PredictBatchRequest":
        if self.into in {self.source, *(table.table for table in self.spec.data.all_tables)}:
            raise ValueError(
                f"into is {self.into}, which holds data. Name a table for the predictions alone."
            )
        return self


class BatchPredicted(Contract):
    """What a run wrote.

    Attributes:
        job: In the column `job` of each of its rows.
        rows: Of the source; each is in the table once.
        errors: Of these, rows without a prediction; their column `error` says why.
        versions: Which versions answered: more than one where another was deployed meanwhile.
        table_version: Of the table, after the last append; None where the source has no row.
    """

    model: str
    into: str
    job: str
    rows: int
    errors: int
    versions: tuple[str, ...]
    table_version: int | None
