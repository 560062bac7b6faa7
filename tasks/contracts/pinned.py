"""A table as a snapshot sees it."""

from pydantic import AwareDatetime

from tasks.contracts.contract import Contract


class PinnedTable(Contract):
    """A version of a table; `version_at` is when it was committed, by the commit's own timestamp."""

    table: str
    version: int
    version_at: AwareDatetime
