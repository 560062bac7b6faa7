"""`perennial token`: who may ask the gateway for what, and until when."""

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import show
from cli.app import AsJson, Why, app, place_of
from cli.names import known_names, require_among
from cli.times import short

if TYPE_CHECKING:
    from cli.place import Place
    from tasks.contracts import KnownToken

COLUMNS = ("NAME", "ID", "MAY", "MODELS", "RATE", "UNTIL", "MADE BY", "REVOKED")
LENGTH = re.compile(r"(\d+(?:\.\d+)?)([hdw])")
DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0}
FIRST = (
    "It is the first token, and with it the gateway's door is shut: from now on every caller without a token "
    "is refused (HTTP 401), also those that asked without one until now. Give each of them a token, too."
)
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Whose it is; the log has it beside each prediction.")
]


class ScopeName(StrEnum):
    """What a token may do; Typer reads it from here, and the contract is imported only where it is needed."""

    PREDICT = "predict"
    FEEDBACK = "feedback"
    READ = "read"
    ADMIN = "admin"


words = typer.Typer(no_args_is_help=True, help="Make, list and revoke the tokens that the gateway asks for.")
app.add_typer(words, name="token")


@words.command()
def make(  # noqa: PLR0913 - each is an option of the word
    context: typer.Context,
    name: Name,
    *,
    why: Why,
    scope: Annotated[
        list[ScopeName] | None,
        typer.Option("--scope", help="What it may do, once for each; without, predict and feedback."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="Only for this model, once for each; without, for all."),
    ] = None,
    length: Annotated[
        str,
        typer.Option("--for", metavar="90d", help="When it ends: hours (h), days (d), weeks (w), or never."),
    ] = "365d",
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="100/second", help="How often it may ask.")
    ] = None,
    body: Annotated[
        int | None, typer.Option("--body", metavar="BYTES", help="The largest body that is read of it.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Make a token and show it, this once: only its hash is kept."""
    days = _days(length)
    _require_rate(rate)
    place = _here(context)
    _require_models(place, model or [])
    from tasks.release.tokens import Rights, make_token

    scopes = tuple(each.value for each in scope or (ScopeName.PREDICT, ScopeName.FEEDBACK))
    rights = Rights(scopes, tuple(model) if model else None, days, rate, body)
    made = make_token(name, rights, actor=place.person, why=why)
    if json:
        show.as_json({"token": made.token, **_plain(made.known)})
        return
    typer.echo(made.token)
    show.tell(
        f"Keep it now: it is not shown again. Its scopes: {', '.join(made.known.scopes)}{_until(made.known)}."
    )
    if made.is_first:
        show.tell(FIRST)


@words.command(name="list")
def list_(
    context: typer.Context,
    *,
    every: Annotated[bool, typer.Option("--all", help="Those that were revoked, too.")] = False,
    json: AsJson = False,
) -> None:
    """Show whose tokens the gateway knows, and what they may do."""
    _here(context)
    from tasks.serving.tokens import Tokens

    known = [each for each in Tokens(retries=2).known() if every or each.revoked_at is None]
    if json:
        show.as_json({"tokens": [_plain(each) for each in known]})
        return
    columns = COLUMNS if every else COLUMNS[:-1]
    rows = [
        (
            each.name,
            each.id,
            " ".join(each.scopes),
            " ".join(each.models) if each.models else "all",
            each.rate,
            short(each.expires_at) if each.expires_at else "never ends",
            each.made_by,
            short(each.revoked_at) if each.revoked_at else None,
        )[: len(columns)]
        for each in known
    ]
    show.table(columns, rows, nothing="The gateway knows no token.")


@words.command()
def revoke(
    context: typer.Context,
    name: Name,
    *,
    why: Why,
    token_id: Annotated[
        str | None, typer.Option("--id", help="Only this one of the name's tokens, as `list` shows it.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Let a name's tokens in no more; a second later each gateway refuses them."""
    place = _here(context)
    from tasks.release.tokens import revoke_token

    revoked = revoke_token(name, actor=place.person, why=why, token_id=token_id)
    if json:
        show.as_json({"revoked": [_plain(each) for each in revoked]})
        return
    for each in revoked:
        typer.echo(f"{each.name}: the token {each.id} was revoked.")


def _here(context: typer.Context) -> "Place":
    """The platform, which has to be reached by more than its public address.

    Raises:
        PlatformAway: None runs.
        InvalidRequest: Only its public address is known here.
    """
    place = place_of(context)
    place.require_running()
    if place.is_remote:
        from tasks.errors import InvalidRequest

        raise InvalidRequest(
            "Tokens are made and revoked on the platform's own machine: run `perennial token` there."
        )
    return place


def _require_models(place: "Place", named: list[str]) -> None:
    """Refuse a model that neither the platform nor the gateway knows: its token would be for nothing.

    Raises:
        typer.BadParameter: It names the nearest one.
        ServingError: The gateway does not answer.
    """
    if not named:
        return
    from tasks.serving.tokens import Tokens

    known = sorted({*known_names(place), *Tokens(retries=2).names()})
    for name in named:
        require_among(known, name, "--model")


def _require_rate(rate: str | None) -> None:
    """Refuse a rate that is none, as a word that was called wrongly."""
    from tasks.contracts.tokens import RATE

    if rate is not None and not re.fullmatch(RATE, rate):
        raise typer.BadParameter(
            f"{rate!r} is no rate: say how many requests in what time, such as 10/second, 600/minute, "
            "20000/day, or two limits at once: 10/second;20000/day.",
            param_hint="--rate",
        )


def _days(length: str) -> float | None:
    if length == "never":
        return None
    found = LENGTH.fullmatch(length)
    if not found or not float(found[1]):
        raise typer.BadParameter(
            f"{length!r} is no length of time: give 12h, 90d, 4w or never.", param_hint="--for"
        )
    days = float(found[1]) * DAYS[found[2]]
    if days > 3650:
        raise typer.BadParameter("a token ends within ten years, or never.", param_hint="--for")
    return days


def _until(token: "KnownToken") -> str:
    return f", until {short(token.expires_at)}" if token.expires_at else ""


def _plain(token: "KnownToken") -> dict[str, Any]:
    return token.model_dump(mode="json", exclude={"contract_version"})
