"""`python -m new_suite TABLE FILE` (`make suite TABLE=... FILE=...`)."""

import sys
from pathlib import Path
from typing import Annotated

import typer
import yaml

from new_suite.propose import Proposal, propose
from tasks.errors import PerennialError
from tasks.settings import forget_another_clone

IN_PLACE = "Review it, and describe the table in pipeline.yaml:"
BESIDE = (
    "There is a suite of this table already, which was left as it is. Compare the two, take over what you "
    "want, and remove the proposal. The table in pipeline.yaml, by the sample:"
)


def main(
    table: Annotated[str, typer.Argument(help="The table's name.")] = "",
    file: Annotated[str, typer.Argument(help="A sample: CSV, JSON lines or Parquet.")] = "",
) -> None:
    """Propose an expectation suite and the columns' types from a sample of a table."""
    forget_another_clone()
    try:
        proposal = propose(table, file)
    except PerennialError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(error.exit_code) from error
    print(report(proposal))


def report(proposal: Proposal) -> str:
    """What is printed: the part of pipeline.yaml, and all else as comments of it."""
    suite = proposal.suite
    shown = suite.relative_to(Path.cwd()) if suite.is_relative_to(Path.cwd()) else suite
    said = [
        f"Wrote {shown}: {proposal.expectations} expectations from {proposal.rows:,} rows, each with its "
        "reason as `notes`.",
        IN_PLACE if proposal.in_place else BESIDE,
    ]
    remarks = [f"- {remark}" for remark in proposal.remarks]
    comments = [*said, *(["Look at this first:", *remarks] if remarks else [])]
    block = yaml.safe_dump({"data": proposal.table}, sort_keys=False, allow_unicode=True, width=1000)
    return "\n".join([*(f"# {line}" for line in comments), block.rstrip()])


if __name__ == "__main__":
    typer.run(main)
