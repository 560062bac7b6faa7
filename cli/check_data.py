"""`perennial check-data`: judge the data of a plain file."""

from pathlib import Path
from typing import Annotated

import typer

from cli.app import AsJson, app
from cli.file_verdict import Html, require_one_output, tell_and_end


@app.command("check-data")
def check_data(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="CSV, Parquet or JSON lines; text also as .gz."),
    ],
    *,
    suite: Annotated[
        str | None, typer.Option("--suite", help="Judge it as a file that lands in this suite's table.")
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            "--like", exists=True, dir_okay=False, help="Judge it against a file that is known to be sound."
        ),
    ] = None,
    html: Html = None,
    json: AsJson = False,
) -> None:
    """Say whether the data of a file is sound. No platform has to run.

    Ends with 0 where it is, with 4 where it is rejected, with 5 where too little is there to tell.
    """
    from tasks.errors import InvalidRequest
    from tasks.monitoring.plain.check_data import check_data as judge

    require_one_output(html, as_json=json)
    if suite and like:
        raise typer.BadParameter("name --suite or --like, not both.")
    try:
        found = judge(file, suite, like)
    except InvalidRequest as error:
        raise typer.BadParameter(str(error)) from error
    tell_and_end(found, html, as_json=json)
