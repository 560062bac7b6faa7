"""`perennial pack`: a version's records as one signed archive for auditors."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli import show
from cli.about import STANDARD_OUTPUT, require_records, write
from cli.app import AsJson, app, place_of
from cli.names import Model, require_known


@app.command()
def pack(
    context: typer.Context,
    model: Model,
    version: Annotated[str, typer.Argument(help="Its number.")],
    *,
    to: Annotated[str, typer.Option("--to", metavar="FILE", help="Where to; - for standard output.")],
    key_to: Annotated[
        str | None,
        typer.Option("--key-to", metavar="FILE", help="Write the public key that checks it, too."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Write card, lineage, decisions with their chain, reports and specification as one signed archive.

    `perennial verify` checks it, on any machine. Give the key to whoever does by another way than the pack.
    """
    place = place_of(context)
    require_known(place, model)
    require_records(place)
    with show.at_work(f"Packing the records of version {version} of {model} ...", json=json):
        from cli.card import card_of
        from tasks.provenance.pack.make import make, public_key
        from tasks.stores import registry

        named = registry.named_version(model, version)
        content, key = make(named, card_of(model, version), datetime.now(UTC)), public_key()
    write(to, content)
    if key_to:
        write(key_to, f"{key}\n".encode())
    if json and to != STANDARD_OUTPUT:
        show.as_json({"pack": to, "bytes": len(content), "public_key": key})
    else:
        show.tell(f"Written to {to}: {len(content):,} bytes, signed with the key {key}.")
