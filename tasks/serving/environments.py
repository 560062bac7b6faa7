"""Which environments the platform has, in the order in which a version passes through them, and each one's
gateway.

Production is always there, and last. The others are named by `PERENNIAL_RELEASE_ENVIRONMENTS`.
"""

from collections.abc import Sequence

from tasks.errors import InvalidRequest, InvalidSettings
from tasks.serving.gateway import Gateway
from tasks.settings import separated, settings
from tasks.spec.release import ENVIRONMENT, NO_ALIAS, NO_ENVIRONMENT, PRODUCTION

VARIABLE = "PERENNIAL_RELEASE_ENVIRONMENTS"
WHERE_SET = (
    "That setting belongs in .env, and takes a restart: make stop, then make start; in containers, make up"
)


def addresses() -> dict[str, str]:
    """The address of each environment's gateway before production, in order.

    One that is given no address (`staging` instead of `staging=http://...`) answers at production's gateway,
    below its name.

    Raises:
        InvalidSettings: A name is none, or is there twice.
    """
    given = [each.partition("=") for each in separated(settings().release_environments)]
    names = [name.strip() for name, _, _ in given]
    taken = [name for name in names if name == PRODUCTION or _is_taken(name)]
    wrong = taken or [name for name in names if not ENVIRONMENT.fullmatch(name)]
    if wrong or len(set(names)) < len(names):
        raise InvalidSettings(
            f"{VARIABLE} is {settings().release_environments!r}. Name the environments before production, "
            "each once, comma-separated and in order: lowercase letters, digits and _, a letter first; with "
            "=http://... where one has a gateway of its own. Its alias in MLflow has its name, so "
            "production, champion, latest and v1 are none; nor are public, gateway, information_schema and "
            "pg_..., which are schemas of PostgreSQL, or metrics, healthz and internal, paths of the gateway."
        )
    below = settings().gateway_url.rstrip("/")
    return {
        name: url.strip().rstrip("/") or f"{below}/{name}"
        for name, (_, _, url) in zip(names, given, strict=True)
    }


def require_on_platform(names: Sequence[str]) -> None:
    """Refuse the environments of a model that the platform has not, or has in another order.

    Args:
        names: As `release.environments` of its pipeline.yaml has them.

    Raises:
        InvalidRequest: It says which, and which there are.
        InvalidSettings: As `addresses`.
    """
    if names and (fault := fault_of(names, list(addresses()))):
        raise InvalidRequest(fault)


def fault_of(names: Sequence[str], known: Sequence[str]) -> str | None:
    """What is wrong with the environments of a model, as a sentence; None where nothing is."""
    there = f"{VARIABLE} has {', '.join(known) or 'none'}"
    if missing := [name for name in names if name not in known]:
        return (
            f"release.environments names {', '.join(missing)}, which this platform has not: {there}. Correct "
            f"the name in pipeline.yaml, or add it to that setting. {WHERE_SET}."
        )
    if [name for name in known if name in names] != list(names):
        return (
            f"release.environments is {', '.join(names)}, but {there}, in this order. Name them in the "
            "platform's order: a version passes through them in it."
        )
    return None


def _is_taken(name: str) -> bool:
    return any(each.fullmatch(name) for each in (NO_ALIAS, NO_ENVIRONMENT))


def gateway_of(environment: str, *, retries: int | None = None) -> Gateway:
    """The gateway of an environment.

    Raises:
        InvalidRequest: The platform has no such environment.
    """
    if environment == PRODUCTION:
        return Gateway(retries=retries)
    known = addresses()
    if environment not in known:
        raise InvalidRequest(
            f"This platform has no environment {environment!r}. It has {', '.join([*known, PRODUCTION])}; "
            f"{VARIABLE} names those before production. {WHERE_SET}."
        )
    return Gateway(known[environment], retries=retries)
