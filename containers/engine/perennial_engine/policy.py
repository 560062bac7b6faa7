"""Which requests of the Docker API pass: method, path, query and whether a body may come, as one table.

Everything is matched on the path as it was sent, before any decoding: a path that is not written plainly
(`//`, `..`, `%2e`) matches nothing. Queries are taken apart and written anew.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from perennial_engine.body import parse
from perennial_engine.rules import INSTALLATION_LABEL, STEP_LABEL, Refused, Rules

OLDEST_API = 41
"""Docker 20.10; older versions of the API read some fields of
a creation differently, or take a body where none is checked.
"""

VERSION = re.compile(r"/v1\.(?P<minor>[0-9]{2})(?=/)")
ID = r"(?P<id>[A-Za-z0-9][A-Za-z0-9_.-]{0,127})"
YES_OR_NO = r"0|1|[Tt]rue|[Ff]alse"
TIME = r"[0-9]{1,12}(\.[0-9]{1,9})?"
SIGNAL = r"(SIG)?(KILL|TERM|INT|QUIT)|2|3|9|15"
SECONDS = r"[0-9]{1,3}"
FILTERS = frozenset({"ancestor", "exited", "id", "label", "name", "status"})
MOST_QUERY_FIELDS = 16


@dataclass(frozen=True)
class Route:
    """A request that may pass.

    Attributes:
        query: The pattern of each parameter that may be given.
        forwarded: The path to ask the engine for; of a container, what follows its id.
        of_container: Whether it concerns one container, which must be ours.
        has_body: Whether a body may come with it.
    """

    name: str
    method: str
    path: re.Pattern[str]
    query: Mapping[str, str]
    forwarded: str = ""
    of_container: bool = False
    has_body: bool = False


@dataclass(frozen=True)
class Asked:
    """A request that was understood: the API version's
    prefix, what the path names, and the checked parameters.
    """

    route: Route
    version: str
    subject: str
    query: dict[str, str]


def _on_container(name: str, method: str, action: str, query: Mapping[str, str]) -> Route:
    return Route(name, method, re.compile(f"/containers/{ID}{action}"), query, action, of_container=True)


ROUTES = (
    Route("ping", "GET", re.compile("/_ping"), {}, "/_ping"),
    Route("ping", "HEAD", re.compile("/_ping"), {}, "/_ping"),
    Route("version", "GET", re.compile("/version"), {}, "/version"),
    Route("image", "GET", re.compile(r"/images/(?P<id>[A-Za-z0-9._:/%@-]{1,300})/json"), {}),
    Route(
        "pull",
        "POST",
        re.compile("/images/create"),
        {"fromImage": ".*", "tag": ".*", "platform": ""},
        "/images/create",
    ),
    Route(
        "list",
        "GET",
        re.compile("/containers/json"),
        {
            "all": YES_OR_NO,
            "limit": "-1|[0-9]{1,4}",
            "size": YES_OR_NO,
            "trunc_cmd": YES_OR_NO,
            "filters": ".*",
        },
    ),
    Route(
        "create", "POST", re.compile("/containers/create"), {"name": "perennial-[0-9a-f]{20}"}, has_body=True
    ),
    _on_container("inspect", "GET", "/json", {"size": YES_OR_NO}),
    _on_container("start", "POST", "/start", {}),
    _on_container("wait", "POST", "/wait", {"condition": "not-running|next-exit|removed"}),
    _on_container("kill", "POST", "/kill", {"signal": SIGNAL}),
    _on_container("stop", "POST", "/stop", {"t": SECONDS, "signal": SIGNAL}),
    _on_container("remove", "DELETE", "", {"v": YES_OR_NO, "force": YES_OR_NO, "link": "0|[Ff]alse"}),
    _on_container(
        "logs",
        "GET",
        "/logs",
        {
            **dict.fromkeys(("stdout", "stderr", "follow", "timestamps", "details"), YES_OR_NO),
            "since": TIME,
            "until": TIME,
            "tail": "all|[0-9]{1,9}",
        },
    ),
)


def read_request(method: str, target: str, rules: Rules) -> Asked:
    """What is asked, if it is among what may be asked.

    Args:
        target: Path and query as they were sent.

    Raises:
        Refused: It is not.
    """
    path, _, query = target.partition("?")
    version = VERSION.match(path)
    if version and int(version["minor"]) < OLDEST_API:
        raise Refused(
            f"The API version 1.{version['minor']} is too old here. Ask with 1.{OLDEST_API} or newer."
        )
    rest = path[version.end() :] if version else path
    for route in ROUTES:
        match = route.path.fullmatch(rest)
        if match and route.method == method:
            parameters = _parameters(route, query)
            subject = unquote(match.groupdict().get("id", ""))
            _check(route, subject, parameters, rules)
            return Asked(route, version[0] if version else "", subject, parameters)
    raise Refused("This request is not among those that may pass to the engine.")


def is_ours(labels: Mapping[str, str] | None, rules: Rules) -> bool:
    """Whether the labels are those of a step of this installation."""
    found = labels or {}
    return found.get(INSTALLATION_LABEL) == rules.installation and bool(found.get(STEP_LABEL))


def our_filters(text: str, rules: Rules) -> str:
    """The caller's filters of a list, and that only our containers are listed.

    Raises:
        Refused: They are not what the API calls filters.
    """
    found: dict[str, list[str]] = {}
    for name, values in parse(text.encode(), "A list's filters").items() if text else ():
        listed = list(values) if isinstance(values, list | dict) else []
        if name not in FILTERS or not listed or not all(isinstance(value, str) for value in listed):
            raise Refused(f"The filter {name!r} is not one of {sorted(FILTERS)} with a list of texts.")
        found[name] = listed
    found["label"] = [*found.get("label", []), f"{INSTALLATION_LABEL}={rules.installation}", STEP_LABEL]
    return json.dumps(found)


def _parameters(route: Route, query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query,
            keep_blank_values=True,
            strict_parsing=bool(query),
            max_num_fields=MOST_QUERY_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise Refused("The query of the request is not well formed.") from None
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise Refused("The query names a parameter twice.")
    for name, value in parameters.items():
        if name not in route.query or not re.fullmatch(route.query[name], value):
            raise Refused(f"The parameter {name[:50]}={value[:100]!r} may not be given to {route.name!r}.")
    return parameters


def _check(route: Route, subject: str, parameters: dict[str, str], rules: Rules) -> None:
    if route.name == "create" and "name" not in parameters:
        raise Refused(
            "A container must be named perennial-<20 hexadecimal digits>: its name is the lock of its step."
        )
    if route.name == "image" and subject not in rules.images:
        raise Refused(f"The image {subject!r} is not one of this installation.")
    if route.name == "pull":
        image = f"{parameters.get('fromImage', '')}@{parameters.get('tag', '')}"
        if not rules.pull or image not in rules.images:
            raise Refused(f"The image {image!r} may not be pulled.")
