"""The gateway, as the steps see it: routes, their history, and the log of predictions and labels."""

from typing import Any, Literal
from urllib.parse import quote

import requests
from pydantic import AwareDatetime
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tasks.contracts import Contract, Route
from tasks.errors import ServingError
from tasks.settings import settings

TIMEOUT_SECONDS = (5.0, 60.0)
PAGE_ROWS = 10_000


class RouteChange(Contract):
    """One entry of a route's history; `route` is None where the model was withdrawn."""

    sequence: int
    change: Literal["deploy", "rollback", "withdraw"]
    at: AwareDatetime
    route: Route | None


class Gateway:
    """The gateway's internal addresses.

            total=retries,
