"""On which columns a model's answers rest, on the reference and on newer rows."""

from pydantic import AwareDatetime

from tasks.contracts.contract import Contract


class ColumnAttribution(Contract):
    """What one column carries of all that moves answers, as shares in [0, 1] that add up to 1 over columns.

    Attributes:
        reference, window: On either rows.
        low, high: The interval of `window` minus `reference`: 95 % for all columns together.
    """

    column: str
    reference: float
    window: float
    low: float
    high: float


class Attribution(Contract):
    """What exchanging one column's values between rows does to the answers, column by column.

    Attributes:
        run_id: The training run of the version that was asked.
        month: Of the check that asked, such as 2026-03; each is asked once.
        start, end: When the window's rows were predicted.
        reference_rows, rows: How many rows were asked about, and of how many `days` the newer ones are.
        columns: Empty where the answers rest on no column, or the model has one feature alone.
        seconds: What asking took.
    """

    model: str
    run_id: str
    month: str
    start: AwareDatetime
    end: AwareDatetime
    reference_rows: int
    rows: int
    days: int
    columns: tuple[ColumnAttribution, ...]
    seconds: float
