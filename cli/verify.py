"""`perennial verify`: check a pack, with no platform."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli import show
from cli.app import AsJson, app
from cli.exits import BROKEN


@app.command()
def verify(
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="A file that `perennial pack` wrote.")],
    *,
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="The platform's public key, from elsewhere than it."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Check that nobody changed a pack, and with --key that it comes from that platform.

    Ends with 6 where something does not hold; the sentence names the file.
    """
    from tasks.errors import InvalidRequest
    from tasks.provenance.pack import check_pack

    try:
        public_key = check_pack.read_key(key) if key else None
        found = check_pack.check(check_pack.read_pack(pack), public_key)
    except OSError as error:
        raise InvalidRequest(f"{error.filename} cannot be read: {error.strerror}.") from error
    except check_pack.NoKey as error:
        raise InvalidRequest(str(error)) from error
    except check_pack.Refused as error:
        show.trouble(f"Refused: {error}")
        raise typer.Exit(BROKEN) from error
    if json:
        show.as_json(asdict(found))
        return
    for sentence in check_pack.told(found):
        typer.echo(sentence)
