"""`perennial check-drift`: judge drift between plain files."""

from pathlib import Path
from typing import Annotated

import typer

from cli.app import AsJson, app
from cli.file_verdict import Html, require_one_output, tell_and_end


@app.command("check-drift")
def check_drift(
    *,
    reference: Annotated[
        list[Path],
        typer.Option(
            "--reference",
            exists=True,
            dir_okay=False,
            help="A file of before; name it again for several, such as days or months.",
        ),
    ],
    current: Annotated[
        Path, typer.Option("--current", exists=True, dir_okay=False, help="The file to judge.")
    ],
    more: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[REFERENCE]...", exists=True, dir_okay=False, help="Further files of before."
        ),
    ] = None,
    labels: Annotated[str | None, typer.Option("--labels", help="The column of what was true.")] = None,
    predictions: Annotated[
        str | None,
        typer.Option(
            "--predictions",
            help="The column of a model's answers. Without it a simple model of the reference answers.",
        ),
    ] = None,
    html: Html = None,
    json: AsJson = False,
) -> None:
    """Say whether a file has drifted from the reference. No platform has to run.

    Ends with 0 where nothing that matters has changed, with 3 where it has drifted, with 4 where its data is
    broken, with 5 where too little is there to tell.
    """
    from tasks.errors import InvalidRequest
    from tasks.monitoring.plain.check_drift import check_drift as judge

    require_one_output(html, as_json=json)
    try:
        found = judge([*reference, *(more or [])], current, labels, predictions)
    except InvalidRequest as error:
        raise typer.BadParameter(str(error)) from error
    tell_and_end(found, html, as_json=json)
